//! What a classifier keeps between one sum and the next: its weights as the host's engine wants
//! them, and buffers.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::weights::{HostTables, HostWeights};
use super::workspace::Workspace;
use crate::classifier::Classifier;

/// Kept in a classifier. Clones share the buffers, and the weights until one of them changes.
#[derive(Clone, Default)]
pub(crate) struct HostCache {
    weights: OnceLock<Arc<HostWeights>>,
    /// What no change of trained parameters changes.
    frozen: Option<HostTables>,
    workspaces: Arc<Mutex<Vec<Workspace>>>,
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

    /// So many workspaces: those at hand, and new ones.
    pub(crate) fn take_workspaces(&self, count: usize) -> Vec<Workspace> {
        let mut kept = self
            .workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let from = kept.len().saturating_sub(count);
        let mut taken = kept.split_off(from);
        taken.resize_with(count, Workspace::default);
        taken
    }

    /// Gives workspaces back.
    pub(crate) fn give_workspaces(&self, workspaces: Vec<Workspace>) {
        let mut kept = self
            .workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.extend(workspaces);
    }
}

impl std::fmt::Debug for HostCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostCache")
    }
}
