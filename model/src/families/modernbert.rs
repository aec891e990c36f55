//! ModernBERT (Warner et al. 2024): layers that normalise before they compute, without biases; queries
//! and keys that are turned by their places; a gate in the feed-forward layers; and attention that
//! reaches everywhere in some layers and near by in the others.
//!
//! Its classifiers' head is a dense layer, GELU and a normalisation, on the first token's state or on
//! the mean of all, as `classifier_pooling` says.

use serde_json::{Map, Value, json};

use super::names::{Names, Words, renamed};
use super::{
    ConfigKeys, EncoderClass, Family, LayerShape, PoolerActivation, PoolerShape, Positions,
    Rotation, TransformerSpec,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const MODERNBERT: &dyn Family = &ModernBert;

struct ModernBert;

const NAMES: Names = Names {
    layers: "layers",
    parts: &[
        ("attention.self.qkv", "attn.Wqkv"),
        ("attention.output.dense", "attn.Wo"),
        ("attention.LayerNorm", "attn_norm"),
        ("intermediate.dense", "mlp.Wi"),
        ("intermediate.LayerNorm", "mlp_norm"),
        ("output.dense", "mlp.Wo"),
    ],
    others: &[
        ("embeddings.word_embeddings", "embeddings.tok_embeddings"),
        ("embeddings.LayerNorm", "embeddings.norm"),
        ("encoder.LayerNorm", "final_norm"),
    ],
};

/// What its files call the layers of the head but the last.
const HEAD: Words = &[
    ("pooler.dense", "head.dense"),
    ("pooler.LayerNorm", "head.norm"),
];

/// Keys that must be false where they are there: no published model has such biases.
const BIASES: [&str; 4] = ["attention_bias", "mlp_bias", "norm_bias", "classifier_bias"];

const FULL: &str = "full_attention";
const LOCAL: &str = "sliding_attention";

impl Family for ModernBert {
    fn model_type(&self) -> &'static str {
        "modernbert"
    }

    fn class(&self) -> &'static str {
        "ModernBert"
    }

    fn prefix(&self) -> &'static str {
        "model"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        for key in BIASES {
            if config.is_true(key)? {
                return Err(ModelError::Config(format!(
                    "{key} is true; only layers without these biases are supported"
                )));
            }
        }
        let activation = |key| config.word(key).map(|word| word.unwrap_or("gelu"));
        let heads = config.size("num_attention_heads")?;
        let hidden_size = config.size("hidden_size")?;
        let layers = config.size("num_hidden_layers")?;
        let of_mean = match config.word("classifier_pooling")?.unwrap_or("cls") {
            "cls" => false,
            "mean" => true,
            other => {
                return Err(ModelError::Config(format!(
                    "classifier_pooling is `{other}`; it must be cls or mean"
                )));
            }
        };
        let classifier_activation = activation("classifier_activation")?.parse()?;
        Ok(TransformerSpec {
            family: self,
            vocab_size: config.size("vocab_size")?,
            embedding_size: hidden_size,
            projects_embeddings: false,
            hidden_size,
            layers,
            shared_layers: false,
            layer: LayerShape::MODERN,
            heads,
            key_value_heads: heads,
            causal: false,
            intermediate_size: config.size("intermediate_size")?,
            position_rows: config
                .optional_size("max_position_embeddings")?
                .unwrap_or(8192),
            positions: Positions::Nowhere,
            norms_embeddings: true,
            padding: None,
            rotations: rotations(config, layers)?,
            token_types: None,
            relative_bias: false,
            disentangled: None,
            layer_norm_epsilon: config.number("norm_eps")?.unwrap_or(1e-5),
            activation: activation("hidden_activation")?.parse()?,
            pooler: PoolerShape {
                activation: PoolerActivation::Like(classifier_activation),
                has_norm: true,
                of_mean,
            },
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let near = |rotation: &&Rotation| rotation.reach.is_some();
        let kinds = spec.rotations.iter().map(|rotation| match near(&rotation) {
            true => LOCAL,
            false => FULL,
        });
        let theta = |rotation: Option<&Rotation>| rotation.map(|rotation| rotation.theta);
        let full = theta(spec.rotations.iter().find(|rotation| !near(rotation)));
        let local = theta(spec.rotations.iter().find(near));
        let reach = spec.rotations.iter().find_map(|rotation| rotation.reach);
        let turns = |theta: Option<f32>, usual: f32| json!({"rope_type": "default", "rope_theta": theta.unwrap_or(usual)});
        let activation = match spec.pooler.activation {
            PoolerActivation::Tanh => "tanh",
            PoolerActivation::Like(kind) => kind.word(),
        };
        let keys = json!({
            "model_type": self.model_type(),
            "vocab_size": spec.vocab_size,
            "hidden_size": spec.hidden_size,
            "num_hidden_layers": spec.layers,
            "num_attention_heads": spec.heads,
            "intermediate_size": spec.intermediate_size,
            "max_position_embeddings": spec.position_rows,
            "norm_eps": spec.layer_norm_epsilon,
            "hidden_activation": spec.activation.word(),
            "layer_types": kinds.collect::<Vec<_>>(),
            "local_attention": 2 * reach.unwrap_or(LOCAL_ATTENTION / 2),
            "rope_parameters": {FULL: turns(full, THETA), LOCAL: turns(local, LOCAL_THETA)},
            "classifier_activation": activation,
            "classifier_pooling": if spec.pooler.of_mean { "mean" } else { "cls" },
            // Python's default is a word that a smaller vocabulary lacks.
            "pad_token_id": 0,
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
            Pooling::Pooler => &["classifier", "head"],
            Pooling::Cls | Pooling::Mean | Pooling::Last => &["classifier"],
        }
    }

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass::BARE
    }
}

/// Defaults of transformers' `ModernBertConfig`.
const THETA: f32 = 160_000.0;
const LOCAL_THETA: f32 = 10_000.0;
const LOCAL_ATTENTION: usize = 128;
const EVERY: usize = 3;

/// Each layer's rotation, from today's keys or those of the first checkpoints.
fn rotations(config: &ConfigKeys, layers: usize) -> Result<Vec<Rotation>, ModelError> {
    let refuse = |reason: String| Err(ModelError::Config(reason));
    let kinds = match config.words("layer_types")? {
        Some(kinds) => kinds,
        None => {
            let every = config.optional_size("global_attn_every_n_layers")?;
            let every = every.unwrap_or(EVERY).max(1);
            let kind = |layer: usize| {
                if layer.is_multiple_of(every) {
                    FULL
                } else {
                    LOCAL
                }
            };
            // A layer count with a digit too many is refused where sizes are checked.
            (0..layers.min(1 << 20))
                .map(|layer| kind(layer).to_owned())
                .collect()
        }
    };
    if kinds.len() != layers.min(1 << 20) {
        return refuse(format!(
            "layer_types has {} words; num_hidden_layers is {layers}",
            kinds.len()
        ));
    }
    let theta = |kind: &str, key: &str, usual: f32| -> Result<f32, ModelError> {
        let within = config.within("rope_parameters", kind)?;
        let kind_of_turn = within
            .as_ref()
            .map(|keys| keys.word("rope_type"))
            .transpose()?;
        if let Some(other) = kind_of_turn.flatten().filter(|word| *word != "default") {
            return Err(ModelError::Config(format!(
                "rope_parameters.{kind}.rope_type is `{other}`; only `default` is supported"
            )));
        }
        let nested = within
            .as_ref()
            .map(|keys| keys.number("rope_theta"))
            .transpose()?;
        let theta = match nested.flatten() {
            Some(theta) => theta,
            None => config.number(key)?.unwrap_or(f64::from(usual)),
        };
        match theta.is_finite() && theta > 1.0 {
            true => Ok(theta as f32),
            false => Err(ModelError::Config(format!(
                "{key} is {theta}; it must be above 1"
            ))),
        }
    };
    if config.has("rope_scaling") {
        return refuse("rope_scaling is there; only rotations without it are supported".into());
    }
    let full = theta(FULL, "global_rope_theta", THETA)?;
    let local = theta(LOCAL, "local_rope_theta", LOCAL_THETA)?;
    let window = config
        .optional_size("local_attention")?
        .unwrap_or(LOCAL_ATTENTION);
    let rotation = |kind: &String| match kind.as_str() {
        FULL => Ok(Rotation {
            theta: full,
            reach: None,
        }),
        LOCAL => Ok(Rotation {
            theta: local,
            // Half to each side.
            reach: Some(window / 2),
        }),
        other => Err(ModelError::Config(format!(
            "layer_types has `{other}`; {FULL} and {LOCAL} are supported"
        ))),
    };
    kinds.iter().map(rotation).collect()
}
