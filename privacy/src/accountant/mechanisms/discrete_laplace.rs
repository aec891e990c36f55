//! The discrete Laplace mechanism.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::Known;
use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::accountant::pld::Loss;
use crate::unit::Adjacency;

/// Noise P(k) ∝ e^{-a |k|} on an integer of the given sensitivity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscreteLaplace {
    /// a.
    pub parameter: NoiseMultiplier,
    /// By how much one unit moves the integer, at least 1.
    pub integer_sensitivity: NonZeroU32,
}

impl Known for DiscreteLaplace {
    fn name(&self) -> &'static str {
        "the discrete Laplace mechanism"
    }

    fn loss(&self, adjacency: Adjacency) -> Option<Loss> {
        let units = match adjacency {
            Adjacency::AddOrRemove | Adjacency::ZeroOut => 1,
            Adjacency::ReplaceOne => 2,
        };
        Some(Loss::DiscreteLaplace {
            parameter: self.parameter.get(),
            sensitivity: u64::from(self.integer_sensitivity.get()) * units,
        })
    }

    fn is_symmetric(&self) -> bool {
        true
    }
}
