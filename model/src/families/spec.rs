//! What an encoder is built from, whatever its family.

use std::str::FromStr;

use super::Family;
use super::relative::BUCKETS;
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

impl FromStr for Activation {
    type Err = ModelError;

    fn from_str(word: &str) -> Result<Self, ModelError> {
        match word {
            "gelu" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Self::GeluTanh),
            "relu" => Ok(Self::Relu),
            other => Err(ModelError::Config(format!(
                "hidden_act is `{other}`; gelu, gelu_new, gelu_pytorch_tanh and relu are supported"
            ))),
        }
    }
}

impl Activation {
    /// Its word in `config.json`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_new",
            Self::Relu => "relu",
        }
    }
}

/// The non-linearity behind the head's dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolerActivation {
    /// Tanh, as in BERT.
    Tanh,
    /// One that feed-forward layers have, too.
    Like(Activation),
}

/// Which row of the position table a token gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// 0, 1, 2 and so on.
    FromZero,
    /// From this padding id's next on, counting tokens other than padding; a padding token in a
    /// text has the padding id itself, and isn't counted.
    AfterPadding(u32),
}

impl Positions {
    /// The first token's row.
    fn first(self) -> usize {
        match self {
            Self::FromZero => 0,
            Self::AfterPadding(padding) => padding as usize + 1,
        }
    }

    /// Each token's row.
    pub(crate) fn of(self, ids: &[u32]) -> impl Iterator<Item = u32> {
        let mut next = self.first() as u32;
        ids.iter().map(move |id| match self {
            Self::AfterPadding(padding) if *id == padding => padding,
            _ => {
                next += 1;
                next - 1
            }
        })
    }
}

/// An encoder's sizes and the choices in which families differ. Made by
/// [`TransformerSpec::from_json`], or by hand and [`TransformerSpec::checked`].
#[derive(Clone, Debug, PartialEq)]
pub struct TransformerSpec {
    /// Whose tensor names and classes it has.
    pub family: &'static dyn Family,
    /// Word embeddings (rows).
    pub vocab_size: usize,
    /// Width of the embeddings.
    pub embedding_size: usize,
    /// Whether a linear layer lies between the embeddings and the hidden states. Where there is
    /// none, they have one width.
    pub projects_embeddings: bool,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Encoder layers, one after the other.
    pub layers: usize,
    /// Whether they are all one layer, which each state passes so many times.
    pub shared_layers: bool,
    /// Attention heads; they divide `hidden_size`.
    pub heads: usize,
    /// Width between the two feed-forward layers.
    pub intermediate_size: usize,
    /// Position embeddings (rows).
    pub position_rows: usize,
    /// Which of them a token gets.
    pub positions: Positions,
    /// Segment embeddings (rows), of which texts have the first; `None` for a family without.
    pub token_types: Option<usize>,
    /// Whether attention's scores have a bias by how far apart two tokens are, from one table for
    /// all layers.
    pub relative_bias: bool,
    /// Added to the variance in layer normalisation.
    pub layer_norm_epsilon: f64,
    /// Between the feed-forward layers.
    pub activation: Activation,
    /// Behind the dense layer of pooling `pooler`.
    pub pooler_activation: PoolerActivation,
}

/// No size in a text classifier's configuration is larger; it also keeps products of two
/// sizes far from overflow.
const LARGEST_SIZE: usize = 1 << 20;

impl TransformerSpec {
    /// The longest text, in tokens: as many as there are positions for.
    pub fn max_tokens(&self) -> usize {
        self.position_rows.saturating_sub(self.positions.first())
    }

    /// Encoder layers with weights of their own.
    pub(crate) fn own_layers(&self) -> usize {
        match self.shared_layers {
            true => self.layers.min(1),
            false => self.layers,
        }
    }

    /// Numbers in the embeddings and encoder layers.
    pub(crate) fn encoder_parameters(&self) -> u128 {
        let [hidden, middle, layers] =
            [self.hidden_size, self.intermediate_size, self.own_layers()].map(|n| n as u128);
        let embedding = self.embedding_size as u128;
        let types = self.token_types.unwrap_or(0);
        let rows = [self.vocab_size, self.position_rows, types];
        let rows: u128 = rows.into_iter().map(|size| size as u128).sum();
        let norm = 2 * hidden;
        let projection = match self.projects_embeddings {
            true => (embedding + 1) * hidden,
            false => 0,
        };
        let attention = 4 * (hidden * hidden + hidden);
        let feed_forward = 2 * hidden * middle + middle + hidden;
        let relative = match self.relative_bias {
            true => (BUCKETS * self.heads) as u128,
            false => 0,
        };
        (rows + 2) * embedding
            + projection
            + relative
            + layers * (attention + feed_forward + 2 * norm)
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
            // It is the hidden size where a configuration has none.
            ("embedding_size", self.embedding_size),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.position_rows),
            ("type_vocab_size", self.token_types.unwrap_or(1)),
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
        if !self.projects_embeddings && self.embedding_size != self.hidden_size {
            return refuse(format!(
                "embedding_size ({}) isn't hidden_size ({}), and no layer lies between the two",
                self.embedding_size, self.hidden_size
            ));
        }
        if self.max_tokens() == 0 {
            return refuse(format!(
                "max_position_embeddings is {}, which leaves no position after those up to \
                 pad_token_id",
                self.position_rows
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
