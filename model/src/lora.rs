//! Low-rank adapters (LoRA; Hu et al. 2022): which layers get one, and how it starts.
//!
//! An adapted layer computes `y = x W + b + (alpha / rank) x A B`, with W and b frozen. A
//! starts random and B starts at zero, so training begins at the pretrained model. With A
//! frozen (FFA-LoRA; Sun et al. 2024) only B is trained: half the traffic, averages of
//! clients' adapters are exact, and noise is never multiplied by noise.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use umbel_privacy::private_rng::NoiseSource;

use crate::error::ModelError;

/// The largest rank: beyond it an adapter is no smaller than what it adapts.
const LARGEST_RANK: usize = 4096;

/// A kind of linear layer of the encoder that can be adapted, by the end of its Hugging Face
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoraTarget {
    /// `attention.self.query`
    Query,
    /// `attention.self.key`
    Key,
    /// `attention.self.value`
    Value,
    /// `attention.output.dense`
    AttentionOutput,
    /// `intermediate.dense`
    Intermediate,
    /// `output.dense`, the second feed-forward layer.
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

    /// The layer's name within its encoder layer.
    pub fn layer(self) -> &'static str {
        match self {
            Self::Query => "attention.self.query",
            Self::Key => "attention.self.key",
            Self::Value => "attention.self.value",
            Self::AttentionOutput => "attention.output.dense",
            Self::Intermediate => "intermediate.dense",
            Self::Output => "output.dense",
        }
    }
}

impl fmt::Display for LoraTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::AttentionOutput => "attention-output",
            Self::Intermediate => "intermediate",
            Self::Output => "output",
        })
    }
}

impl FromStr for LoraTarget {
    type Err = ModelError;

    fn from_str(word: &str) -> Result<Self, ModelError> {
        let named = |target: &Self| target.to_string() == word;
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| ModelError::UnknownWord {
                what: "LoRA target",
                found: word.to_owned(),
                expected: "query, key, value, attention-output, intermediate, output, all",
            })
    }
}

/// The kinds of layers that get an adapter: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoraTargets([bool; LoraTarget::ALL.len()]);

impl LoraTargets {
    /// Reads a list of targets; `all` stands for every one.
    ///
    /// # Errors
    /// [`ModelError`] for an unknown word, one that is there twice, and an empty list.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, ModelError> {
        let mut chosen = Self([false; LoraTarget::ALL.len()]);
        for word in words.iter().map(AsRef::as_ref) {
            let targets: Vec<LoraTarget> = match word {
                "all" => LoraTarget::ALL.to_vec(),
                word => vec![word.parse()?],
            };
            for target in targets {
                if std::mem::replace(&mut chosen.0[target as usize], true) {
                    return Err(ModelError::Lora(format!(
                        "target `{target}` is named twice; name each once, or `all` alone"
                    )));
                }
            }
        }
        if chosen.iter().next().is_none() {
            return Err(ModelError::Lora(
                "no target is named; name layers to adapt, such as query and value, or `all`"
                    .into(),
            ));
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

/// The adapters of a run. Made by [`LoraConfig::new`], so it is always sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraConfig {
    rank: usize,
    alpha: f64,
    targets: LoraTargets,
    freeze_a: bool,
    seed: u64,
}

impl LoraConfig {
    /// Checks the numbers of an adapter.
    ///
    /// `seed` draws the matrices A. It is public, and the same at every client.
    ///
    /// # Errors
    /// [`ModelError::Lora`] naming the number that can't be.
    pub fn new(
        rank: usize,
        alpha: f64,
        targets: LoraTargets,
        freeze_a: bool,
        seed: u64,
    ) -> Result<Self, ModelError> {
        if !(1..=LARGEST_RANK).contains(&rank) {
            return Err(ModelError::Lora(format!(
                "rank is {rank}; it must be from 1 to {LARGEST_RANK} (8 is usual)"
            )));
        }
        // Scales by which a weight in f32 can be multiplied without loss.
        if !(1e-6..=1e6).contains(&alpha) {
            return Err(ModelError::Lora(format!(
                "alpha is {alpha}; it must be from 1e-6 to 1e6 (twice the rank is usual)"
            )));
        }
        Ok(Self {
            rank,
            alpha,
            targets,
            freeze_a,
            seed,
        })
    }

    /// Columns of A and rows of B.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The adapter's output is multiplied by alpha / rank.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Which layers are adapted.
    pub fn targets(&self) -> LoraTargets {
        self.targets
    }

    /// Whether A keeps its random start.
    pub fn freeze_a(&self) -> bool {
        self.freeze_a
    }

    /// alpha / rank
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// The start of a layer's A, `[inputs, rank]` in row-major order: uniform between
    /// ±1/√inputs, as PEFT starts it (Kaiming's rule with a = √5). By multiplication and
    /// square root alone, so every machine draws the same bits.
    pub(crate) fn initial_a(&self, layer: &str, inputs: usize) -> Vec<f32> {
        let mut rng = NoiseSource::seeded(self.seed, &format!("lora/{layer}"));
        let bound = 1.0 / (inputs as f64).sqrt();
        (0..inputs * self.rank)
            .map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(seed: u64) -> LoraConfig {
        let targets = LoraTargets::parse(&["query"]).unwrap();
        LoraConfig::new(4, 8.0, targets, false, seed).unwrap()
    }

    #[test]
    fn targets_are_read_in_any_order_and_kept_in_the_order_of_a_layer() {
        let targets = LoraTargets::parse(&["value", "query"]).unwrap();
        let found: Vec<LoraTarget> = targets.iter().collect();
        assert_eq!(found, [LoraTarget::Query, LoraTarget::Value]);
        let all = LoraTargets::parse(&["all"]).unwrap();
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
    fn numbers_out_of_range_are_refused() {
        let targets = LoraTargets::parse(&["all"]).unwrap();
        for (rank, alpha) in [
            (0, 1.0),
            (usize::MAX, 1.0),
            (8, 0.0),
            (8, -1.0),
            (8, f64::NAN),
            (8, f64::INFINITY),
        ] {
            let made = LoraConfig::new(rank, alpha, targets, false, 0);
            assert!(made.is_err(), "rank {rank}, alpha {alpha}");
        }
    }

    #[test]
    fn a_starts_the_same_for_one_seed_and_layer_and_within_its_bound() {
        let a = config(1).initial_a("encoder.layer.0.attention.self.query", 16);
        assert_eq!(
            a,
            config(1).initial_a("encoder.layer.0.attention.self.query", 16)
        );
        assert_ne!(
            a,
            config(2).initial_a("encoder.layer.0.attention.self.query", 16)
        );
        assert_ne!(
            a,
            config(1).initial_a("encoder.layer.1.attention.self.query", 16)
        );
        assert!(a.iter().all(|x| x.abs() <= 0.25));
        // Uniform on ±1/4 has a mean square of 1/48; 64 draws scatter by 12 %.
        let mean_square = a.iter().map(|x| x * x).sum::<f32>() / a.len() as f32;
        assert!((0.01..0.04).contains(&mean_square), "{mean_square}");
    }
}
