//! The noise multiplier.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The noise multiplier σ: the noise's standard deviation divided by the clipping norm
/// C (whatever the adjacency). Finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct NoiseMultiplier(f64);

/// A number that can't be a noise multiplier.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} isn't a noise multiplier; use a finite number above 0, e.g. 1.0")]
pub struct InvalidNoiseMultiplier(pub f64);

impl NoiseMultiplier {
    /// σ as a float.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Never NaN, so that it equals itself.
impl Eq for NoiseMultiplier {}

impl Ord for NoiseMultiplier {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for NoiseMultiplier {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<f64> for NoiseMultiplier {
    type Error = InvalidNoiseMultiplier;

    fn try_from(value: f64) -> Result<Self, InvalidNoiseMultiplier> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(InvalidNoiseMultiplier(value))
        }
    }
}

impl From<NoiseMultiplier> for f64 {
    fn from(sigma: NoiseMultiplier) -> f64 {
        sigma.0
    }
}

impl fmt::Display for NoiseMultiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
