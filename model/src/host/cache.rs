//! What a classifier keeps between one sum and the next: its weights as the host's engine wants
//! them.

use std::sync::{Arc, OnceLock};

use super::weights::{HostTables, HostWeights};
use crate::classifier::Classifier;

/// Kept in a classifier. Clones share the weights until one of them changes.
#[derive(Clone, Default)]
pub(crate) struct HostCache {
    weights: OnceLock<Arc<HostWeights>>,
    /// What no change of trained parameters changes.
    frozen: Option<HostTables>,
}

impl HostCache {
    /// The weights of `model`, whose cache this is.
    pub(crate) fn weights(&self, model: &Classifier) -> Arc<HostWeights> {
        let copy = || Arc::new(HostWeights::of(model, self.frozen.as_ref()));
        Arc::clone(self.weights.get_or_init(copy))
    }

    /// To be called when trained parameters have changed.
    pub(crate) fn forget_trained(&mut self) {
        if let Some(weights) = self.weights.take() {
            self.frozen = weights.frozen_tables();
        }
    }
}

impl std::fmt::Debug for HostCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostCache")
    }
}
