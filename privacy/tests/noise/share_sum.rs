//! The sum of m rounded Gaussians against round(N(0, m s²) + U₁ + … + U_{m-1}), by direct
//! convolution and by Fourier inversion (`privacy/proofs/share_sum.md`).

use std::f64::consts::{PI, SQRT_2};

/// Integers from -REACH to REACH are looked at.
const REACH: i32 = 60;

fn cumulative(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// P(round(N(0, s²)) = k) for all k looked at.
fn share(s: f64) -> Vec<f64> {
    let probability = |k: i32| {
        let (low, high) = ((f64::from(k) - 0.5) / s, (f64::from(k) + 0.5) / s);
        // From the side where nothing cancels.
        if low > 0.0 {
            cumulative(-low) - cumulative(-high)
        } else {
            cumulative(high) - cumulative(low)
        }
    };
    (-REACH..=REACH).map(probability).collect()
}

/// The law of the sum of `m` shares.
fn sum_of_shares(s: f64, m: u32) -> Vec<f64> {
    let one = share(s);
    let mut sum = one.clone();
    for _ in 1..m {
        let add = |k: i32| -> f64 {
            let pairs = (-REACH..=REACH).filter(|i| (k - i).abs() <= REACH);
            pairs
                .map(|i| sum[(i + REACH) as usize] * one[(k - i + REACH) as usize])
                .sum()
        };
        sum = (-REACH..=REACH).map(add).collect();
    }
    sum
}

/// P(round(N(0, m s²) + U₁ + … + U_{m-1}) = k): the density of N(0, m s²) + U₁ + … + U_m at k, by
/// the trapezoidal rule on its Fourier transform, which is smooth and falls off as a Gaussian.
fn rounded_sum(s: f64, m: u32, k: i32) -> f64 {
    let transform = |u: f64| {
        let sinc = if u == 0.0 {
            1.0
        } else {
            (0.5 * u).sin() / (0.5 * u)
        };
        ((-0.5 * s * s * u * u).exp() * sinc).powi(m as i32)
    };
    let step = 1e-3;
    let steps = (12.0 / s / step) as i32;
    let terms = (-steps..=steps).map(|i| {
        let u = f64::from(i) * step;
        transform(u) * (u * f64::from(k)).cos()
    });
    terms.sum::<f64>() * step / (2.0 * PI)
}

fn largest_difference(s: f64, m: u32) -> f64 {
    let sum = sum_of_shares(s, m);
    // Beyond twenty, all probabilities are far below the differences.
    (-20..=20)
        .map(|k| (sum[(k + REACH) as usize] - rounded_sum(s, m, k)).abs())
        .fold(0.0, f64::max)
}

#[test]
fn the_two_laws_differ_by_no_more_than_the_bound() {
    for s in [1.0, 1.1, 1.25, 1.4] {
        for m in [2u32, 3, 5, 8] {
            let alias = (-PI * PI * s * s).exp();
            let spread = (1.0 + 3.0 * (-0.5 * PI * PI * s * s).exp()).powi(m as i32 - 2);
            let bound = 1.02 * f64::from(m * m) * alias * spread;
            let found = largest_difference(s, m);
            // What Fourier inversion in double precision can tell.
            assert!(
                found <= bound + 1e-14,
                "s = {s}, m = {m}: {found:e} {bound:e}"
            );
        }
    }
}

#[test]
fn the_design_has_the_right_figures() {
    let two = largest_difference(1.0, 2);
    assert!((1.05e-5..1.15e-5).contains(&two), "{two:e}");
    let five = largest_difference(1.0, 5);
    assert!((3.5e-8..4.5e-8).contains(&five), "{five:e}");
}

#[test]
fn coarse_shares_do_differ() {
    // So that the comparison can fail: at s = 0.3 a share is nearly always 0.
    assert!(largest_difference(0.3, 2) > 1e-2);
}
