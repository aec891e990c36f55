//! Low-rank adapters (LoRA; Hu et al. 2022): which layers get one, and how large they are.
//!
//! An adapted layer computes `y = x W + b + (alpha / rank) x A B`, with W and b frozen. A
//! starts random and B starts at zero, so training begins at the pretrained model. With A
//! frozen (FFA-LoRA; Sun et al. 2024) only B is trained: half the traffic, averages of
//! clients' adapters are exact, and noise is never multiplied by noise.

use std::ops::Bound::Included;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::words;

use crate::bounded;

bounded! {
    /// Columns of A and rows of B: more than 4,096 would be no smaller than what they adapt.
    LoraRank(usize): "rank", Included(1), Included(4096);
    /// The adapters' output is multiplied by alpha / rank: scales by which a weight in single
    /// precision can be multiplied without loss.
    LoraAlpha(f64): "alpha", Included(1e-6), Included(1e6);
    /// What a step of the word embeddings is multiplied by, and before it their gradient.
    WordScale(f64): "words", Included(1e-3), Included(1.0);
}

/// A kind of linear layer of the encoder that can be adapted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LoraTarget {
    /// The queries of self-attention.
    Query,
    /// Its keys.
    Key,
    /// Its values.
    Value,
    /// The layer after self-attention.
    AttentionOutput,
    /// The first feed-forward layer.
    Intermediate,
    /// The second feed-forward layer.
    Output,
}

impl LoraTarget {
    /// All of them, in the order of a layer.
    pub const ALL: [Self; 6] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::AttentionOutput,
        Self::Intermediate,
        Self::Output,
    ];
}

words!(LoraTarget, "a kind of layer that can be adapted",
    "query, key, value, attention-output, intermediate, output, all",
    LoraTarget::Query => "query", LoraTarget::Key => "key", LoraTarget::Value => "value",
    LoraTarget::AttentionOutput => "attention-output",
    LoraTarget::Intermediate => "intermediate", LoraTarget::Output => "output");

/// The kinds of layers that get an adapter: at least one. Written as a list of words, in which
/// `all` stands for every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<LoraTarget>")]
pub struct LoraTargets([bool; LoraTarget::ALL.len()]);

/// A list of words that names no set of layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTargets {
    /// A word that names no kind of layer.
    #[error(transparent)]
    Unknown(#[from] umbel_privacy::word::UnknownWord),
    /// A layer is there twice.
    #[error("target `{0}` is named twice; name each once, or `all` alone")]
    Twice(LoraTarget),
    /// There is none.
    #[error("no target is named; name layers to adapt, such as query and value, or `all`")]
    Empty,
}

impl LoraTargets {
    /// Reads a list of targets; `all` stands for every one.
    ///
    /// # Errors
    /// [`InvalidTargets`] for an unknown word, one that is there twice, and an empty list.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, InvalidTargets> {
        let mut chosen = Self([false; LoraTarget::ALL.len()]);
        for word in words.iter().map(AsRef::as_ref) {
            let targets: Vec<LoraTarget> = match word {
                "all" => LoraTarget::ALL.to_vec(),
                word => vec![word.parse()?],
            };
            for target in targets {
                if std::mem::replace(&mut chosen.0[target as usize], true) {
                    return Err(InvalidTargets::Twice(target));
                }
            }
        }
        if chosen.iter().next().is_none() {
            return Err(InvalidTargets::Empty);
        }
        Ok(chosen)
    }

    /// Whether a kind of layer is among them.
    pub fn contains(self, target: LoraTarget) -> bool {
        self.0[target as usize]
    }

    /// The targets, in the order of a layer.
    pub fn iter(self) -> impl Iterator<Item = LoraTarget> {
        LoraTarget::ALL
            .into_iter()
            .filter(move |target| self.contains(*target))
    }
}

impl Default for LoraTargets {
    fn default() -> Self {
        Self(LoraTarget::ALL.map(|t| matches!(t, LoraTarget::Query | LoraTarget::Value)))
    }
}

impl TryFrom<Vec<String>> for LoraTargets {
    type Error = InvalidTargets;

    fn try_from(words: Vec<String>) -> Result<Self, InvalidTargets> {
        Self::parse(&words)
    }
}

impl From<LoraTargets> for Vec<LoraTarget> {
    fn from(targets: LoraTargets) -> Self {
        targets.iter().collect()
    }
}

/// `[model.lora]`: the adapters of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Columns of A and rows of B: an adapted layer computes x W + b + (alpha / rank) x A B, with W
    /// and b frozen.
    pub rank: LoraRank,
    /// The adapters' output is multiplied by alpha / rank.
    pub alpha: LoraAlpha,
    /// Layers with an adapter: `query`, `key`, `value`, `attention-output`, `intermediate`,
    /// `output`, or `all`.
    #[schemars(with = "Vec<String>")]
    pub targets: LoraTargets,
    /// Train B alone, and leave A as it was drawn (FFA-LoRA). This halves the traffic, makes
    /// averages of clients' adapters exact, and noise isn't multiplied by noise.
    pub freeze_a: bool,
    /// Trains the word embeddings, too, in steps that are multiplied by this number, as is their
    /// gradient before a unit is clipped. 0.5 is a good start for a small model and Adam. All of the
    /// table travels in every round, a hundred times as many numbers as adapters have. Left out:
    /// embeddings stay as they are, or with `privacy.units` 0.5 (1 with more than two labels) where they
    /// are at most five million numbers and `model.train` is left out, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<WordScale>,
    /// Draws A, which starts uniform between ±1/√inputs; B starts at zero. The seed is public:
    /// every client starts from the same A. Left out: `run.seed`, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: LoraRank(8),
            alpha: LoraAlpha(16.0),
            targets: LoraTargets::default(),
            freeze_a: false,
            words: None,
            seed: None,
        }
    }
}

impl LoraConfig {
    /// alpha / rank
    pub fn scale(&self) -> f64 {
        self.alpha.get() / self.rank.get() as f64
    }

    /// What draws A.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// The same adapters with a definite seed: theirs, else the run's.
    pub fn seeded_by(self, run: Option<u64>) -> Self {
        Self {
            seed: Some(self.seed.or(run).unwrap_or(0)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_in_any_order_and_kept_in_the_order_of_a_layer() {
        let targets = LoraTargets::parse(&["value", "query"]).expect("two kinds");
        let found: Vec<LoraTarget> = targets.iter().collect();
        assert_eq!(found, [LoraTarget::Query, LoraTarget::Value]);
        assert_eq!(targets, LoraTargets::default());
        let all = LoraTargets::parse(&["all"]).expect("all kinds");
        assert_eq!(all.iter().count(), LoraTarget::ALL.len());
    }

    #[test]
    fn empty_repeated_and_unknown_targets_are_refused() {
        for words in [
            &[][..],
            &["query", "query"],
            &["all", "key"],
            &["dense"],
            &["Query"],
        ] {
            assert!(LoraTargets::parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn adapters_read_back_as_they_were_written() {
        let lora = LoraConfig {
            targets: LoraTargets::parse(&["output"]).expect("a kind"),
            ..LoraConfig::default()
        }
        .seeded_by(Some(4));
        let json = serde_json::to_string(&lora).expect("json");
        assert_eq!(
            serde_json::from_str::<LoraConfig>(&json).expect("read"),
            lora
        );
        assert!(json.contains("[\"output\"]"), "{json}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for rank in [0, 4097, usize::MAX] {
            assert!(LoraRank::try_from(rank).is_err(), "{rank}");
        }
        for alpha in [0.0, -1.0, 1e7, f64::NAN, f64::INFINITY] {
            assert!(LoraAlpha::try_from(alpha).is_err(), "{alpha}");
        }
        for words in [0.0, -0.5, 1e-4, 1.5, f64::NAN, f64::INFINITY] {
            assert!(WordScale::try_from(words).is_err(), "{words}");
        }
    }
}
