//! ALBERT (Lan et al. 2020): BERT's layer under other names, one for all depths, behind embeddings
//! that are narrower than the hidden states.

use serde_json::{Map, Value, json};

use super::names::Names;
use super::{Activation, ConfigKeys, Family, Positions, TransformerSpec, keys};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const ALBERT: &dyn Family = &Albert;

struct Albert;

const NAMES: Names = Names {
    layers: "encoder.albert_layer_groups.0.albert_layers",
    parts: &[
        ("attention.self.query", "attention.query"),
        ("attention.self.key", "attention.key"),
        ("attention.self.value", "attention.value"),
        ("attention.output.dense", "attention.dense"),
        ("attention.output.LayerNorm", "attention.LayerNorm"),
        ("intermediate.dense", "ffn"),
        ("output.dense", "ffn_output"),
        ("output.LayerNorm", "full_layer_layer_norm"),
    ],
    others: &[
        ("embeddings_project", "encoder.embedding_hidden_mapping_in"),
        ("pooler.dense", "pooler"),
    ],
};

/// Keys that count layers with weights of their own, of which every published model has one.
const GROUPS: [&str; 2] = ["num_hidden_groups", "inner_group_num"];

/// `embedding_size` where the configuration has none, as in transformers' `AlbertConfig`.
const EMBEDDING_SIZE: usize = 128;

impl Family for Albert {
    fn model_type(&self) -> &'static str {
        "albert"
    }

    fn class(&self) -> &'static str {
        "Albert"
    }

    fn prefix(&self) -> &'static str {
        "albert"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        for key in GROUPS {
            let groups = config.optional_size(key)?.unwrap_or(1);
            if groups != 1 {
                return Err(ModelError::Config(format!(
                    "{key} is {groups}; only 1, one layer for all depths, is supported"
                )));
            }
        }
        let spec = config.encoder(self, Positions::FromZero)?;
        let embedding_size = config.optional_size("embedding_size")?;
        Ok(TransformerSpec {
            embedding_size: embedding_size.unwrap_or(EMBEDDING_SIZE),
            // Also where the two widths are one.
            projects_embeddings: true,
            shared_layers: true,
            activation: match config.has("hidden_act") {
                true => spec.activation,
                false => Activation::GeluTanh,
            },
            ..spec
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let mut keys = keys::written(spec);
        keys.insert("embedding_size".into(), json!(spec.embedding_size));
        keys.extend(GROUPS.map(|key| (key.into(), json!(1))));
        keys
    }

    fn file_name(&self, name: &str, _pooling: Pooling) -> String {
        match name.starts_with("classifier") {
            true => name.to_owned(),
            false => NAMES.of(self.prefix(), name),
        }
    }

    fn head(&self, pooling: Pooling) -> &'static [&'static str] {
        match pooling {
            Pooling::Pooler => &["classifier", "pooler"],
            Pooling::Cls | Pooling::Mean | Pooling::Last => &["classifier"],
        }
    }
}
