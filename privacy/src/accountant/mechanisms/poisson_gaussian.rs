//! The Gaussian mechanism over a Poisson sample of the units.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Gaussian, Known, Mechanism, Renyi};
use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::accountant::pld::{self, Loss};
use crate::accountant::{AccountingError, Delta, rdp};
use crate::poisson::SamplingRate;
use crate::unit::Adjacency;

/// A sum over a Poisson sample of the units, each clipped to C, plus N(0, (σ C)²).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoissonSampledGaussian {
    /// σ.
    pub noise_multiplier: NoiseMultiplier,
    /// q.
    pub sampling_probability: SamplingRate,
}

impl Ord for PoissonSampledGaussian {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |of: &Self| (of.sampling_probability, of.noise_multiplier);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for PoissonSampledGaussian {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Known for PoissonSampledGaussian {
    fn name(&self) -> &'static str {
        "the Poisson-sampled Gaussian mechanism"
    }

    fn canonical(self) -> Result<Mechanism, AccountingError> {
        Ok(if self.sampling_probability.is_all() {
            Gaussian {
                noise_multiplier: self.noise_multiplier,
            }
            .into()
        } else {
            self.into()
        })
    }

    /// Under replace-one adjacency, too: the law seen from that side has the doubled sensitivity in itself.
    fn loss(&self, _adjacency: Adjacency) -> Option<Loss> {
        Some(Loss::Sampled {
            q: self.sampling_probability.get(),
            sigma: self.noise_multiplier.get(),
        })
    }

    fn least_epsilon(&self, adjacency: Adjacency, delta: Delta) -> f64 {
        if adjacency == Adjacency::ReplaceOne {
            return 0.0;
        }
        let (q, sigma) = (self.sampling_probability.get(), self.noise_multiplier.get());
        pld::least_of_one_sample(q, sigma, delta)
    }

    fn renyi(&self, adjacency: Adjacency) -> Result<Renyi, AccountingError> {
        if adjacency == Adjacency::ReplaceOne {
            return Err(AccountingError::SampledReplaceOne);
        }
        let (q, sigma) = (self.sampling_probability.get(), self.noise_multiplier.get());
        Ok(Box::new(move |order| {
            rdp::sampled_gaussian_at(q, sigma, order)
        }))
    }
}
