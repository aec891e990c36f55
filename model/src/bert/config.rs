//! The shape of a BERT, from Hugging Face's `config.json`.

use serde::Deserialize;

use crate::error::ModelError;

/// The non-linearity between the two feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU by the error function (`gelu`).
    Gelu,
    /// GELU by its tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// `relu`.
    Relu,
}

/// The sizes of a BERT encoder. Made by [`BertConfig::from_json`] or `BertConfig::new`,
/// so it is always sound.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// Word embeddings (rows).
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads; they divide `hidden_size`.
    pub heads: usize,
    /// Width between the two feed-forward layers.
    pub intermediate_size: usize,
    /// The longest text, in tokens.
    pub max_positions: usize,
    /// Segment embeddings (rows).
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_epsilon: f64,
    /// Between the feed-forward layers.
    pub activation: Activation,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    model_type: Option<String>,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "positions")]
    max_position_embeddings: usize,
    #[serde(default = "types")]
    type_vocab_size: usize,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

fn gelu() -> String {
    "gelu".into()
}
fn positions() -> usize {
    512
}
fn types() -> usize {
    2
}
fn epsilon() -> f64 {
    1e-12
}

/// No size in a text classifier's configuration is larger; it also keeps products of two
/// sizes far from overflow.
const LARGEST_SIZE: usize = 1 << 20;

impl BertConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the key, for anything but a BERT encoder.
    pub fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let written: Written =
            serde_json::from_slice(json).map_err(|e| ModelError::Config(e.to_string()))?;
        let refuse = |reason: String| Err(ModelError::Config(reason));
        if let Some(kind) = written.model_type.as_deref().filter(|kind| *kind != "bert") {
            return refuse(format!("model_type is `{kind}`; only `bert` is supported"));
        }
        let position = written.position_embedding_type.as_deref();
        if let Some(kind) = position.filter(|kind| *kind != "absolute") {
            return refuse(format!(
                "position_embedding_type is `{kind}`; only `absolute` is supported"
            ));
        }
        if written.is_decoder {
            return refuse("is_decoder is true; only encoders are supported".into());
        }
        let activation = match written.hidden_act.as_str() {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            other => {
                return refuse(format!(
                    "hidden_act is `{other}`; gelu, gelu_new, gelu_pytorch_tanh and relu are \
                     supported"
                ));
            }
        };
        Self {
            vocab_size: written.vocab_size,
            hidden_size: written.hidden_size,
            layers: written.num_hidden_layers,
            heads: written.num_attention_heads,
            intermediate_size: written.intermediate_size,
            max_positions: written.max_position_embeddings,
            type_vocab_size: written.type_vocab_size,
            layer_norm_epsilon: written.layer_norm_eps,
            activation,
        }
        .checked()
    }

    /// Numbers in the embeddings and encoder layers.
    pub(crate) fn encoder_parameters(&self) -> u128 {
        let [hidden, middle, layers] =
            [self.hidden_size, self.intermediate_size, self.layers].map(|size| size as u128);
        let rows = [self.vocab_size, self.max_positions, self.type_vocab_size];
        let rows: u128 = rows.into_iter().map(|size| size as u128).sum();
        let norm = 2 * hidden;
        let attention = 4 * (hidden * hidden + hidden);
        let feed_forward = 2 * hidden * middle + middle + hidden;
        rows * hidden + norm + layers * (attention + feed_forward + 2 * norm)
    }

    /// Checks sizes that were put together by hand.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the size that can't be.
    pub fn checked(self) -> Result<Self, ModelError> {
        let refuse = |reason: String| Err(ModelError::Config(reason));
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_positions),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((key, size)) = sizes.iter().find(|(_, s)| !(1..=LARGEST_SIZE).contains(s)) {
            return refuse(format!(
                "{key} is {size}; it must be from 1 to {LARGEST_SIZE}"
            ));
        }
        if !self.hidden_size.is_multiple_of(self.heads) {
            return refuse(format!(
                "num_attention_heads ({}) doesn't divide hidden_size ({})",
                self.heads, self.hidden_size
            ));
        }
        if !(self.layer_norm_epsilon > 0.0 && self.layer_norm_epsilon < 1.0) {
            return refuse(format!(
                "layer_norm_eps is {}; it must be above 0 and below 1",
                self.layer_norm_epsilon
            ));
        }
        Ok(self)
    }
}
