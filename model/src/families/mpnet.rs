//! MPNet (Song et al. 2020): BERT's layers under other names, RoBERTa's positions and head, and a
//! bias of attention's scores by how far apart two tokens are, from one table for all layers.

use serde_json::{Map, Value, json};

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

/// An encoder layer's parts that have other names than in BERT.
const PARTS: [(&str, &str); 5] = [
    ("attention.self.query", "attention.attn.q"),
    ("attention.self.key", "attention.attn.k"),
    ("attention.self.value", "attention.attn.v"),
    ("attention.output.dense", "attention.attn.o"),
    ("attention.output.LayerNorm", "attention.LayerNorm"),
];

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
        if let Some(head) = roberta::head_name(name, pooling) {
            return head;
        }
        let layer = name.strip_prefix("encoder.layer.");
        let Some((index, part)) = layer.and_then(|layer| layer.split_once('.')) else {
            return format!("mpnet.{name}");
        };
        let mut parts = PARTS.iter();
        let renamed =
            parts.find_map(|(bert, own)| Some(format!("{own}{}", part.strip_prefix(bert)?)));
        let part = renamed.unwrap_or_else(|| part.to_owned());
        format!("mpnet.encoder.layer.{index}.{part}")
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
