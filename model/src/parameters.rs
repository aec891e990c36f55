//! Which parameters are trained, and in which order they travel.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::ModelError;
use crate::lora::LoraConfig;

/// How the hidden states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The first token's state.
    Cls,
    /// The mean of all tokens' states, padding left out.
    Mean,
    /// BERT's own: a dense layer and tanh on the first token's state.
    Pooler,
}

/// Which parameters are trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainableSet {
    /// All of them.
    Full,
    /// All but the embeddings and their layer normalisation.
    Encoder,
    /// Low-rank adapters beside frozen layers, and the whole head.
    Lora(LoraConfig),
    /// Every bias, those of layer normalisations (β, not γ) among them, and the whole head
    /// (BitFit; Ben Zaken et al. 2022).
    Bias,
    /// The classifier's last layer, and the pooler where one is used.
    Head,
}

impl Pooling {
    /// Whether it reads the first token's last state and no other, so that none else is needed.
    pub fn reads_first_alone(self) -> bool {
        match self {
            Self::Mean => false,
            Self::Cls | Self::Pooler => true,
        }
    }
}

macro_rules! words {
    ($type:ident, $what:literal, $expected:literal, $($variant:ident = $word:literal),+) => {
        impl FromStr for $type {
            type Err = ModelError;

            fn from_str(word: &str) -> Result<Self, ModelError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(ModelError::UnknownWord {
                        what: $what,
                        found: word.to_owned(),
                        expected: $expected,
                    }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word,)+ })
            }
        }
    };
}

words!(
    Pooling,
    "pooling",
    "cls, mean, pooler",
    Cls = "cls",
    Mean = "mean",
    Pooler = "pooler"
);

impl fmt::Display for TrainableSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "full",
            Self::Encoder => "encoder",
            Self::Lora(_) => "lora",
            Self::Bias => "bias",
            Self::Head => "head",
        })
    }
}

/// The part of a model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Embeddings and their layer normalisation.
    Embeddings,
    /// The encoder's layers.
    Encoder,
    /// Pooler and classifier.
    Head,
}

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A linear layer's weight W.
    Weight,
    /// The bias of a linear layer, or of a layer normalisation (β).
    Bias,
    /// The scale of a layer normalisation (γ).
    Scale,
    /// An embedding table.
    Table,
    /// An adapter's A.
    AdapterA,
    /// An adapter's B.
    AdapterB,
}

impl TrainableSet {
    /// The set of this name; `lora` are the adapters of the set `lora`.
    ///
    /// # Errors
    /// [`ModelError::UnknownWord`], and [`ModelError::Lora`] where adapters are given for
    /// another set, or none for `lora`.
    pub fn named(word: &str, lora: Option<LoraConfig>) -> Result<Self, ModelError> {
        let set = match (word, lora) {
            ("lora", Some(lora)) => return Ok(Self::Lora(lora)),
            ("lora", None) => {
                return Err(ModelError::Lora(
                    "the trainable set `lora` needs adapters: rank, alpha and targets".into(),
                ));
            }
            ("full", _) => Self::Full,
            ("encoder", _) => Self::Encoder,
            ("bias", _) => Self::Bias,
            ("head", _) => Self::Head,
            _ => {
                return Err(ModelError::UnknownWord {
                    what: "trainable set",
                    found: word.to_owned(),
                    expected: "full, encoder, lora, bias, head",
                });
            }
        };
        match lora {
            None => Ok(set),
            Some(_) => Err(ModelError::Lora(format!(
                "adapters are given, but the trainable set is `{set}`; take them away, or train \
                 `lora`"
            ))),
        }
    }

    /// Whether tensors of this role are trained in this part of the model.
    pub fn trains(self, part: Part, role: Role) -> bool {
        match self {
            Self::Full => true,
            Self::Encoder => part != Part::Embeddings,
            Self::Lora(lora) => match role {
                Role::AdapterA => !lora.freeze_a(),
                Role::AdapterB => true,
                _ => part == Part::Head,
            },
            Self::Bias => role == Role::Bias || part == Part::Head,
            Self::Head => part == Part::Head,
        }
    }

    /// The adapters, where there are any.
    pub fn lora(self) -> Option<LoraConfig> {
        match self {
            Self::Lora(lora) => Some(lora),
            _ => None,
        }
    }
}

/// One trained tensor's place among the flat parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutEntry {
    /// Its Hugging Face name, without the `bert.` prefix.
    pub name: String,
    /// Its shape as it lies in the flat vector: `[in, out]` for a linear layer's weight.
    pub shape: Vec<usize>,
    /// Where it begins.
    pub offset: usize,
}

/// The order of all trained tensors in the flat parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterLayout {
    entries: Vec<LayoutEntry>,
    len: usize,
}

impl ParameterLayout {
    /// Lays tensors out one after the other.
    pub(crate) fn new(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let mut offset = 0;
        let entries = tensors
            .into_iter()
            .map(|(name, shape)| {
                let entry = LayoutEntry {
                    name,
                    offset,
                    shape,
                };
                offset += entry.shape.iter().product::<usize>();
                entry
            })
            .collect();
        Self {
            entries,
            len: offset,
        }
    }

    /// The trained tensors in their order.
    pub fn entries(&self) -> &[LayoutEntry] {
        &self.entries
    }

    /// How many numbers they are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// SHA-256 over names, shapes and order, by which two sites know that they mean the same.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for entry in &self.entries {
            hash.update(format!("{} {:?}\n", entry.name, entry.shape));
        }
        hash.finalize().into()
    }

    /// Where a tensor begins, if it is trained.
    pub(crate) fn offset_of(&self, name: &str) -> Option<usize> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(entry.offset)
    }
}
