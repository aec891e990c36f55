//! The transformer classifier: checkpoints, tokens, data, per-unit private gradients, evaluation.
