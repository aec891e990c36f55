//! Which classifier a run trains: pooling, trainable set, labels, length of texts.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::words;

use crate::bounded;
use crate::lora::LoraConfig;
use crate::task::{ClassWeight, Task, TaskKind};

bounded! {
    /// Tokens of a text that are read, special tokens included: two of them and a word at least.
    MaxTokens(usize): "max_tokens", Included(3), Included(100_000);
    /// The share of values that dropout sets to zero in training.
    Dropout(f64): "dropout", Included(0.0), Excluded(1.0);
    /// What the gradient of the last layer's weights is multiplied by before a unit is clipped.
    HeadScale(f64): "head_scale", Included(1e-4), Included(1.0);
}

impl Dropout {
    /// No dropout.
    pub const NONE: Self = Self(0.0);
}

impl Default for Dropout {
    fn default() -> Self {
        Self::NONE
    }
}

impl HeadScale {
    /// The gradient as it is.
    pub const ONE: Self = Self(1.0);

    fn is_one(&self) -> bool {
        *self == Self::ONE
    }
}

impl Default for HeadScale {
    fn default() -> Self {
        Self::ONE
    }
}

impl Default for MaxTokens {
    fn default() -> Self {
        Self(128)
    }
}

/// How the hidden states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The first token's state.
    Cls,
    /// The mean of all tokens' states, padding left out.
    #[default]
    Mean,
    /// BERT's own: a dense layer and tanh on the first token's state.
    Pooler,
    /// Decoders' own: the state of the last token that isn't padding.
    Last,
}

words!(Pooling, "a pooling", "cls, mean, pooler, last",
    Pooling::Cls => "cls", Pooling::Mean => "mean", Pooling::Pooler => "pooler",
    Pooling::Last => "last");

impl Pooling {
    /// Whether it reads the first token's last state and no other, so that none else is needed.
    pub fn reads_first_alone(self) -> bool {
        match self {
            Self::Mean | Self::Last => false,
            Self::Cls | Self::Pooler => true,
        }
    }
}

/// Which parameters are trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

impl TrainableSet {
    /// The adapters, where there are any.
    pub fn lora(self) -> Option<LoraConfig> {
        match self {
            Self::Lora(lora) => Some(lora),
            _ => None,
        }
    }

    /// Its name.
    pub fn kind(self) -> TrainableKind {
        match self {
            Self::Full => TrainableKind::Full,
            Self::Encoder => TrainableKind::Encoder,
            Self::Lora(_) => TrainableKind::Lora,
            Self::Bias => TrainableKind::Bias,
            Self::Head => TrainableKind::Head,
        }
    }
}

impl std::fmt::Display for TrainableSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.kind().fmt(f)
    }
}

/// The name of a [`TrainableSet`], as configurations have it: the adapters of `lora` stand in a
/// section of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrainableKind {
    /// Everything.
    Full,
    /// All but the embeddings.
    #[default]
    Encoder,
    /// Low-rank adapters and the head.
    Lora,
    /// All biases and the head.
    Bias,
    /// The head alone.
    Head,
}

words!(TrainableKind, "a trainable set", "full, encoder, lora, bias, head",
    TrainableKind::Full => "full", TrainableKind::Encoder => "encoder",
    TrainableKind::Lora => "lora", TrainableKind::Bias => "bias", TrainableKind::Head => "head");

/// Adapters that are given for another set than `lora`, or not given for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdaptersDontFit {
    /// Nothing uses them.
    #[error("only goes with train = \"lora\", but train is \"{0}\"; change one of them")]
    Unused(TrainableKind),
    /// They are missing.
    #[error("is missing; the trainable set `lora` needs adapters: rank, alpha and targets")]
    Missing,
}

impl TrainableKind {
    /// The set of this name, with its adapters where it has them.
    ///
    /// # Errors
    /// [`AdaptersDontFit`] where adapters are given for another set than `lora`, or not for it.
    pub fn with(self, lora: Option<LoraConfig>) -> Result<TrainableSet, AdaptersDontFit> {
        let set = match (self, lora) {
            (Self::Lora, Some(lora)) => return Ok(TrainableSet::Lora(lora)),
            (Self::Lora, None) => return Err(AdaptersDontFit::Missing),
            (other, Some(_)) => return Err(AdaptersDontFit::Unused(other)),
            (Self::Full, None) => TrainableSet::Full,
            (Self::Encoder, None) => TrainableSet::Encoder,
            (Self::Bias, None) => TrainableSet::Bias,
            (Self::Head, None) => TrainableSet::Head,
        };
        Ok(set)
    }
}

/// What turns a pretrained encoder into a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierOptions {
    /// What it answers about a text.
    #[serde(default, skip_serializing_if = "Task::is_single_label")]
    pub task: Task,
    /// Whether it reads two texts together rather than one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pairs: bool,
    /// The labels, in the order of the outputs. A regression has one, the name of its value.
    pub labels: Vec<String>,
    /// What the loss of a row is multiplied by, for each label in the order of the outputs, if they
    /// don't all count alike. Public numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<ClassWeight>>,
    /// How hidden states become one vector.
    pub pooling: Pooling,
    /// Tokens of a text that are read, special tokens included.
    pub max_tokens: MaxTokens,
    /// Dropout rate in training.
    pub dropout: Dropout,
    /// Which parameters are trained.
    pub train: TrainableSet,
    /// What the gradient of the last layer's weights is multiplied by, by every site, before
    /// anything is clipped or added.
    #[serde(default, skip_serializing_if = "HeadScale::is_one")]
    pub head_scale: HeadScale,
}

impl ClassifierOptions {
    /// What is wrong with its labels and their weights, if anything: the key of the configuration,
    /// and what must be.
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        labels_mistake(self.task.kind(), &self.labels)
            .map(|mistake| ("data.labels", mistake))
            .or_else(|| {
                let weights = self.class_weights.as_ref()?;
                let mistake = if self.task != Task::SingleLabel {
                    "only go with the task `single-label`; remove them"
                } else if weights.len() != self.labels.len() {
                    "must be one weight for each label"
                } else {
                    return None;
                };
                Some(("training.class_weights", mistake))
            })
    }
}

/// Why these can't be the labels of a classifier, if they can't.
pub fn labels_mistake(task: TaskKind, labels: &[String]) -> Option<&'static str> {
    let distinct: BTreeSet<&String> = labels.iter().collect();
    let alike = distinct.len() < labels.len();
    match task {
        TaskKind::SingleLabel if labels.len() < 2 || alike => {
            Some("must be at least two different labels")
        }
        TaskKind::MultiLabel if labels.is_empty() || alike => {
            Some("must be at least one label, and each once")
        }
        TaskKind::Regression if labels.len() != 1 => {
            Some("must be one name, that of the value, for the task `regression`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_that_of_its_serialised_form() {
        for word in Pooling::WORDS {
            let read: Pooling = word.parse().expect("a word");
            assert_eq!(
                serde_json::to_string(&read).expect("json"),
                format!("\"{word}\"")
            );
        }
        for word in TrainableKind::WORDS {
            let read: TrainableKind = word.parse().expect("a word");
            assert_eq!(
                serde_json::to_string(&read).expect("json"),
                format!("\"{word}\"")
            );
        }
    }

    #[test]
    fn adapters_go_with_the_set_lora_alone() {
        let lora = LoraConfig::default();
        assert!(TrainableKind::Lora.with(Some(lora)).is_ok());
        assert!(TrainableKind::Lora.with(None).is_err());
        assert!(TrainableKind::Head.with(Some(lora)).is_err());
        assert!(TrainableKind::Head.with(None).is_ok());
    }
}
