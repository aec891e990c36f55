//! The Gaussian mechanism over all units.

use serde::{Deserialize, Serialize};

use super::{Known, Renyi, sensitivity};
use crate::accountant::event::InvalidEvent;
use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::accountant::pld::CLOSED_FORM;
use crate::accountant::{AccountingError, Delta, gaussian};
use crate::poisson::SamplingRate;
use crate::unit::Adjacency;

/// A sum over all units, each clipped to C, plus N(0, (σ C)²).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "WrittenGaussian")]
pub struct Gaussian {
    /// σ.
    pub noise_multiplier: NoiseMultiplier,
}

/// The same as it is written, where a sampling probability of 1 may stand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGaussian {
    noise_multiplier: NoiseMultiplier,
    #[serde(default)]
    sampling_probability: Option<SamplingRate>,
}

impl TryFrom<WrittenGaussian> for Gaussian {
    type Error = InvalidEvent;

    fn try_from(written: WrittenGaussian) -> Result<Self, InvalidEvent> {
        match written.sampling_probability {
            Some(rate) if !rate.is_all() => Err(InvalidEvent::SampledGaussian(rate)),
            _ => Ok(Self {
                noise_multiplier: written.noise_multiplier,
            }),
        }
    }
}

impl Known for Gaussian {
    fn name(&self) -> &'static str {
        "the Gaussian mechanism"
    }

    fn unsampled_sigma(&self) -> Option<f64> {
        Some(self.noise_multiplier.get())
    }

    fn is_symmetric(&self) -> bool {
        true
    }

    fn least_epsilon(&self, adjacency: Adjacency, delta: Delta) -> f64 {
        let mu = sensitivity(adjacency) / self.noise_multiplier.get();
        gaussian::epsilon(mu, delta).get() * (1.0 - CLOSED_FORM)
    }

    /// α (sensitivity/σ)²/2.
    fn renyi(&self, adjacency: Adjacency) -> Result<Renyi, AccountingError> {
        let sigma = self.noise_multiplier.get() / sensitivity(adjacency);
        Ok(Box::new(move |order| order / (2.0 * sigma * sigma)))
    }
}
