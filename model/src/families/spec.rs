//! What an encoder is built from, whatever its family.

use super::Family;
use super::activation::{Activation, PoolerShape};
use super::disentangled::Disentangled;
use super::layer_shape::LayerShape;
use super::relative::BUCKETS;
use super::rotation::Rotation;
use super::states_read::StatesRead;
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// Which row of the position table a token gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// There is no table.
    Nowhere,
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
            Self::Nowhere | Self::FromZero => 0,
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
    /// How they are put together.
    pub layer: LayerShape,
    /// Attention heads; they divide `hidden_size`.
    pub heads: usize,
    /// Heads of keys and values, each read by as many heads of queries as by any other (Ainslie et
    /// al. 2023); they divide `heads`.
    pub key_value_heads: usize,
    /// Whether a token sees only itself and those before it, as in a decoder.
    pub causal: bool,
    /// Width between the two feed-forward layers, of what the second reads.
    pub intermediate_size: usize,
    /// Position embeddings (rows), or as many positions as there are without any.
    pub position_rows: usize,
    /// Which of them a token gets.
    pub positions: Positions,
    /// Whether the embeddings are normalised before the first layer.
    pub norms_embeddings: bool,
    /// What pooling `last` passes over at a text's end.
    pub padding: Option<u32>,
    /// How each layer turns queries and keys; of none in families that don't.
    pub rotations: Vec<Rotation>,
    /// Segment embeddings (rows), of which texts have the first; `None` for a family without.
    pub token_types: Option<usize>,
    /// Whether attention's scores have a bias by how far apart two tokens are, from one table for
    /// all layers.
    pub relative_bias: bool,
    /// How attention also scores content against relative places, where it does.
    pub disentangled: Option<Disentangled>,
    /// Added to the variance in layer normalisation.
    pub layer_norm_epsilon: f64,
    /// Between the feed-forward layers.
    pub activation: Activation,
    /// What pooling `pooler` is.
    pub pooler: PoolerShape,
}

/// No size in a text classifier's configuration is larger; it also keeps products of two
/// sizes far from overflow.
const LARGEST_SIZE: usize = 1 << 20;

/// Nor has any more layers. Where all are one, no file's size would say so.
const MOST_LAYERS: usize = 1 << 12;

impl TransformerSpec {
    /// The longest text, in tokens: as many as there are positions for.
    pub fn max_tokens(&self) -> usize {
        self.position_rows.saturating_sub(self.positions.first())
    }

    /// Outputs of the first feed-forward layer, with a gate's if the two are one.
    pub(crate) fn inner_outputs(&self) -> usize {
        match self.layer.gated && self.layer.joint {
            true => 2 * self.intermediate_size,
            false => self.intermediate_size,
        }
    }

    /// Rows of the position table.
    fn position_table(&self) -> usize {
        match self.positions {
            Positions::Nowhere => 0,
            Positions::FromZero | Positions::AfterPadding(_) => self.position_rows,
        }
    }

    /// Whether a layer has a normalisation at attention: the first has none where the embeddings
    /// were just normalised.
    pub(crate) fn has_attention_norm(&self, layer: usize) -> bool {
        !(self.layer.norm_first && self.norms_embeddings && layer == 0)
    }

    /// Which states the head reads.
    pub(crate) fn read(&self, pooling: Pooling) -> StatesRead {
        match pooling {
            Pooling::Cls => StatesRead::First,
            Pooling::Pooler if !self.pooler.of_mean => StatesRead::First,
            Pooling::Pooler | Pooling::Mean => StatesRead::Mean,
            Pooling::Last => StatesRead::Last {
                padding: self.padding,
            },
        }
    }

    /// Refuses a pooling that this family can't have.
    ///
    /// # Errors
    /// [`ModelError::Pooling`] with those that it can.
    pub(crate) fn check_pooling(&self, pooling: Pooling) -> Result<(), ModelError> {
        let poolings = self.family.poolings();
        if poolings.contains(&pooling) {
            return Ok(());
        }
        let reason = match pooling {
            Pooling::Cls => "the first token sees no other, so that its state is that of any text",
            Pooling::Pooler => {
                "its classifiers have no dense layer between the states and the last"
            }
            Pooling::Last | Pooling::Mean => "it reads the last token as decoders do",
        };
        let poolings: Vec<String> = poolings.iter().map(ToString::to_string).collect();
        Err(ModelError::Pooling {
            pooling,
            model_type: self.family.model_type(),
            reason,
            others: poolings.join(" or "),
        })
    }

    /// Whether the last layer has a bias: transformers' classes of decoders have none.
    pub(crate) fn classifier_bias(pooling: Pooling) -> bool {
        pooling != Pooling::Last
    }

    /// Width of keys, and of values.
    pub(crate) fn key_value_width(&self) -> usize {
        self.hidden_size / self.heads.max(1) * self.key_value_heads
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
        let rows = [self.vocab_size, self.position_table(), types];
        let rows: u128 = rows.into_iter().map(|size| size as u128).sum();
        let LayerShape {
            norm_first,
            biases,
            gated,
            ..
        } = self.layer;
        let bias = u128::from(biases);
        let vectors = 1 + bias;
        let embedding_norm = u128::from(self.norms_embeddings) * vectors;
        let keys = self.key_value_width() as u128;
        let wide = match gated {
            true => 2 * middle,
            false => middle,
        };
        let projection = match self.projects_embeddings {
            true => (embedding + 1) * hidden,
            false => 0,
        };
        let attention = 2 * (hidden + keys) * hidden + bias * 2 * (hidden + keys);
        let feed_forward = hidden * (wide + middle) + bias * (wide + hidden);
        // One at attention and one behind it, of which the first layer may lack one that the last
        // has besides.
        let norms = 2 * layers + u128::from(norm_first && self.has_attention_norm(0));
        let relative = match self.relative_bias {
            true => (BUCKETS * self.heads) as u128,
            false => 0,
        };
        let states = self.disentangled.map_or(0, |shape| shape.table_rows());
        let states = match states {
            0 => 0,
            rows => (rows as u128 + vectors) * hidden,
        };
        (rows + embedding_norm) * embedding
            + projection
            + relative
            + states
            + layers * (attention + feed_forward)
            + norms * vectors * hidden
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
            ("num_key_value_heads", self.key_value_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.position_rows),
            ("type_vocab_size", self.token_types.unwrap_or(1)),
        ];
        if let Some((key, size)) = sizes.iter().find(|(_, s)| !(1..=LARGEST_SIZE).contains(s)) {
            return refuse(format!(
                "{key} is {size}; it must be from 1 to {LARGEST_SIZE}"
            ));
        }
        if self.layers > MOST_LAYERS {
            return refuse(format!(
                "num_hidden_layers is {}; it must be from 1 to {MOST_LAYERS}",
                self.layers
            ));
        }
        if !self.hidden_size.is_multiple_of(self.heads) {
            return refuse(format!(
                "num_attention_heads ({}) doesn't divide hidden_size ({})",
                self.heads, self.hidden_size
            ));
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            return refuse(format!(
                "num_key_value_heads ({}) doesn't divide num_attention_heads ({})",
                self.key_value_heads, self.heads
            ));
        }
        if let Some(shape) = self.disentangled {
            let near = shape.buckets / 2;
            let told_apart = match shape.buckets {
                0 => shape.distances >= 1,
                buckets => near >= 1 && buckets.is_multiple_of(2) && shape.distances > near + 1,
            };
            let small = shape.buckets.max(shape.distances) <= LARGEST_SIZE;
            if !(told_apart && small) {
                return refuse(format!(
                    "position_buckets ({}) and max_relative_positions ({}) can't be; buckets are even, \
                     and fewer than twice the positions",
                    shape.buckets, shape.distances
                ));
            }
        }
        if !(self.rotations.is_empty() || self.rotations.len() == self.layers) {
            return refuse(format!(
                "there are {} kinds of attention for num_hidden_layers ({}); there must be one for each",
                self.rotations.len(),
                self.layers
            ));
        }
        if !self.rotations.is_empty() && !(self.hidden_size / self.heads).is_multiple_of(2) {
            return refuse(format!(
                "hidden_size ({}) over num_attention_heads ({}) is odd; coordinates turn in pairs",
                self.hidden_size, self.heads
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
