//! DistilBERT (Sanh et al. 2019): BERT's layers under other names, without segments.
//!
//! Its classifiers' dense layer is `pre_classifier`, with ReLU behind it.

use serde_json::{Map, Value, json};

use super::names::{Names, Words, renamed};
use super::{
    Activation, ConfigKeys, EncoderClass, Family, LayerShape, PoolerActivation, PoolerShape,
    Positions, TransformerSpec,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const DISTILBERT: &dyn Family = &DistilBert;

struct DistilBert;

const NAMES: Names = Names {
    layers: "transformer.layer",
    parts: &[
        ("attention.self.query", "attention.q_lin"),
        ("attention.self.key", "attention.k_lin"),
        ("attention.self.value", "attention.v_lin"),
        ("attention.output.dense", "attention.out_lin"),
        ("attention.output.LayerNorm", "sa_layer_norm"),
        ("intermediate.dense", "ffn.lin1"),
        ("output.dense", "ffn.lin2"),
        ("output.LayerNorm", "output_layer_norm"),
    ],
    others: &[],
};

/// What its files call the head's first layer.
const HEAD: Words = &[("pooler.dense", "pre_classifier")];

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
        match name.starts_with("classifier") {
            true => name.to_owned(),
            false => renamed(HEAD, name).unwrap_or_else(|| NAMES.of(self.prefix(), name)),
        }
    }

    fn head(&self, pooling: Pooling) -> &'static [&'static str] {
        match pooling {
            Pooling::Pooler => &["pre_classifier", "classifier"],
            Pooling::Cls | Pooling::Mean | Pooling::Last => &["classifier"],
        }
    }

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass::BARE
    }
}
