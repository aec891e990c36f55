//! DistilBERT (Sanh et al. 2019): BERT's layers under other names, without segments.
//!
//! Its classifiers' dense layer is `pre_classifier`, with ReLU behind it.

use serde_json::{Map, Value, json};

use super::{
    Activation, ConfigKeys, EncoderClass, Family, LayerShape, PoolerActivation, PoolerShape,
    Positions, TransformerSpec,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const DISTILBERT: &dyn Family = &DistilBert;

struct DistilBert;

/// An encoder layer's parts, by their names in BERT.
const PARTS: [(&str, &str); 8] = [
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.dense", "ffn.lin2"),
    ("output.LayerNorm", "output_layer_norm"),
];

impl Family for DistilBert {
    fn model_type(&self) -> &'static str {
        "distilbert"
    }

    fn class(&self) -> &'static str {
        "DistilBert"
    }

    fn prefix(&self) -> &'static str {
        "distilbert"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        let activation = config.word("activation")?.unwrap_or("gelu");
        let heads = config.size("n_heads")?;
        let hidden_size = config.size("dim")?;
        Ok(TransformerSpec {
            family: self,
            vocab_size: config.size("vocab_size")?,
            embedding_size: hidden_size,
            projects_embeddings: false,
            hidden_size,
            layers: config.size("n_layers")?,
            shared_layers: false,
            layer: LayerShape::BERT,
            heads,
            key_value_heads: heads,
            causal: false,
            intermediate_size: config.size("hidden_dim")?,
            position_rows: config
                .optional_size("max_position_embeddings")?
                .unwrap_or(512),
            positions: Positions::FromZero,
            norms_embeddings: true,
            padding: None,
            rotations: Vec::new(),
            token_types: None,
            relative_bias: false,
            disentangled: None,
            layer_norm_epsilon: 1e-12,
            activation: activation.parse()?,
            pooler: PoolerShape::of(PoolerActivation::Like(Activation::Relu)),
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let keys = json!({
            "model_type": self.model_type(),
            "vocab_size": spec.vocab_size,
            "dim": spec.hidden_size,
            "n_layers": spec.layers,
            "n_heads": spec.heads,
            "hidden_dim": spec.intermediate_size,
            "max_position_embeddings": spec.position_rows,
            "activation": spec.activation.word(),
        });
        keys.as_object().cloned().unwrap_or_default()
    }

    fn file_name(&self, name: &str, _pooling: Pooling) -> String {
        if let Some(rest) = name.strip_prefix("pooler.dense") {
            return format!("pre_classifier{rest}");
        }
        if name.starts_with("classifier") {
            return name.to_owned();
        }
        let layer = name.strip_prefix("encoder.layer.");
        let Some((index, part)) = layer.and_then(|layer| layer.split_once('.')) else {
            return format!("distilbert.{name}");
        };
        let mut parts = PARTS.iter();
        let renamed =
            parts.find_map(|(bert, own)| Some(format!("{own}{}", part.strip_prefix(bert)?)));
        let part = renamed.unwrap_or_else(|| part.to_owned());
        format!("distilbert.transformer.layer.{index}.{part}")
    }

    fn head(&self, pooling: Pooling) -> &'static [&'static str] {
        match pooling {
            Pooling::Pooler => &["pre_classifier", "classifier"],
            Pooling::Cls | Pooling::Mean | Pooling::Last => &["classifier"],
        }
    }

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass {
            has_pooler: false,
            has_segments: false,
        }
    }
}
