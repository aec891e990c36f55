//! Which weights a model has, so that what was computed from them can be kept outside of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Models with equal stamps have equal weights: clones, until one of them is given others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Of all weights when the model was made.
    made: u64,
    /// Of the trained parameters.
    trained: u64,
}

impl Stamp {
    /// Of a model that was just made.
    pub(crate) fn new() -> Self {
        let made = next();
        Self {
            made,
            trained: made,
        }
    }

    /// Of the same model with other trained parameters.
    pub(crate) fn of_other_parameters(self) -> Self {
        Self {
            trained: next(),
            ..self
        }
    }

    /// Whether both models have the same frozen weights, whatever was trained.
    pub(crate) fn has_the_frozen_weights_of(self, other: Self) -> bool {
        self.made == other.made
    }
}

/// A number that no stamp of this process has.
fn next() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // Whoever sees the number has the model that it stands for, so no order beyond the counter's
    // own is needed.
    LAST.fetch_add(1, Ordering::Relaxed)
}
