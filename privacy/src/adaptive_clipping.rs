//! Adaptive clipping (Andrew, Thakkar, McMahan and Ramaswamy 2021, "Differentially Private
//! Learning with Adaptive Clipping"): the threshold T above which a unit's gradient is clipped
//! follows a quantile of the units' norms, learnt from noisy sums that are paid for.
//!
//! A unit contributes one vector: its gradient, clipped to T and scaled to length
//! C √(1 - a²) at most, and as one coordinate more a number from -a C to a C, which says whether
//! its norm was below T. Its length is at most C whatever T is. So sensitivity, lattice, noise and cost are
//! those of one Gaussian mechanism with clipping norm C, and T, which is computed from what
//! was released, is public. `privacy/proofs/adaptive_clipping.md` has the argument.

use crate::accountant::event::NoiseMultiplier;

/// The rule by which T follows a quantile, and the share of the noise that it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveClipping {
    /// C
    bound: f64,
    /// a
    share: f64,
    /// Units that a round is expected to have: a public constant.
    expected_units: f64,
    quantile: f64,
    learning_rate: f64,
    /// T of the first round.
    first: f64,
}

/// What adaptive clipping is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveClippingSettings {
    /// σ, the noise over the bound.
    pub noise_multiplier: NoiseMultiplier,
    /// C: the length that a unit's contribution has at most.
    pub bound: f64,
    /// Units that a round is expected to have: a public constant, above 0.
    pub expected_units: f64,
    /// The share of units that is to be left unclipped, between 0 and 1.
    pub quantile: f64,
    /// η of T ← T exp(-η (share found - quantile)), above 0 and at most 1.
    pub learning_rate: f64,
    /// T of the first round, above 0.
    pub first_threshold: f64,
}

/// Settings with which clipping can't adapt.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AdaptiveClippingError {
    /// The share of units below T would drown in noise, or take too much of it.
    #[error(
        "adaptive clipping needs rounds of at least {least:.0} units for noise multiplier \
         {noise_multiplier}, and {expected_units} are expected: the share of unclipped units can't be \
         told through the noise; sample more units, take less noise, or fix the clipping norm"
    )]
    CohortTooSmall {
        /// Units that a round is expected to have.
        expected_units: f64,
        /// σ.
        noise_multiplier: f64,
        /// Units that it would have to have.
        least: f64,
    },
    /// A number is out of its range.
    #[error("adaptive clipping's {name} is {found}; it must be {range}")]
    OutOfRange {
        /// Which number.
        name: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        range: &'static str,
    },
}

/// The most of the bound that the bit may take: the gradient then has 15 % more noise.
const LARGEST_SHARE: f64 = 0.5;

/// Standard deviation of the noise on the share of unclipped units: 1/20, as Andrew et al.
/// recommend (§3.1: σ_b = m/20).
const SHARE_DEVIATION: f64 = 1.0 / 20.0;

/// Half the width, relative to T, of the ramp on which a unit's bit goes from one to zero.
const RAMP: f64 = 0.1;

/// T stays within this factor of its first value.
const RANGE: f64 = 1e3;

impl AdaptiveClipping {
    /// The rule for these settings.
    ///
    /// With σ_b = m/20 on the count of unclipped units, whose bits are ±1/2 apart from 1/2,
    /// a = σ/(2 σ_b) = 10 σ/m: the noise on the gradient alone is σ/√(1 - a²), and
    /// σ⁻² = (σ/√(1 - a²))⁻² + (2σ_b)⁻² (Theorem 1 there).
    ///
    /// # Errors
    /// [`AdaptiveClippingError`]; a round of fewer than 20 σ units is refused.
    pub fn new(settings: AdaptiveClippingSettings) -> Result<Self, AdaptiveClippingError> {
        let sigma = settings.noise_multiplier.get();
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let within = |ok: bool, name, found, range| {
            let error = AdaptiveClippingError::OutOfRange { name, found, range };
            if ok { Ok(()) } else { Err(error) }
        };
        let (quantile, rate) = (settings.quantile, settings.learning_rate);
        let above = "above 0";
        within(positive(settings.bound), "bound", settings.bound, above)?;
        let (first, units) = (settings.first_threshold, settings.expected_units);
        within(positive(first), "first threshold", first, above)?;
        within(positive(units), "expected number of units", units, above)?;
        within(
            quantile > 0.0 && quantile < 1.0,
            "quantile",
            quantile,
            "above 0 and below 1",
        )?;
        within(
            rate > 0.0 && rate <= 1.0,
            "learning rate",
            rate,
            "above 0 and at most 1",
        )?;
        let share = sigma / (2.0 * SHARE_DEVIATION * units);
        if share > LARGEST_SHARE {
            return Err(AdaptiveClippingError::CohortTooSmall {
                expected_units: units,
                noise_multiplier: sigma,
                least: sigma / (2.0 * SHARE_DEVIATION * LARGEST_SHARE),
            });
        }
        Ok(Self {
            bound: settings.bound,
            share,
            expected_units: units,
            quantile,
            learning_rate: rate,
            first,
        })
    }

    /// T of the first round.
    pub fn first_threshold(&self) -> f64 {
        self.first
    }

    /// What gradients clipped to `threshold` are multiplied by: C √(1 - a²) / T.
    pub fn scale(&self, threshold: f64) -> f64 {
        self.bound * (1.0 - self.share * self.share).sqrt() / threshold
    }

    /// The coordinate of a unit whose norm was `norm`: a C far below `threshold`, -a C far above
    /// it, and on a straight line from 0.9 to 1.1 times the threshold; a norm that is no number
    /// counts as above.
    ///
    /// Andrew et al. have a step there. But a norm that was computed among others' may differ
    /// from the same computed without them in its last bits, and at a step that would move
    /// another unit's coordinate by all of 2 a C. On a line it moves by as little as the norm
    /// does (`privacy/proofs/adaptive_clipping.md`).
    pub fn bit(&self, norm: f64, threshold: f64) -> f64 {
        let below = (1.0 - norm / threshold) / RAMP;
        let size = self.share * self.bound;
        if below.is_nan() {
            return -size;
        }
        below.clamp(-1.0, 1.0) * size
    }

    /// The share of units below the threshold, those near it in part, from the noisy sum of their
    /// coordinates: 1/2 + Σ/(2 a C m), cut to lie between 0 and 1. The divisor is the public m,
    /// never how many came.
    pub fn share_found(&self, noisy_sum: f64) -> f64 {
        let size = 2.0 * self.share * self.bound * self.expected_units;
        let found = 0.5 + noisy_sum / size;
        if found.is_nan() {
            return self.quantile;
        }
        found.clamp(0.0, 1.0)
    }

    /// T ← T exp(-η (share found - quantile)) (their Algorithm 1), within a factor of 1,000 of
    /// the first.
    pub fn next_threshold(&self, threshold: f64, share_found: f64) -> f64 {
        let step = (-self.learning_rate * (share_found - self.quantile)).exp();
        (threshold * step).clamp(self.first / RANGE, self.first * RANGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounded_gaussian::RoundedGaussian;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    fn settings(sigma: f64, units: f64, quantile: f64) -> AdaptiveClippingSettings {
        AdaptiveClippingSettings {
            noise_multiplier: NoiseMultiplier::try_from(sigma).unwrap(),
            bound: 0.5,
            expected_units: units,
            quantile,
            learning_rate: 0.2,
            first_threshold: 1.0,
        }
    }

    proptest! {
        #[test]
        fn a_contribution_is_never_longer_than_the_bound(
            sigma in 0.1f64..5.0, more in 1.0f64..100.0,
            norm in 0.0f64..1e6, threshold in 1e-6f64..1e6,
        ) {
            let rule = AdaptiveClipping::new(settings(sigma, 20.0 * sigma * more, 0.5)).unwrap();
            let gradient = norm.min(threshold) * rule.scale(threshold);
            let length = gradient.hypot(rule.bit(norm, threshold));
            prop_assert!(length <= 0.5 * (1.0 + 1e-12), "{}", length);
            // All of the bound is used where the gradient is clipped for sure.
            let clipped = norm > 1.11 * threshold;
            prop_assert!(!clipped || length >= 0.5 * (1.0 - 1e-12), "{}", length);
        }

        #[test]
        fn without_noise_the_share_is_that_of_the_units_that_were_expected(
            below in 0u32..200, above in 0u32..200,
        ) {
            let units = f64::from((below + above).max(20));
            let rule = AdaptiveClipping::new(settings(1.0, units, 0.5)).unwrap();
            let sum = f64::from(below) * rule.bit(0.5, 1.0) + f64::from(above) * rule.bit(2.0, 1.0);
            let expected = 0.5 + (f64::from(below) - f64::from(above)) / (2.0 * units);
            prop_assert!((rule.share_found(sum) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn the_noise_is_split_as_the_theorem_says() {
        let (sigma, units) = (1.3, 400.0);
        let rule = AdaptiveClipping::new(settings(sigma, units, 0.5)).unwrap();
        // Of a gradient clipped to 1, the noise is σ C over the scale; of the count, over 2 a C.
        let on_gradient = sigma * 0.5 / rule.scale(1.0);
        let on_count = sigma * 0.5 / (2.0 * rule.bit(0.0, 1.0));
        let split = on_gradient.powi(-2) + (2.0 * on_count).powi(-2);
        assert!((split - sigma.powi(-2)).abs() < 1e-12);
        assert!((on_count - units / 20.0).abs() < 1e-9);
    }

    #[test]
    fn rounds_that_are_too_small_are_refused() {
        assert!(AdaptiveClipping::new(settings(1.5, 30.0, 0.5)).is_ok());
        let refused = AdaptiveClipping::new(settings(1.5, 29.9, 0.5));
        assert!(matches!(
            refused,
            Err(AdaptiveClippingError::CohortTooSmall { least, .. }) if (least - 30.0).abs() < 1e-9
        ));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for quantile in [0.0, 1.0, -1.0, f64::NAN] {
            assert!(AdaptiveClipping::new(settings(1.0, 100.0, quantile)).is_err());
        }
        for units in [0.0, f64::NAN, f64::INFINITY] {
            assert!(AdaptiveClipping::new(settings(1.0, units, 0.5)).is_err());
        }
        for rate in [0.0, 1.1, f64::NAN] {
            let mut wrong = settings(1.0, 100.0, 0.5);
            wrong.learning_rate = rate;
            assert!(AdaptiveClipping::new(wrong).is_err());
        }
    }

    #[test]
    fn a_norm_that_differs_in_its_last_bits_moves_the_bit_as_little() {
        let (sigma, units) = (1.0, 1000.0);
        let rule = AdaptiveClipping::new(settings(sigma, units, 0.5)).unwrap();
        for norm in [0.89, 0.9, 0.95, 1.0, 1.05, 1.1, 1.11] {
            let moved = (rule.bit(norm * (1.0 + 1e-6), 1.0) - rule.bit(norm, 1.0)).abs();
            // 10 σ/m · 10⁻⁶/0.1 of the bound: all 1,000 units together less than 2⁻¹² of it.
            assert!(moved <= 1.2e-5 * 0.01 * 0.5, "{norm}: {moved:e}");
            assert!(units * moved < 0.5 / 4096.0);
        }
    }

    #[test]
    fn a_norm_that_is_no_number_counts_as_clipped_and_the_threshold_stays_in_its_range() {
        let rule = AdaptiveClipping::new(settings(1.0, 100.0, 0.5)).unwrap();
        assert!(rule.bit(f64::NAN, 1.0) < 0.0);
        assert_eq!(rule.share_found(f64::NAN), 0.5);
        assert_eq!(rule.next_threshold(1e9, 0.0), 1e3);
        assert_eq!(rule.next_threshold(1e-9, 1.0), 1e-3);
    }

    /// Norms are 1 to 100, all equally likely; the threshold is to find their quantile. In
    /// equilibrium it wanders about it with a relative deviation of about √(η s²/2f) < 0.06,
    /// with s = 0.06 the deviation of the share found and f the density in ln T. The mean over
    /// 200 rounds is off by 15 % with a probability below 10⁻⁶.
    #[test]
    fn the_threshold_finds_the_quantile_through_the_noise() {
        for (seed, quantile) in [(1, 0.25), (2, 0.5), (3, 0.75)] {
            let rng = &mut ChaCha20Rng::seed_from_u64(seed);
            let (sigma, units) = (1.0, 500);
            let rule = AdaptiveClipping::new(settings(sigma, f64::from(units), quantile)).unwrap();
            let lattice = 1e-6;
            let noise = RoundedGaussian::new(sigma * 0.5 / lattice).unwrap();
            let mut threshold = rule.first_threshold();
            let mut late = Vec::new();
            for round in 0..400 {
                let sum: f64 = (0..units)
                    .map(|unit| rule.bit(f64::from(unit % 100 + 1), threshold))
                    .sum();
                let noisy = sum + noise.sample(rng) as f64 * lattice;
                threshold = rule.next_threshold(threshold, rule.share_found(noisy));
                if round >= 200 {
                    late.push(threshold);
                }
            }
            let mean = late.iter().sum::<f64>() / late.len() as f64;
            let target = 100.0 * quantile;
            assert!((mean / target - 1.0).abs() < 0.15, "{quantile}: {mean}");
        }
    }
}
