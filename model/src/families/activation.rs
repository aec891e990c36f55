//! Non-linearities, between feed-forward layers and behind the head's dense layer.

use std::str::FromStr;

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
    /// x σ(x), with σ the logistic function (`silu`, `swish`).
    Silu,
}

impl FromStr for Activation {
    type Err = ModelError;

    fn from_str(word: &str) -> Result<Self, ModelError> {
        match word {
            "gelu" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Self::GeluTanh),
            "relu" => Ok(Self::Relu),
            "silu" | "swish" => Ok(Self::Silu),
            other => Err(ModelError::Config(format!(
                "hidden_act is `{other}`; gelu, gelu_new, gelu_pytorch_tanh, relu and silu are supported"
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
            Self::Silu => "silu",
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

/// What lies between a text's states and its classifier with pooling `pooler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolerShape {
    /// Behind the dense layer.
    pub activation: PoolerActivation,
    /// Whether a normalisation follows.
    pub has_norm: bool,
    /// Whether it reads the mean of all states; else it reads the first.
    pub of_mean: bool,
}

impl PoolerShape {
    /// A dense layer and an activation on the first state.
    pub const fn of(activation: PoolerActivation) -> Self {
        Self {
            activation,
            has_norm: false,
            of_mean: false,
        }
    }
}
