//! The Gaussian mechanism over a Poisson sample that is cut to a largest batch.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{Known, Mechanism};
use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::accountant::pld::Loss;
use crate::accountant::{AccountingError, binomial};
use crate::poisson::SamplingRate;
use crate::unit::Adjacency;

/// The Gaussian mechanism over a Poisson sample of a data set of known size, cut to a largest batch by leaving out
/// units at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruncatedPoissonGaussian {
    /// Units of the data set.
    pub dataset_size: NonZeroU64,
    /// q.
    pub sampling_probability: SamplingRate,
    /// The largest batch.
    pub truncated_batch_size: NonZeroU64,
    /// σ.
    pub noise_multiplier: NoiseMultiplier,
}

impl Known for TruncatedPoissonGaussian {
    fn name(&self) -> &'static str {
        "the Gaussian mechanism over truncated Poisson samples"
    }

    fn canonical(self) -> Result<Mechanism, AccountingError> {
        if self.dataset_size.get() > binomial::MOST_TRIALS {
            return Err(AccountingError::TooLarge {
                mechanism: "truncated_poisson_gaussian",
                parameter: "dataset_size",
                limit: binomial::MOST_TRIALS,
            });
        }
        Ok(self.into())
    }

    /// Where others than the unit in question fill the batch, one unit may push out another.
    fn loss(&self, _adjacency: Adjacency) -> Option<Loss> {
        let (units, batch) = (self.dataset_size.get(), self.truncated_batch_size.get());
        let (q, sigma) = (self.sampling_probability.get(), self.noise_multiplier.get());
        let share = binomial::upper_tail(units - 1, q, batch);
        if share <= 0.0 {
            return Some(Loss::Sampled { q, sigma });
        }
        let kept = batch as f64 / units as f64;
        // A batch has at least one more where the unit itself is among those that were drawn.
        let drawn = binomial::upper_tail(units, q, batch.saturating_add(1));
        Some(Loss::Truncated {
            q,
            sigma,
            share: share.min(1.0),
            q_when_cut: (drawn * kept / share).clamp(1e-300, 1.0),
        })
    }
}
