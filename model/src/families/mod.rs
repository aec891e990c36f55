//! Model families: how an encoder's `config.json` is read, what its tensors are called in files,
//! and what transformers needs to open it again.
//!
//! A family is a file with one implementation of [`Family`], and a line in [`FAMILIES`]. Both
//! engines and the checkpoint's reader and writer see only the [`TransformerSpec`] that it reads
//! and the names that it gives; `model/tests/families` has the tests that every family passes.

mod activation;
mod albert;
mod bert;
mod deberta;
mod decoder;
mod disentangled;
mod distilbert;
mod electra;
mod gpt2;
mod keys;
mod layer_shape;
mod llama;
mod modernbert;
mod mpnet;
mod names;
pub(crate) mod relative;
mod roberta;
mod rotation;
mod spec;
mod states_read;

pub use activation::{Activation, PoolerActivation, PoolerShape};
pub use bert::BERT;
pub use disentangled::Disentangled;
pub use keys::ConfigKeys;
pub use layer_shape::LayerShape;
pub use rotation::Rotation;
pub use spec::{Positions, TransformerSpec};
pub(crate) use states_read::StatesRead;

use std::fmt;

use serde_json::{Map, Value};

use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// Every family that is supported, by its line. A file without `model_type` is of the first:
/// the oldest checkpoints have none.
#[rustfmt::skip]
pub const FAMILIES: &[&dyn Family] = &[
    bert::BERT,
    roberta::ROBERTA,
    roberta::XLM_ROBERTA,
    roberta::CAMEMBERT,
    distilbert::DISTILBERT,
    electra::ELECTRA,
    mpnet::MPNET,
    albert::ALBERT,
    modernbert::MODERNBERT,
    deberta::DEBERTA_V2,
    gpt2::GPT2,
    llama::LLAMA,
];

/// Encoders that share a `config.json`, tensor names and classes in transformers.
pub trait Family: Sync {
    /// What `model_type` says in its `config.json`.
    fn model_type(&self) -> &'static str;

    /// How its classes in transformers begin: `Bert` of `BertForSequenceClassification`.
    fn class(&self) -> &'static str;

    /// Where those classes keep the encoder. Its tensors' names begin with it.
    fn prefix(&self) -> &'static str;

    /// Reads what the encoder is built from.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the key that is missing or not supported.
    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError>;

    /// The keys from which [`Family::spec`] reads the same again.
    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        keys::written(spec)
    }

    /// A tensor's name in this family's classifiers with this pooling, from its name in the
    /// layout, which is BERT's without `bert.`: one name for the same layer of all families, so
    /// that adapters, trainable sets and their order mean the same everywhere.
    fn file_name(&self, name: &str, _pooling: Pooling) -> String {
        match name.starts_with("classifier") {
            true => name.to_owned(),
            false => format!("{}.{name}", self.prefix()),
        }
    }

    /// The layers beside the encoder, as its classifiers with this pooling call them.
    fn head(&self, pooling: Pooling) -> &'static [&'static str];

    /// The poolings that it can have, of which the first is that of its classifiers in transformers.
    fn poolings(&self) -> &'static [Pooling] {
        &[Pooling::Pooler, Pooling::Mean, Pooling::Cls]
    }

    /// Whether a linear layer's weight lies `[in, out]` in files, by its name in them; Hugging Face
    /// has most the other way round.
    fn inputs_first(&self, _file_name: &str) -> bool {
        false
    }

    /// How its encoder's class in transformers is built and called.
    fn encoder_class(&self) -> EncoderClass {
        EncoderClass::default()
    }
}

/// What an encoder's class in transformers takes.
#[derive(Clone, Copy, Debug)]
pub struct EncoderClass {
    /// Whether it is built with a pooler unless `add_pooling_layer=False`.
    pub has_pooler: bool,
    /// Whether it is called with `token_type_ids`.
    pub has_segments: bool,
}

impl EncoderClass {
    /// The encoder by itself, which is called with token ids alone.
    pub(crate) const BARE: Self = Self {
        has_pooler: false,
        has_segments: false,
    };
}

impl Default for EncoderClass {
    fn default() -> Self {
        Self {
            has_pooler: true,
            has_segments: true,
        }
    }
}

impl fmt::Debug for dyn Family + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model_type())
    }
}

impl PartialEq for dyn Family {
    fn eq(&self, other: &Self) -> bool {
        self.model_type() == other.model_type()
    }
}

/// The family that `model_type` names.
///
/// # Errors
/// [`ModelError::Config`] with the names of those that are supported.
pub fn named(model_type: &str) -> Result<&'static dyn Family, ModelError> {
    let mut families = FAMILIES.iter().copied();
    let found = families.find(|family| family.model_type() == model_type);
    found.ok_or_else(|| {
        let why = why_not(model_type);
        unsupported(&format!("model_type is `{model_type}`{why}"))
    })
}

/// Refuses a model, with what can be read instead.
fn unsupported(what: &str) -> ModelError {
    let supported: Vec<_> = FAMILIES.iter().map(|family| family.model_type()).collect();
    ModelError::Config(format!(
        "{what}, which isn't supported; use a model of one of these types: {}",
        supported.join(", ")
    ))
}

/// What stands against a model of this type, where that is known.
fn why_not(model_type: &str) -> &'static str {
    match model_type {
        "t5" | "mt5" | "bart" | "mbart" | "pegasus" | "marian" | "umt5" | "longt5" => {
            " (an encoder with a decoder)"
        }
        "mistral" | "mixtral" | "gemma3_text" | "gpt_oss" => {
            " (a decoder whose attention has a sliding window)"
        }
        "qwen2" => " (a decoder with biases at queries, keys and values)",
        "qwen3" => " (a decoder that normalises queries and keys)",
        "gemma" | "gemma2" => {
            " (a decoder whose normalisations and embeddings are scaled otherwise)"
        }
        "gpt_neo" | "gpt_neox" | "phi" | "phi3" | "opt" | "bloom" | "falcon" | "llama4_text"
        | "smollm3" | "olmo2" => " (a decoder whose layers are put together otherwise)",
        "vit" | "deit" | "beit" | "swin" | "convnext" | "resnet" | "clip" | "dinov2" => {
            " (it reads images)"
        }
        "deberta" => " (whose queries, keys and values have no biases of their own)",
        "wav2vec2" | "hubert" | "whisper" | "wavlm" => " (it reads sound)",
        _ => "",
    }
}

/// The family whose classes' names begin as this one. The oldest checkpoints have no `model_type`,
/// and no class either: they are of the first family.
fn of_class(class: Option<&str>) -> Result<&'static dyn Family, ModelError> {
    let Some(class) = class else {
        return Ok(FAMILIES[0]);
    };
    let mut families = FAMILIES.iter().copied();
    let found = families.find(|family| class.starts_with(family.class()));
    found.ok_or_else(|| {
        unsupported(&format!(
            "there is no model_type, and architectures names a `{class}`"
        ))
    })
}

impl TransformerSpec {
    /// Reads `config.json`: which family it is first, so that another one is refused by its name
    /// and not for a key that only BERT has.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the family or the key.
    pub fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let keys = ConfigKeys::parse(json)?;
        let family = match keys.word("model_type")? {
            Some(model_type) => named(model_type)?,
            None => of_class(keys.class())?,
        };
        if keys.has("quantization_config") {
            return Err(ModelError::Config(
                "quantization_config says that the weights are quantised, which isn't supported; \
                 use the model's own weights, in F32, F16 or BF16"
                    .into(),
            ));
        }
        family.spec(&keys)?.checked()
    }
}
