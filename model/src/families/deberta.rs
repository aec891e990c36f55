//! DeBERTa of the second and third version (He et al. 2021, 2023): BERT's layers, whose attention also
//! scores content against relative places, by a table that all layers project with their own weights.

use serde_json::{Map, Value, json};

use super::names::Names;
use super::{
    ConfigKeys, Disentangled, EncoderClass, Family, PoolerActivation, PoolerShape, Positions,
    TransformerSpec, keys,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const DEBERTA_V2: &dyn Family = &DebertaV2;

struct DebertaV2;

const NAMES: Names = Names {
    layers: "encoder.layer",
    parts: &[
        ("attention.self.query", "attention.self.query_proj"),
        ("attention.self.key", "attention.self.key_proj"),
        ("attention.self.value", "attention.self.value_proj"),
    ],
    others: &[
        ("encoder.relative_states", "encoder.rel_embeddings"),
        ("encoder.relative_norm.LayerNorm", "encoder.LayerNorm"),
    ],
};

/// Both ways of scoring content against places, in any order.
const BOTH: [&str; 2] = ["c2p", "p2c"];

impl Family for DebertaV2 {
    fn model_type(&self) -> &'static str {
        "deberta-v2"
    }

    fn class(&self) -> &'static str {
        "DebertaV2"
    }

    fn prefix(&self) -> &'static str {
        "deberta"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        let spec = config.encoder(self, Positions::FromZero)?;
        check(config, &spec)?;
        let distances = config.number("max_relative_positions")?.unwrap_or(-1.0);
        let distances = match distances >= 1.0 {
            true => distances as usize,
            false => spec.position_rows,
        };
        let buckets = config.number("position_buckets")?.unwrap_or(-1.0);
        let biased = config.has("position_biased_input");
        let biased = !biased || config.is_true("position_biased_input")?;
        let types = config.optional_size("type_vocab_size")?.unwrap_or(0);
        let epsilon = config.number("layer_norm_eps")?;
        let activation = match config.word("pooler_hidden_act")?.unwrap_or("gelu") {
            "tanh" => PoolerActivation::Tanh,
            word => PoolerActivation::Like(word.parse()?),
        };
        Ok(TransformerSpec {
            positions: match biased {
                true => Positions::FromZero,
                false => Positions::Nowhere,
            },
            token_types: (types > 0).then_some(types),
            disentangled: Some(Disentangled {
                buckets: buckets.max(0.0) as usize,
                distances,
            }),
            layer_norm_epsilon: epsilon.unwrap_or(1e-7),
            pooler: PoolerShape::of(activation),
            ..spec
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let mut keys = keys::written(spec);
        let shape = spec.disentangled.unwrap_or(Disentangled {
            buckets: 0,
            distances: spec.position_rows,
        });
        let buckets = match shape.buckets {
            0 => json!(-1),
            buckets => json!(buckets),
        };
        let activation = match spec.pooler.activation {
            PoolerActivation::Tanh => "tanh",
            PoolerActivation::Like(kind) => kind.word(),
        };
        for (key, value) in [
            ("relative_attention", json!(true)),
            ("position_buckets", buckets),
            ("max_relative_positions", json!(shape.distances)),
            ("pos_att_type", json!(BOTH)),
            ("share_att_key", json!(true)),
            ("norm_rel_ebd", json!("layer_norm")),
            (
                "position_biased_input",
                json!(spec.positions != Positions::Nowhere),
            ),
            ("type_vocab_size", json!(spec.token_types.unwrap_or(0))),
            ("pooler_hidden_act", json!(activation)),
            ("pooler_hidden_size", json!(spec.hidden_size)),
            ("pooler_dropout", json!(0.0)),
        ] {
            keys.insert(key.into(), value);
        }
        keys
    }

    fn file_name(&self, name: &str, _pooling: Pooling) -> String {
        match name.starts_with("classifier") || name.starts_with("pooler") {
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

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass {
            has_pooler: false,
            has_segments: true,
        }
    }
}

/// Refuses what the third version's models don't have.
fn check(config: &ConfigKeys, spec: &TransformerSpec) -> Result<(), ModelError> {
    let refuse = |reason: String| Err(ModelError::Config(reason));
    for key in ["relative_attention", "share_att_key"] {
        if !config.is_true(key)? {
            return refuse(format!(
                "{key} isn't true; only models with it are supported"
            ));
        }
    }
    let kinds = match config.words("pos_att_type") {
        Ok(kinds) => kinds.unwrap_or_default(),
        // Older files have them in one text.
        Err(_) => {
            let text = config.word("pos_att_type")?.unwrap_or_default();
            text.split('|')
                .map(|kind| kind.trim().to_lowercase())
                .collect()
        }
    };
    if BOTH
        .iter()
        .any(|kind| !kinds.iter().any(|found| found == kind))
        || kinds.len() != 2
    {
        return refuse(format!(
            "pos_att_type is `{}`; only c2p and p2c together are supported",
            kinds.join("|")
        ));
    }
    let norm = config.word("norm_rel_ebd")?.unwrap_or("none");
    if norm != "layer_norm" {
        return refuse(format!(
            "norm_rel_ebd is `{norm}`; only `layer_norm` is supported"
        ));
    }
    if config.optional_size("conv_kernel_size")?.unwrap_or(0) > 0 {
        return refuse(
            "conv_kernel_size is above 0; only models without convolution are supported".into(),
        );
    }
    let heads = spec.heads.max(1);
    for (key, expected) in [
        ("embedding_size", spec.hidden_size),
        ("pooler_hidden_size", spec.hidden_size),
        ("attention_head_size", spec.hidden_size / heads),
    ] {
        let found = config.optional_size(key)?.unwrap_or(expected);
        if found != expected {
            return refuse(format!(
                "{key} is {found}; only {expected} is supported here"
            ));
        }
    }
    Ok(())
}
