//! MPNet (Song et al. 2020): BERT's layers under other names, RoBERTa's positions and head, and a
//! bias of attention's scores by how far apart two tokens are, from one table for all layers.

use serde_json::{Map, Value, json};

use super::names::Names;
use super::{
    ConfigKeys, EncoderClass, Family, Positions, TransformerSpec, keys, relative, roberta,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const MPNET: &dyn Family = &Mpnet;

struct Mpnet;

/// The padding id after which positions are counted: transformers takes no other.
const PADDING: u32 = 1;

const NAMES: Names = Names {
    layers: "encoder.layer",
    parts: &[
        ("attention.self.query", "attention.attn.q"),
        ("attention.self.key", "attention.attn.k"),
        ("attention.self.value", "attention.attn.v"),
        ("attention.output.dense", "attention.attn.o"),
        ("attention.output.LayerNorm", "attention.LayerNorm"),
    ],
    others: &[],
};

/// The number of buckets in `config.json`.
const BUCKETS: &str = "relative_attention_num_buckets";

impl Family for Mpnet {
    fn model_type(&self) -> &'static str {
        "mpnet"
    }

    fn class(&self) -> &'static str {
        "MPNet"
    }

    fn prefix(&self) -> &'static str {
        "mpnet"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        let buckets = config.optional_size(BUCKETS)?.unwrap_or(relative::BUCKETS);
        if buckets != relative::BUCKETS {
            return Err(ModelError::Config(format!(
                "{BUCKETS} is {buckets}; only {} is supported",
                relative::BUCKETS
            )));
        }
        Ok(TransformerSpec {
            token_types: None,
            relative_bias: true,
            ..config.encoder(self, Positions::AfterPadding(PADDING))?
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let mut keys = keys::written(spec);
        keys.insert(BUCKETS.into(), json!(relative::BUCKETS));
        keys
    }

    fn file_name(&self, name: &str, pooling: Pooling) -> String {
        let head = roberta::head_name(name, pooling);
        head.unwrap_or_else(|| NAMES.of(self.prefix(), name))
    }

    fn head(&self, _pooling: Pooling) -> &'static [&'static str] {
        &["classifier"]
    }

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass {
            has_pooler: true,
            has_segments: false,
        }
    }
}
