//! The Laplace mechanism, over all units or a Poisson sample of them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Known, Renyi, sensitivity};
use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::accountant::pld::{CLOSED_FORM, Loss};
use crate::accountant::{AccountingError, Delta, rdp};
use crate::poisson::SamplingRate;
use crate::unit::Adjacency;

/// Laplace noise on a sum of L1 sensitivity 1, over a Poisson sample of the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Laplace {
    /// The noise's scale over the sensitivity.
    pub scale_over_sensitivity: NoiseMultiplier,
    /// q; 1 for all units.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub sampling_probability: SamplingRate,
}

fn all() -> SamplingRate {
    SamplingRate::ALL
}

fn is_all(rate: &SamplingRate) -> bool {
    rate.is_all()
}

impl Ord for Laplace {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |of: &Self| (of.sampling_probability, of.scale_over_sensitivity);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Laplace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Known for Laplace {
    fn name(&self) -> &'static str {
        if self.sampling_probability.is_all() {
            "the Laplace mechanism"
        } else {
            "the Poisson-sampled Laplace mechanism"
        }
    }

    fn loss(&self, adjacency: Adjacency) -> Option<Loss> {
        // Replacing one unit may change both who is sampled and what is summed.
        let known = self.is_symmetric() || adjacency != Adjacency::ReplaceOne;
        known.then(|| Loss::Laplace {
            q: self.sampling_probability.get(),
            scale: self.scale_over_sensitivity.get() / sensitivity(adjacency),
        })
    }

    fn is_symmetric(&self) -> bool {
        self.sampling_probability.is_all()
    }

    /// From δ(ε) = 1 - e^{(ε - 1/b)/2}.
    fn least_epsilon(&self, adjacency: Adjacency, delta: Delta) -> f64 {
        if !self.sampling_probability.is_all() {
            return 0.0;
        }
        let most = sensitivity(adjacency) / self.scale_over_sensitivity.get();
        (most + 2.0 * (-delta.get()).ln_1p()) * (1.0 - CLOSED_FORM) - 1e-12
    }

    fn renyi(&self, adjacency: Adjacency) -> Result<Renyi, AccountingError> {
        if !self.sampling_probability.is_all() {
            return Err(AccountingError::Unsupported {
                accountant: "rdp",
                mechanism: self.name(),
                adjacency,
            });
        }
        let scale = self.scale_over_sensitivity.get() / sensitivity(adjacency);
        Ok(Box::new(move |order| rdp::laplace(scale, order)))
    }
}
