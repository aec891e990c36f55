//! The transformer classifier: checkpoints, tokens, data, per-unit private gradients,
//! evaluation.
//!
//! | module | what it is for |
//! |---|---|
//! | [`Classifier`] | a [`Model`] (network, tokeniser and labels, on a device) and its trainer |
//! | [`families`] | which encoders there are, and how their files are read |
//! | [`ModelFiles`] | Hugging Face folders, in and out |
//! | [`ClassifierOptions`], [`TrainableSet`], [`LoraConfig`] | what is made of an encoder and which parameters are trained: a plan's own words, from `umbel-proto` |
//! | [`gradient_sum`] | sums of clipped per-unit gradients |
//! | [`Optimiser`], [`optimiser`] | steps over flat parameters |
//! | [`data`], [`metrics`] | labelled tables, and how good predictions are |
//! | [`DeviceChoice`], [`ComputePrecision`] | CPU or GPU, and the format in which it multiplies |

// Tests inside of the crate share the ones outside's small classifier.
#[cfg(test)]
extern crate self as umbel_model;

mod charsmap;
mod checkpoint;
mod classifier;
mod compute_precision;
pub mod data;
mod device;
mod error;
pub mod families;
mod inference;
mod lora;
mod loss;
pub mod metrics;
mod model;
mod network;
pub mod optimiser;
mod parameters;
mod target;
mod task;
mod text_lengths;
mod tokenizer;
mod tokenizer_check;
mod tokens;
mod trainer;
mod training;

pub use checkpoint::{ModelFiles, Origin, Precision, Reading};
pub use classifier::Classifier;
pub use compute_precision::ComputePrecision;
pub use device::DeviceChoice;
pub use error::ModelError;
/// Kernels of the CPU's engine, for benchmarks.
pub mod kernels {
    pub use crate::trainer::kernels::{Kernel, kernels, square_product};
}
pub use inference::{check_scores, last_hidden_state, logits, predict, tokenise, tokens_of};
pub use model::Model;
pub use optimiser::Optimiser;
pub use parameters::{LayoutEntry, ParameterLayout, Part, Role};
pub use target::Target;
pub use text_lengths::TextLengths;
pub use tokenizer::Tokenizer;
pub use tokens::{TokenRow, Tokens};
pub use trainer::{Clipping, Example, GradientSum, KeptStates, PhysicalBatch, TrainingRows};
pub use training::gradient_sum;
pub use umbel_proto::classifier::{
    ClassifierOptions, Dropout, HeadScale, MaxTokens, Pooling, TrainableSet,
};
pub use umbel_proto::lora::{LoraConfig, LoraTarget, LoraTargets};
pub use umbel_proto::task::{Task, TaskKind, Threshold};
