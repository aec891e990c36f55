//! What is kept between one sum and the next: a model's weights as the CPU's engine wants them.

use std::sync::{Arc, Mutex, PoisonError};

use super::weights::HostWeights;
use crate::model::{Model, Stamp};

/// The last model's weights. A round asks for them several times, and copying them takes a share
/// of a small step's time.
#[derive(Default)]
pub(super) struct WeightsCache {
    /// Locked while weights are copied, so that two threads that score one model copy them once.
    last: Mutex<Option<(Stamp, Arc<HostWeights>)>>,
}

impl WeightsCache {
    /// The weights of `model`: those at hand if it hasn't changed, and else copied anew, but for
    /// what isn't trained.
    pub(super) fn of(&self, model: &Model) -> Arc<HostWeights> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, so that old weights are let go before there is memory for new ones.
        let frozen = match last.take() {
            Some((stamp, weights)) if stamp == model.stamp() => {
                *last = Some((stamp, Arc::clone(&weights)));
                return weights;
            }
            Some((stamp, weights)) if stamp.has_the_frozen_weights_of(model.stamp()) => {
                Some(weights.frozen())
            }
            _ => None,
        };
        let weights = Arc::new(HostWeights::of(model, frozen.as_ref()));
        *last = Some((model.stamp(), Arc::clone(&weights)));
        weights
    }
}

impl std::fmt::Debug for WeightsCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeightsCache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::support;
    use umbel_proto::classifier::{Pooling, TrainableSet};

    #[test]
    fn a_model_that_was_changed_has_other_weights_and_a_clone_that_was_not_the_same() {
        let cache = WeightsCache::default();
        let model = support::tiny(support::options(Pooling::Mean, TrainableSet::Encoder));
        let first = cache.of(&model);
        assert!(Arc::ptr_eq(&first, &cache.of(&model.clone())));
        let mut moved = model.clone();
        let parameters: Vec<f32> = model.parameters().iter().map(|x| x + 1.0).collect();
        moved.set_parameters(&parameters).expect("parameters");
        let second = cache.of(&moved);
        assert_ne!(first.classifier.weight, second.classifier.weight);
        // What isn't trained is shared, and the first model still has its own numbers.
        let word = |weights: &HostWeights| Arc::clone(&weights.embeddings.tables.word);
        assert!(Arc::ptr_eq(&word(&first), &word(&second)));
        let again = cache.of(&model);
        assert_eq!(again.classifier.weight, first.classifier.weight);
        // Trained layers are copied, and frozen ones aren't.
        assert!(!Arc::ptr_eq(&first.layers[0], &second.layers[0]));
        let mut head = support::tiny(support::options(Pooling::Mean, TrainableSet::Head));
        let before = cache.of(&head);
        let parameters: Vec<f32> = head.parameters().iter().map(|x| x + 1.0).collect();
        head.set_parameters(&parameters).expect("parameters");
        let after = cache.of(&head);
        assert_ne!(before.classifier.bias, after.classifier.bias);
        assert!(Arc::ptr_eq(&before.layers[1], &after.layers[1]));
        // Another model of the same shape shares nothing.
        let other = support::tiny(support::options(Pooling::Mean, TrainableSet::Encoder));
        assert!(!Arc::ptr_eq(&word(&again), &word(&cache.of(&other))));
    }
}
