//! GPT-2 (Radford et al. 2019): a decoder whose layers normalise before they compute, with a table of
//! positions and nothing between the embeddings and the first layer.
//!
//! Its linear layers are `Conv1D` in transformers, whose weights lie `[in, out]` in files. A
//! classifier reads the last token's state, by one linear layer without a bias, `score`.

use serde_json::{Map, Value, json};

use super::decoder::{POOLINGS, padding, put_padding, score};
use super::names::Names;
use super::{
    ConfigKeys, EncoderClass, Family, LayerShape, PoolerActivation, PoolerShape, Positions,
    TransformerSpec,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const GPT2: &dyn Family = &Gpt2;

struct Gpt2;

const NAMES: Names = Names {
    layers: "h",
    parts: &[
        ("attention.self.qkv", "attn.c_attn"),
        ("attention.output.dense", "attn.c_proj"),
        ("attention.LayerNorm", "ln_1"),
        ("intermediate.dense", "mlp.c_fc"),
        ("intermediate.LayerNorm", "ln_2"),
        ("output.dense", "mlp.c_proj"),
    ],
    others: &[
        ("embeddings.word_embeddings", "wte"),
        ("embeddings.position_embeddings", "wpe"),
        ("encoder.LayerNorm", "ln_f"),
    ],
};

impl Family for Gpt2 {
    fn model_type(&self) -> &'static str {
        "gpt2"
    }

    fn class(&self) -> &'static str {
        "GPT2"
    }

    fn prefix(&self) -> &'static str {
        "transformer"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        check(config)?;
        let activation = config.word("activation_function")?.unwrap_or("gelu_new");
        let hidden_size = config.size("n_embd")?;
        let heads = config.size("n_head")?;
        let inner = config.optional_size("n_inner")?;
        Ok(TransformerSpec {
            family: self,
            vocab_size: config.size("vocab_size")?,
            embedding_size: hidden_size,
            projects_embeddings: false,
            hidden_size,
            layers: config.size("n_layer")?,
            shared_layers: false,
            layer: LayerShape::GPT2,
            heads,
            key_value_heads: heads,
            causal: true,
            intermediate_size: inner.unwrap_or(hidden_size.saturating_mul(4)),
            position_rows: config.optional_size("n_positions")?.unwrap_or(1024),
            positions: Positions::FromZero,
            norms_embeddings: false,
            padding: padding(config)?,
            rotations: Vec::new(),
            token_types: None,
            relative_bias: false,
            disentangled: None,
            layer_norm_epsilon: config.number("layer_norm_epsilon")?.unwrap_or(1e-5),
            activation: activation.parse()?,
            pooler: PoolerShape::of(PoolerActivation::Tanh),
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let mut keys = Map::new();
        for (key, value) in [
            ("model_type", json!(self.model_type())),
            ("vocab_size", json!(spec.vocab_size)),
            ("n_embd", json!(spec.hidden_size)),
            ("n_layer", json!(spec.layers)),
            ("n_head", json!(spec.heads)),
            ("n_inner", json!(spec.intermediate_size)),
            ("n_positions", json!(spec.position_rows)),
            ("layer_norm_epsilon", json!(spec.layer_norm_epsilon)),
            ("activation_function", json!(spec.activation.word())),
        ] {
            keys.insert(key.into(), value);
        }
        put_padding(&mut keys, spec);
        keys
    }

    fn file_name(&self, name: &str, pooling: Pooling) -> String {
        score(name, pooling).unwrap_or_else(|| NAMES.of(self.prefix(), name))
    }

    fn head(&self, pooling: Pooling) -> &'static [&'static str] {
        super::decoder::head(pooling)
    }

    fn poolings(&self) -> &'static [Pooling] {
        POOLINGS
    }

    fn inputs_first(&self, file_name: &str) -> bool {
        let layer = file_name.strip_suffix(".weight").unwrap_or_default();
        let mut linears = NAMES
            .parts
            .iter()
            .filter(|(own, _)| !own.ends_with("LayerNorm"));
        linears.any(|(_, file)| layer.ends_with(&format!(".{file}")))
    }

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass::BARE
    }
}

/// Refuses what no published model has, and what makes attention another.
fn check(config: &ConfigKeys) -> Result<(), ModelError> {
    let refuse = |reason: &str| Err(ModelError::Config(reason.into()));
    if config.is_true("add_cross_attention")? {
        return refuse(
            "add_cross_attention is true; only a decoder by itself is supported, since a \
             classifier's texts have nothing else to attend to",
        );
    }
    if config.is_true("scale_attn_by_inverse_layer_idx")? {
        return refuse(
            "scale_attn_by_inverse_layer_idx is true; only attention that is scaled alike in all \
             layers is supported",
        );
    }
    if config.has("scale_attn_weights") && !config.is_true("scale_attn_weights")? {
        return refuse(
            "scale_attn_weights is false; only attention that is scaled by a head's width is \
             supported",
        );
    }
    Ok(())
}
