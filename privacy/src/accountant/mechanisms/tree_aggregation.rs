//! Prefix sums by a binary tree.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{Known, Mechanism, scaled_gaussian};
use crate::accountant::AccountingError;
use crate::accountant::noise_multiplier::NoiseMultiplier;

/// Binary-tree aggregation of prefix sums in which each unit takes part once (Kairouz et al. 2021, "Practical and
/// Private (Deep) Learning without Sampling").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeAggregation {
    /// σ of every node of the tree.
    pub noise_multiplier: NoiseMultiplier,
    /// Steps of the tree.
    pub step_count: NonZeroU64,
}

impl Known for TreeAggregation {
    fn name(&self) -> &'static str {
        "tree aggregation"
    }

    /// One Gaussian release of the tree's nodes.
    fn canonical(self) -> Result<Mechanism, AccountingError> {
        let sensitivity = sensitivity(self.step_count);
        Ok(scaled_gaussian(self.noise_multiplier, sensitivity))
    }
}

/// √depth of a binary tree over `steps` leaves in which a unit is one leaf: it is in every node on the path to the root,
/// ⌈log₂(steps + 1)⌉ of them, as trees are completed level by level (Kairouz et al. 2021, §B).
fn sensitivity(steps: NonZeroU64) -> f64 {
    let depth = u64::BITS - steps.leading_zeros();
    f64::from(depth).sqrt()
}
