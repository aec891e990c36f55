//! The rounded Gaussian against its exact probabilities
//! P(j) = Φ((j + 1/2)/s) - Φ((j - 1/2)/s).
//!
//! Seeds are fixed. Each comparison has a threshold that a right sampler exceeds for one
//! choice of seeds in 10^8; there are fewer than 100 of them, so that all tests of this file
//! together fail a right sampler with probability below 10^-6.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use umbel_privacy::RoundedGaussian;

/// Standard normal quantile of 1 - 10^-8.
const Z: f64 = 5.6120;

/// Standard deviations in lattice steps: tiny ones, where rounding does most, up to the
/// largest.
const DEVIATIONS: [f64; 8] = [0.0625, 0.5, 1.0, 5.0, 1e3, 1e6, 1e9, 3.5e13];

const DRAWS: usize = 4_000_000;

/// P(N(0, 1) > x), to a relative 10^-15.
fn upper_tail(x: f64) -> f64 {
    0.5 * libm::erfc(x / std::f64::consts::SQRT_2)
}

/// P(low <= round(N(0, s²)) <= high), from whichever tail loses nothing.
fn probability(low: i64, high: i64, s: f64) -> f64 {
    let (a, b) = ((low as f64 - 0.5) / s, (high as f64 + 0.5) / s);
    if a >= 0.0 {
        upper_tail(a) - upper_tail(b)
    } else if b <= 0.0 {
        upper_tail(-b) - upper_tail(-a)
    } else {
        1.0 - upper_tail(b) - upper_tail(-a)
    }
}

fn draws(s: f64, count: usize, seed: u64) -> Vec<i64> {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let noise = RoundedGaussian::new(s).unwrap();
    // As a whole vector, of which long ones have several generators.
    let mut values = vec![0; count];
    noise.add_to(&mut values, rng).unwrap();
    values
}

/// Cells of whole integers, about s/45 wide, covering ±5 s; the outermost two take
/// everything beyond. Cells expecting fewer than ten draws are joined to those. (The
/// sampler's own cells are s/64 wide, so that boundaries of the two don't coincide.)
fn cells(s: f64, count: usize) -> Vec<(i64, i64)> {
    let width = ((s / 45.0).ceil() as i64).max(1);
    let reach = (5.0 * s / width as f64).ceil() as i64;
    let starts = (-reach..=reach).map(|cell| cell * width - width / 2);
    let inner: Vec<_> = starts
        .map(|start| (start, start + width - 1))
        .filter(|&(low, high)| probability(low, high, s) * count as f64 >= 10.0)
        .collect();
    let first = inner[0].0;
    let last = inner[inner.len() - 1].1;
    let far = (50.0 * s).ceil() as i64 + 50;
    [vec![(-far, first - 1)], inner, vec![(last + 1, far)]].concat()
}

/// Pearson's statistic of the draws against standard deviation `s`, as a multiple of
/// its 1 - 10^-8 quantile (Wilson & Hilferty 1931).
fn chi_square_over_threshold(values: &[i64], s: f64) -> f64 {
    let cells = cells(s, values.len());
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let count_up_to = |value: i64| sorted.partition_point(|&v| v <= value);
    let statistic: f64 = cells
        .iter()
        .map(|&(low, high)| {
            let expected = probability(low, high, s) * values.len() as f64;
            let found = (count_up_to(high) - count_up_to(low - 1)) as f64;
            if expected > 0.0 {
                (found - expected).powi(2) / expected
            } else {
                found * 1e9
            }
        })
        .sum();
    let freedom = (cells.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    statistic / (freedom * (1.0 - spread + Z * spread.sqrt()).powi(3))
}

#[test]
fn frequencies_fit_the_exact_probabilities_at_every_scale() {
    for (seed, s) in (1..).zip(DEVIATIONS) {
        let ratio = chi_square_over_threshold(&draws(s, DRAWS, seed), s);
        assert!(
            ratio < 1.0,
            "s = {s}: chi-square is {ratio} times its threshold"
        );
    }
}

#[test]
fn the_chi_square_test_notices_a_standard_deviation_wrong_by_one_percent() {
    for (seed, s) in [(1, 0.5), (2, 1.0), (3, 5.0), (4, 1e3), (5, 1e6), (6, 1e9)] {
        assert!(
            chi_square_over_threshold(&draws(1.01 * s, DRAWS, seed), s) > 1.0,
            "s = {s}"
        );
    }
}

#[test]
fn single_probabilities_are_exact_for_small_deviations() {
    let count = 2_000_000;
    for (seed, s) in [(11, 0.25), (12, 0.5), (13, 1.0)] {
        let values = draws(s, count, seed);
        for j in -4..=4 {
            let p = probability(j, j, s);
            let expected = p * count as f64;
            let found = values.iter().filter(|&&v| v == j).count() as f64;
            // Z + 1 standard deviations, as 27 cells are looked at; + 3 where few are expected.
            let allowed = (Z + 1.0) * (expected * (1.0 - p)).sqrt() + 3.0;
            assert!(
                (found - expected).abs() < allowed,
                "s = {s}, j = {j}: {found} for {expected}"
            );
        }
    }
}

#[test]
fn mean_variance_skewness_and_kurtosis_are_those_of_the_gaussian() {
    let count = 1_000_000;
    for (seed, s) in [(21, 5.0), (22, 1e3), (23, 1e6)] {
        let values = draws(s, count, seed);
        let moment = |power| {
            values
                .iter()
                .map(|&v| (v as f64 / s).powi(power))
                .sum::<f64>()
                / count as f64
        };
        // Rounding adds 1/12 to the variance, and exp(-2 π² s²) to nothing else.
        let variance = 1.0 + 1.0 / (12.0 * s * s);
        let allowed = |variance: f64| Z * (variance / count as f64).sqrt();
        assert!(moment(1).abs() < allowed(variance), "mean, s = {s}");
        assert!(
            (moment(2) - variance).abs() < allowed(2.1),
            "variance, s = {s}"
        );
        assert!(moment(3).abs() < allowed(16.0), "third moment, s = {s}");
        assert!(
            (moment(4) - 3.0 * variance * variance).abs() < allowed(100.0),
            "fourth, s = {s}"
        );
    }
}

#[test]
fn both_signs_are_equally_likely() {
    let count = 1_000_000;
    for (seed, s) in [(31, 0.5), (32, 5.0), (33, 1e6)] {
        let values = draws(s, count, seed);
        let positive = values.iter().filter(|&&v| v > 0).count() as f64;
        let negative = values.iter().filter(|&&v| v < 0).count() as f64;
        assert!(
            (positive - negative).abs() < Z * (positive + negative).sqrt(),
            "s = {s}"
        );
    }
}

#[test]
fn the_tails_are_as_heavy_as_they_should_be() {
    for (seed, s) in (41..).zip(DEVIATIONS) {
        let values = draws(s, DRAWS, seed);
        for sigmas in [3.0, 4.0, 4.5] {
            let edge = (sigmas * s).ceil() as i64;
            let p = 2.0 * upper_tail((edge as f64 - 0.5) / s);
            let expected = p * DRAWS as f64;
            let found = values.iter().filter(|v| v.abs() >= edge).count() as f64;
            // Few are expected in places, where a Poisson variable reaches further than a
            // normal one: by no more than a third of Z² (Bernstein 1924).
            let allowed = Z * (expected * (1.0 - p)).sqrt() + Z * Z / 3.0;
            assert!(
                (found - expected).abs() < allowed,
                "s = {s}, {sigmas} sigma: {found} for {expected}"
            );
        }
    }
}

#[test]
fn nothing_lies_where_nothing_should() {
    // Beyond eight deviations 5 · 10^-9 of four million draws should lie.
    for (seed, s) in (61..).zip(DEVIATIONS) {
        let furthest = draws(s, DRAWS, seed).into_iter().map(i64::abs).max();
        assert!(furthest.unwrap() as f64 <= 8.0 * s + 0.5, "s = {s}");
    }
}

#[test]
fn the_same_seed_gives_the_same_noise() {
    assert_eq!(draws(1e5, 1000, 51), draws(1e5, 1000, 51));
    assert_ne!(draws(1e5, 1000, 51), draws(1e5, 1000, 52));
}
