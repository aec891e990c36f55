//! The Gaussian mechanism without sampling, in closed form (Balle & Wang 2018, "Improving
//! the Gaussian Mechanism for Differential Privacy", Theorem 8).
//!
//! It is characterised by one number μ = sensitivity / standard deviation (Dong, Roth &
//! Su 2022: μ-Gaussian differential privacy), and mechanisms compose to
//! μ = √(Σ μᵢ²). Then δ(ε) = Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ).

use std::f64::consts::{PI, SQRT_2};

use crate::accountant::{Delta, Epsilon};

/// The relative error allowed for in Mills ratios and in the densities multiplied with
/// them; the true one is below 10^-14.
const ROUNDING_GUARD: f64 = 4e-14;

/// The least δ at which a mechanism of the given `mu` >= 0 is (`epsilon`, δ)-private,
/// rounded up.
pub fn delta(mu: f64, epsilon: f64) -> f64 {
    ln_delta(mu, epsilon).exp().min(1.0)
}

/// ln δ(`epsilon`), rounded up; meaningful far below the smallest float. -∞ for μ = 0.
///
/// With the Mills ratio M(t) = (1 - Φ(t))/φ(t) and t = ε/μ - μ/2,
/// δ = φ(t) (M(t) - M(t + μ)), since e^ε = φ(t)/φ(t + μ): no term overflows. The
/// difference cancels where μ is small: δ may come out too large by a relative
/// 10^-13 (2 + 2/μ + ε/μ²).
pub fn ln_delta(mu: f64, epsilon: f64) -> f64 {
    if mu <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let t = epsilon / mu - mu / 2.0;
    let far = mills_ratio(t + mu);
    if t >= 0.0 {
        let near = mills_ratio(t);
        let difference = (near - far).max(0.0) + ROUNDING_GUARD * near;
        ln_density(t) + difference.ln()
    } else {
        let tail = 0.5 * libm::erfc(t / SQRT_2);
        let difference = tail - ln_density(t).exp() * far;
        (difference.max(0.0) + ROUNDING_GUARD * tail).ln().min(0.0)
    }
}

/// The least ε at `delta` of a mechanism of the given `mu` >= 0, rounded up (relative
/// error of some 10^-13); infinite for an infinite or NaN `mu`.
pub fn epsilon(mu: f64, delta: Delta) -> Epsilon {
    if !mu.is_finite() {
        return Epsilon::at_least_zero(f64::INFINITY);
    }
    let target = delta.get().ln();
    let fits = |epsilon: f64| ln_delta(mu, epsilon) <= target;
    if fits(0.0) {
        return Epsilon::ZERO;
    }
    // δ(ε) <= 1 - Φ(ε/μ - μ/2), and 1 - Φ(t) <= exp(-t²/2): this epsilon is enough.
    let mut enough = mu * (mu / 2.0 + (-2.0 * target).sqrt()) * (1.0 + 1e-9);
    while enough.is_finite() && !fits(enough) {
        enough *= 2.0;
    }
    let mut too_little = 0.0;
    loop {
        let middle = too_little + (enough - too_little) / 2.0;
        if middle <= too_little || middle >= enough || !enough.is_finite() {
            return Epsilon::at_least_zero(enough);
        }
        if fits(middle) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
}

/// ln(1 - Φ(t)), meaningful far below the smallest float.
pub(super) fn ln_upper_tail(t: f64) -> f64 {
    if t < 5.0 {
        (0.5 * libm::erfc(t / SQRT_2)).ln()
    } else if t.is_finite() {
        ln_density(t) + mills_ratio(t).ln()
    } else {
        f64::NEG_INFINITY
    }
}

/// ln φ(t).
fn ln_density(t: f64) -> f64 {
    -0.5 * t * t - 0.5 * (2.0 * PI).ln()
}

/// M(t) = (1 - Φ(t))/φ(t) for t >= 0, to a relative 10^-15.
fn mills_ratio(t: f64) -> f64 {
    (PI / 2.0).sqrt() * scaled_erfc(t / SQRT_2)
}

/// exp(x²) erfc(x) for x >= 0.
fn scaled_erfc(x: f64) -> f64 {
    if x < 10.0 {
        // exp(x²) alone would lose x² ulps: the part of x² that rounding drops is put back.
        let square = x * x;
        let dropped = x.mul_add(x, -square);
        square.exp() * (1.0 + dropped) * libm::erfc(x)
    } else {
        // 1/(x √π) Σ (-1)^n (2n-1)!! / (2x²)^n, alternating and still falling at the
        // fourteenth term, which is below 10^-17 from x = 10 on.
        let scale = -1.0 / (2.0 * x * x);
        let series = (1..=14)
            .rev()
            .fold(1.0, |rest, n| 1.0 + f64::from(2 * n - 1) * scale * rest);
        series / (x * PI.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_scaled_error_function_matches_published_values() {
        // 30-digit values of exp(x²) erfc(x), rounded.
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.615_690_344_192_925_9),
            (1.0, 0.427_583_576_155_807),
            (5.0, 0.110_704_637_733_068_63),
            (9.999, 0.056_146_552_603_965_94),
            (10.0, 0.056_140_992_743_822_59),
            (30.0, 0.018_795_888_861_416_75),
        ] {
            let found: f64 = scaled_erfc(x);
            assert!(
                (found / expected - 1.0).abs() < 3e-15,
                "{x}: {found:e} for {expected:e}"
            );
        }
    }

    #[test]
    fn nothing_spent_and_everything_spent() {
        let delta = Delta::try_from(1e-5).unwrap();
        assert_eq!(epsilon(0.0, delta), Epsilon::ZERO);
        assert_eq!(epsilon(f64::INFINITY, delta).get(), f64::INFINITY);
        assert_eq!(epsilon(f64::NAN, delta).get(), f64::INFINITY);
        assert_eq!(super::delta(0.0, 1.0), 0.0);
        assert!(epsilon(1e200, delta).get() > 1e300);
    }

    proptest! {
        #[test]
        fn epsilon_is_the_least_that_delta_allows(
            ln_mu in -7f64..4.0, ln_delta_target in -40f64..-0.5,
        ) {
            let mu = ln_mu.exp();
            let target = Delta::try_from(ln_delta_target.exp()).unwrap();
            let found = epsilon(mu, target).get();
            prop_assert!(ln_delta(mu, found) <= target.get().ln());
            if found > 0.0 {
                prop_assert!(ln_delta(mu, found * (1.0 - 1e-9)) > target.get().ln());
            }
        }

        #[test]
        fn more_noise_costs_less(ln_mu in -5f64..3.0, ln_delta_target in -40f64..-1.0) {
            let target = Delta::try_from(ln_delta_target.exp()).unwrap();
            let mu = ln_mu.exp();
            prop_assert!(epsilon(mu, target) <= epsilon(mu * 1.01, target));
        }
    }
}
