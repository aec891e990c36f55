//! Llama (Touvron et al. 2023) and what is built like it, such as SmolLM and TinyLlama: a decoder
//! that divides by root mean squares before it computes, without biases; queries and keys turned by
//! their places, with fewer heads of keys and values than of queries (Ainslie et al. 2023); and a gate
//! in the feed-forward layers (SwiGLU; Shazeer 2020).
//!
//! A classifier reads the last token's state, by one linear layer without a bias, `score`.

use serde_json::{Map, Value, json};

use super::decoder::{POOLINGS, padding, put_padding, score};
use super::names::Names;
use super::{
    ConfigKeys, EncoderClass, Family, LayerShape, PoolerActivation, PoolerShape, Positions,
    Rotation, TransformerSpec,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const LLAMA: &dyn Family = &Llama;

struct Llama;

const NAMES: Names = Names {
    layers: "layers",
    parts: &[
        ("attention.self.query", "self_attn.q_proj"),
        ("attention.self.key", "self_attn.k_proj"),
        ("attention.self.value", "self_attn.v_proj"),
        ("attention.output.dense", "self_attn.o_proj"),
        ("attention.LayerNorm", "input_layernorm"),
        ("intermediate.dense", "mlp.gate_proj"),
        ("intermediate.gated", "mlp.up_proj"),
        ("intermediate.LayerNorm", "post_attention_layernorm"),
        ("output.dense", "mlp.down_proj"),
    ],
    others: &[
        ("embeddings.word_embeddings", "embed_tokens"),
        ("encoder.LayerNorm", "norm"),
    ],
};

/// Default of transformers' `LlamaConfig`.
const THETA: f64 = 10_000.0;

impl Family for Llama {
    fn model_type(&self) -> &'static str {
        "llama"
    }

    fn class(&self) -> &'static str {
        "Llama"
    }

    fn prefix(&self) -> &'static str {
        "model"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        let hidden_size = config.size("hidden_size")?;
        let heads = config.size("num_attention_heads")?;
        check(config, hidden_size, heads)?;
        let activation = config.word("hidden_act")?.unwrap_or("silu");
        let layers = config.size("num_hidden_layers")?;
        let key_value_heads = config.optional_size("num_key_value_heads")?;
        let rotation = Rotation {
            theta: theta(config)?,
            reach: None,
        };
        Ok(TransformerSpec {
            family: self,
            vocab_size: config.size("vocab_size")?,
            embedding_size: hidden_size,
            projects_embeddings: false,
            hidden_size,
            layers,
            shared_layers: false,
            layer: LayerShape::LLAMA,
            heads,
            key_value_heads: key_value_heads.unwrap_or(heads),
            causal: true,
            intermediate_size: config.size("intermediate_size")?,
            position_rows: config
                .optional_size("max_position_embeddings")?
                .unwrap_or(2048),
            positions: Positions::Nowhere,
            norms_embeddings: false,
            padding: padding(config)?,
            // A layer count with a digit too many is refused where sizes are checked.
            rotations: vec![rotation; layers.min(1 << 20)],
            token_types: None,
            relative_bias: false,
            disentangled: None,
            layer_norm_epsilon: config.number("rms_norm_eps")?.unwrap_or(1e-6),
            activation: activation.parse()?,
            pooler: PoolerShape::of(PoolerActivation::Tanh),
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let theta = spec.rotations.first().map(|rotation| rotation.theta);
        let theta = theta.map_or(THETA, f64::from);
        let mut keys = Map::new();
        for (key, value) in [
            ("model_type", json!(self.model_type())),
            ("vocab_size", json!(spec.vocab_size)),
            ("hidden_size", json!(spec.hidden_size)),
            ("num_hidden_layers", json!(spec.layers)),
            ("num_attention_heads", json!(spec.heads)),
            ("num_key_value_heads", json!(spec.key_value_heads)),
            ("intermediate_size", json!(spec.intermediate_size)),
            ("max_position_embeddings", json!(spec.position_rows)),
            ("rms_norm_eps", json!(spec.layer_norm_epsilon)),
            ("hidden_act", json!(spec.activation.word())),
            // Today's keys and those of before, which other readers know.
            ("rope_theta", json!(theta)),
            (
                "rope_parameters",
                json!({"rope_type": "default", "rope_theta": theta}),
            ),
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

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass::BARE
    }
}

/// Refuses what makes the layers others.
fn check(config: &ConfigKeys, hidden_size: usize, heads: usize) -> Result<(), ModelError> {
    let refuse = |reason: String| Err(ModelError::Config(reason));
    for key in ["attention_bias", "mlp_bias"] {
        if config.is_true(key)? {
            return refuse(format!(
                "{key} is true; only layers without these biases are supported"
            ));
        }
    }
    for key in ["sliding_window", "attention_chunk_size", "layer_types"] {
        if config.has(key) {
            return refuse(format!(
                "{key} is there, which no Llama has; only attention to all tokens before is \
                 supported"
            ));
        }
    }
    let width = hidden_size / heads.max(1);
    let found = config.optional_size("head_dim")?.unwrap_or(width);
    if found != width {
        return refuse(format!(
            "head_dim is {found}; only hidden_size over num_attention_heads, {width}, is supported"
        ));
    }
    Ok(())
}

/// θ, from today's keys or those of the first checkpoints.
fn theta(config: &ConfigKeys) -> Result<f32, ModelError> {
    let refuse = |reason: String| Err(ModelError::Config(reason));
    let mut found = config.number("rope_theta")?;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(keys) = config.object(key)? else {
            continue;
        };
        // Its word in the first checkpoints was `type`.
        for word in ["rope_type", "type"] {
            if let Some(kind) = keys.word(word)?.filter(|kind| *kind != "default") {
                return refuse(format!(
                    "{key}.{word} is `{kind}`, by which far places turn otherwise; only `default` \
                     is supported"
                ));
            }
        }
        if keys.has("partial_rotary_factor") {
            return refuse(format!(
                "{key}.partial_rotary_factor is there; only rotations of all coordinates are \
                 supported"
            ));
        }
        found = keys.number("rope_theta")?.or(found);
    }
    let theta = found.unwrap_or(THETA);
    match theta.is_finite() && theta > 1.0 {
        true => Ok(theta as f32),
        false => refuse(format!("rope_theta is {theta}; it must be above 1")),
    }
}
