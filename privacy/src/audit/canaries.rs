//! Canaries: made-up units at right angles to each other, each one in or out by a fair coin.
//!
//! Canary i is a vector along axis i of a made-up model with as many parameters as there are
//! canaries. It is [`LENGTH`] times as long as allowed, so that a path that doesn't clip
//! shows. Its score is the logarithm of how much likelier the releases are with it than
//! without, if the claim is true: the best test there is (Neyman and Pearson 1933). The guess
//! is the score's sign, and it is made for the canaries whose scores are furthest from 0.

use rand::CryptoRng;

use super::one_run::Guesses;
use super::path::{AuditedMechanism, PathError, PathUnderAudit};
use crate::lattice::{LatticeError, LatticeVector};
use crate::unit::Adjacency;

/// Length of a canary, in clipping norms.
pub const LENGTH: f64 = 4.0;

/// Which canaries are in.
#[derive(Clone, Debug)]
pub struct Canaries {
    included: Vec<bool>,
}

impl Canaries {
    /// Tosses a fair coin for each of `count` canaries.
    pub fn toss<R: CryptoRng + ?Sized>(count: usize, rng: &mut R) -> Self {
        Self {
            included: (0..count).map(|_| rng.next_u64() >> 63 == 1).collect(),
        }
    }

    /// Which are in.
    pub fn included(&self) -> &[bool] {
        &self.included
    }

    /// Runs every round of `path` and scores each canary.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn run<P: PathUnderAudit>(
        &self,
        mechanism: &AuditedMechanism,
        path: &mut P,
        round_done: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>, PathError> {
        let contributions = self.contributions(mechanism, path)?;
        let score = Score::new(mechanism);
        let scale = path.divisor() / mechanism.clipping_norm.get();
        let mut scores = vec![0.0; contributions.len()];
        for round in 1..=mechanism.rounds {
            let drawn = path.draw(contributions.len());
            let sum = self.sum(&contributions, &drawn)?;
            let released = path.release(sum, drawn.len())?;
            for (total, mean) in scores.iter_mut().zip(released) {
                *total += score.of(mean * scale);
            }
            round_done(round);
        }
        Ok(scores)
    }

    /// What each canary's data adds to a sum along its own axis. A vector's other coordinates
    /// are 0, which adds nothing to norm or sum, so that they aren't carried about.
    fn contributions<P: PathUnderAudit>(
        &self,
        mechanism: &AuditedMechanism,
        path: &P,
    ) -> Result<Vec<i64>, PathError> {
        let length = (LENGTH * mechanism.clipping_norm.get()) as f32;
        let along = |signed: f32| -> Result<i64, PathError> {
            let vector = path.contribute(vec![signed])?;
            Ok(vector.values().first().copied().unwrap_or(0))
        };
        let included = self.included.iter();
        included
            .map(|&included| match (included, mechanism.adjacency) {
                (true, _) => along(length),
                // In its place stands another one.
                (false, Adjacency::ReplaceOne) => along(-length),
                (false, Adjacency::AddOrRemove | Adjacency::ZeroOut) => Ok(0),
            })
            .collect()
    }

    fn sum(&self, contributions: &[i64], drawn: &[usize]) -> Result<LatticeVector, LatticeError> {
        let mut sum = vec![0i64; contributions.len()];
        for &unit in drawn {
            if let (Some(to), Some(&from)) = (sum.get_mut(unit), contributions.get(unit)) {
                *to = to
                    .checked_add(from)
                    .ok_or(LatticeError::SumOverflow { index: unit })?;
            }
        }
        Ok(LatticeVector::from_values(sum))
    }

    /// Guesses the `count` canaries whose scores are furthest from 0: in where the score is
    /// above 0. A score that is no number counts as 0.
    pub fn guess(&self, scores: &[f64], count: usize) -> Guesses {
        let sure = |score: f64| if score.is_nan() { 0.0 } else { score.abs() };
        let mut order: Vec<usize> = (0..scores.len().min(self.included.len())).collect();
        // The index decides between equals, which no coin has a part in.
        order
            .sort_unstable_by(|&a, &b| sure(scores[b]).total_cmp(&sure(scores[a])).then(a.cmp(&b)));
        order.truncate(count);
        let right = |&&unit: &&usize| (scores[unit] > 0.0) == self.included[unit];
        let correct = order.iter().filter(right).count();
        Guesses::of(self.included.len(), order.len(), correct)
    }
}

/// The score of one release.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    rate: f64,
    inverse_variance: f64,
    replaced: bool,
}

impl Score {
    pub(super) fn new(mechanism: &AuditedMechanism) -> Self {
        Self::with_noise(mechanism, mechanism.noise_multiplier.get())
    }

    /// The score of somebody who knows that the noise multiplier is `sigma`.
    pub(super) fn with_noise(mechanism: &AuditedMechanism, sigma: f64) -> Self {
        Self {
            rate: mechanism.sampling_rate.get(),
            inverse_variance: 1.0 / (sigma * sigma),
            replaced: mechanism.adjacency == Adjacency::ReplaceOne,
        }
    }

    /// ln of the likelihood ratio of a released coordinate of `x` clipping norms.
    pub(super) fn of(self, x: f64) -> f64 {
        if self.replaced {
            self.against_absence(x) - self.against_absence(-x)
        } else {
            self.against_absence(x)
        }
    }

    /// ln(1 - q + q exp((x - 1/2)/σ²)): a unit of norm 1 that is drawn with probability q
    /// against none.
    fn against_absence(self, x: f64) -> f64 {
        let exponent = (x - 0.5) * self.inverse_variance;
        if exponent > 0.0 {
            exponent + (self.rate + (1.0 - self.rate) * (-exponent).exp()).ln()
        } else {
            (self.rate * exponent.exp_m1()).ln_1p().max(f64::MIN)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::Delta;
    use crate::accountant::event::NoiseMultiplier;
    use crate::audit::PrivatePath;
    use crate::clip::ClippingNorm;
    use crate::poisson::SamplingRate;
    use crate::private_rng::NoiseSource;
    use crate::unit::{NoisePlacement, PrivacyUnit};
    use proptest::prelude::*;

    fn mechanism(unit: PrivacyUnit, sigma: f64, rate: f64) -> AuditedMechanism {
        AuditedMechanism {
            noise_multiplier: NoiseMultiplier::try_from(sigma).unwrap(),
            sampling_rate: SamplingRate::try_from(rate).unwrap(),
            rounds: 1,
            clipping_norm: ClippingNorm::try_from(0.3).unwrap(),
            unit,
            placement: NoisePlacement::Central,
            adjacency: Adjacency::AddOrRemove,
        }
    }

    #[test]
    fn the_coordinates_that_are_left_out_of_a_canary_would_have_added_nothing() {
        for unit in [PrivacyUnit::Record, PrivacyUnit::Group, PrivacyUnit::Client] {
            let delta = Delta::try_from(1e-5).unwrap();
            let rng = NoiseSource::seeded(1, "");
            let path = PrivatePath::new(mechanism(unit, 1.0, 1.0), delta, 8, 1.0, rng).unwrap();
            let short = path.contribute(vec![1.2]).unwrap();
            let mut whole = vec![0.0; 8];
            whole[5] = 1.2;
            let whole = path.contribute(whole).unwrap();
            let mut expected = vec![0; 8];
            expected[5] = short.values()[0];
            assert_eq!(whole.values(), expected);
            let length = short.to_f64(path.step())[0];
            assert!(length <= 0.3 && length > 0.3 * 0.998, "{unit}: {length}");
        }
    }

    #[test]
    fn scores_that_are_no_numbers_are_guessed_last() {
        let canaries = Canaries {
            included: vec![true, false, true, true],
        };
        let scores = [f64::NAN, -2.0, 1.0, f64::INFINITY];
        assert_eq!(canaries.guess(&scores, 3), Guesses::of(4, 3, 3));
        // A guess about nothing is "out".
        assert_eq!(canaries.guess(&scores, 9), Guesses::of(4, 4, 3));
        assert_eq!(canaries.guess(&[], 9), Guesses::of(4, 0, 0));
    }

    proptest! {
        #[test]
        fn a_score_is_a_number_and_rises_with_what_is_released(
            ln_sigma in -4f64..5.0, ln_rate in -16f64..0.0, x in -100f64..100.0, more in 0f64..10.0,
        ) {
            let score = Score::new(&mechanism(PrivacyUnit::Record, ln_sigma.exp(), ln_rate.exp()));
            let (low, high) = (score.of(x), score.of(x + more));
            prop_assert!(low.is_finite() && high.is_finite());
            prop_assert!(high >= low - 1e-9 * low.abs());
        }
    }
}
