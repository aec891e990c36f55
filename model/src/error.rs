//! What can go wrong with a model: every message names the file or tensor and what to do.

use std::path::{Path, PathBuf};
use umbel_privacy::word::UnknownWord;

use umbel_proto::classifier::Pooling;
use umbel_proto::task::TaskKind;

/// Why a model can't be read, built, run or saved.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the model can't be read.
    #[error("can't read {}: {source}; a model folder has config.json, weights and a tokeniser, such as model.safetensors and tokenizer.json", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder, or one of its files, isn't what a model's is.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What it is, and what to do.
        reason: String,
    },
    /// A file can't be written.
    #[error("can't write {}: {source}; is there space, and may you write there?", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `config.json` isn't that of an encoder that this version knows.
    #[error("config.json: {0}")]
    Config(String),
    /// `tokenizer.json` can't be used, or a text can't be tokenised.
    #[error("tokenizer.json: {0}")]
    Tokenizer(String),
    /// `model.safetensors` is damaged.
    #[error("model.safetensors: {0}; the file is damaged or cut short: fetch it again")]
    Weights(String),
    /// A tensor isn't there.
    #[error(
        "{file}: there is no tensor `{name}` (nor `{prefix}.{name}`); does config.json belong to it?"
    )]
    MissingTensor {
        /// The file.
        file: String,
        /// Its name in the file.
        name: String,
        /// What the encoder's names begin with in a classifier's file.
        prefix: &'static str,
    },
    /// An encoder without a head.
    #[error(
        "{file}: there is no tensor `{name}`, so this isn't a trained classifier; train one from it \
         with `umbel simulate` or a federation"
    )]
    NoClassifier {
        /// The file.
        file: String,
        /// The tensor's name in the file.
        name: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "{file}: tensor `{name}` has shape {found:?}, but config.json asks for {expected:?}; the two files don't belong together"
    )]
    TensorShape {
        /// The file.
        file: String,
        /// Its Hugging Face name.
        name: String,
        /// What it should be.
        expected: Vec<usize>,
        /// What it is.
        found: Vec<usize>,
    },
    /// A tensor has a data type that can't be a weight.
    #[error("{file}: tensor `{name}` has data type {found}; weights must be F32, F16, BF16 or F64")]
    TensorType {
        /// The file.
        file: String,
        /// Its Hugging Face name.
        name: String,
        /// What it is.
        found: String,
    },
    /// A model whose answers aren't one label a text.
    #[error(
        "config.json: this is a {task} model (problem_type), and {purpose} needs one label for each \
         text; `umbel predict` gives its answers"
    )]
    Task {
        /// What its answers are.
        task: TaskKind,
        /// What can't be done with it.
        purpose: &'static str,
    },
    /// A pooling that a family can't have.
    #[error(
        "pooling `{pooling}` isn't for a model of the type {model_type}: {reason}; use {others}"
    )]
    Pooling {
        /// The pooling.
        pooling: Pooling,
        /// Whose family it is.
        model_type: &'static str,
        /// Why it can't be.
        reason: &'static str,
        /// Those that it can have.
        others: String,
    },
    /// A regression whose values don't begin at zero, with a last layer that can't add to them.
    #[error(
        "values begin at {offset}, but the last layer of a {model_type} has no bias to add it with \
         pooling `last`; use an offset of 0, or pooling `mean`"
    )]
    NoBias {
        /// Whose family it is.
        model_type: &'static str,
        /// Where values have their zero.
        offset: f64,
    },
    /// A weight is NaN or infinite.
    #[error(
        "{place} holds NaN or infinity at position {index}; the training diverged or the file is damaged"
    )]
    NotFinite {
        /// A tensor, or the parameters as a whole.
        place: String,
        /// Where in it.
        index: usize,
    },
    /// Scores that are NaN or infinite, though no weight is.
    #[error(
        "the model's scores aren't finite numbers (NaN or infinity): its training diverged, or its \
         files are damaged; use another model, or train with a lower learning rate"
    )]
    Scores,
    /// Parameters of another length.
    #[error("{found} parameters were given, but the trainable set has {expected}")]
    ParameterCount {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A word that names nothing.
    #[error(transparent)]
    Word(#[from] UnknownWord),
    /// Adapters that can't be.
    #[error("LoRA: {0}")]
    Lora(String),
    /// A row that doesn't fit the model.
    #[error("row {row}: {reason}")]
    Row {
        /// From 0.
        row: usize,
        /// Why.
        reason: String,
    },
    /// Too little memory for training.
    #[error(
        "training this model on rows of up to {tokens} tokens takes {} MB of memory, and {} MB are \
         allowed; allow more, or lower model.max_tokens",
        needed.div_ceil(1_000_000), given / 1_000_000
    )]
    Memory {
        /// The bytes allowed.
        given: u64,
        /// The least bytes that would do.
        needed: u64,
        /// The longest row's tokens.
        tokens: usize,
    },
    /// A device that isn't there, or failed.
    #[error("device: {0}")]
    Device(String),
}

impl ModelError {
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }

    pub(crate) fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Unwritable { path, source }
    }
}
