//! The plan of a run: everything that a site must know, and may refuse.
//!
//! It travels as JSON, so that the very bytes which a site agreed to can be hashed,
//! logged and shown to a person. Nothing in it is a secret and nothing in it was
//! derived from private data.

use serde::{Deserialize, Serialize};
use umbel_privacy::combination::{InvalidCombination, Summed, check_combination};
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};

use crate::mechanism::LEAST_NOISE_MULTIPLIER;
use crate::message::BlobDigest;

/// What a run asks of every site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The run's name: part of every ledger entry.
    pub run: String,
    /// How many rounds are planned.
    pub rounds: u32,
    /// What the coordinator sums.
    pub summed: Summed,
    /// What is protected and how.
    pub privacy: PrivacyPlan,
    /// Which classifier is trained, and how much of it.
    pub classifier: ClassifierPlan,
    /// How a site trains.
    pub local: LocalPlan,
    /// A seed makes the whole run predictable, for tests and simulations: it protects nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// The privacy that a plan promises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyPlan {
    /// What one neighbouring data set may add or remove.
    pub unit: PrivacyUnit,
    /// Who adds the noise.
    pub placement: NoisePlacement,
    /// The neighbourhood.
    pub adjacency: Adjacency,
    /// The budget's epsilon.
    pub epsilon: f64,
    /// The budget's delta.
    pub delta: f64,
    /// Standard deviation of the noise over the clipping norm.
    pub noise_multiplier: f64,
    /// Whether the noise may be weaker than [`LEAST_NOISE_MULTIPLIER`]. A site has to allow it
    /// as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_weak_noise: bool,
    /// Poisson sampling rate: of units at each site, or of clients for the unit `client`.
    pub sampling_rate: f64,
    /// The L2 norm to which one unit's contribution is clipped.
    pub clipping_norm: f64,
    /// How a unit's gradient is clipped.
    #[serde(default)]
    pub clipping: ClippingRule,
    /// How the threshold of clipping follows a quantile of the norms, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_clipping: Option<AdaptiveClippingPlan>,
    /// Rows of one group that take part, at most; the first ones count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_group: Option<usize>,
}

/// Adaptive clipping (Andrew et al. 2021). The first threshold is the clipping norm, which
/// stays the bound on what one unit contributes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveClippingPlan {
    /// The share of units that is to be left unclipped.
    pub quantile: f64,
    /// By how much the threshold follows, per round.
    pub learning_rate: f64,
    /// Units that a round is expected to have, over all sites: public.
    pub expected_units: f64,
}

/// The classifier that a plan trains. The words are those of the model crate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierPlan {
    /// The model that training starts from.
    pub base: BasePlan,
    /// The label set, in the order of the classifier's outputs.
    pub labels: Vec<String>,
    /// Trainable set: `full`, `encoder`, `lora`, `bias` or `head`.
    pub train: String,
    /// The adapters of the trainable set `lora`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraPlan>,
    /// Pooling: `cls`, `mean` or `pooler`.
    pub pooling: String,
    /// Tokens of a text that are read, special tokens included.
    pub max_tokens: usize,
    /// Dropout rate in training.
    pub dropout: f64,
    /// How many numbers the trainable parameters are.
    pub parameters: usize,
    /// Digest of their layout (names, shapes, order), which a site recomputes.
    pub layout: BlobDigest,
}

/// The base model of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePlan {
    /// Digest of its `model.safetensors`.
    pub weights: BlobDigest,
    /// Digest of the certificate of the run that released it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<BlobDigest>,
}

/// Low-rank adapters: `y = x W + b + (alpha / rank) x A B` with W and b frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraPlan {
    /// Columns of A and rows of B.
    pub rank: usize,
    /// The adapters' output is multiplied by alpha / rank.
    pub alpha: f64,
    /// The layers that get an adapter, in the model crate's words.
    pub targets: Vec<String>,
    /// Whether A keeps its random start, so that B alone is trained.
    pub freeze_a: bool,
    /// Draws A: public, so that every client starts from the same.
    pub seed: u64,
}

/// How a unit's gradient is brought to the clipping norm C, or below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClippingRule {
    /// Scaled by min(1, C/norm) (Abadi et al. 2016).
    #[default]
    Flat,
    /// Scaled by C/(norm + 0.01) (Bu et al. 2023): short gradients are scaled up.
    Automatic,
}

impl std::fmt::Display for ClippingRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Flat => "flat",
            Self::Automatic => "automatic",
        })
    }
}

/// How a site trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalPlan {
    /// Rows that pass through the model at a time. Changes speed and memory, not the result.
    pub micro_batch: usize,
    /// Public cap on the units that one site adds up in one round: it bounds the wire format.
    pub max_units: u64,
    /// Whether sites clean their tables before use.
    pub clean: bool,
    /// For `deltas`: the local optimisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimisation: Option<LocalOptimisation>,
}

/// Local steps of a run that sums `deltas`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalOptimisation {
    /// Which optimiser takes the steps.
    pub optimiser: LocalOptimiser,
    /// Steps in a round.
    pub steps: u32,
    /// Rows of a step. Under local noise the divisor: the public expected batch.
    pub batch: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay (AdamW) or L2 (SGD); 0 for none.
    pub weight_decay: f64,
    /// Momentum of SGD; 0 for none.
    pub momentum: f64,
}

/// The optimisers that a site may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalOptimiser {
    /// Stochastic gradient descent.
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW,
}

/// Rows of a micro-batch, at most. Its sum is formed in single precision, and what that rounds
/// has to stay within the clipping slack (`privacy/proofs/lattice.md`).
const LARGEST_MICRO_BATCH: usize = 256;

/// Numbers that are trained, at most: more than any model has, and few enough to be counted with.
const LARGEST_MODEL: u64 = 1 << 40;

/// Why a plan can't be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// It isn't a plan at all.
    #[error("the plan isn't readable ({0}); coordinator and client must be of one version")]
    Unreadable(String),
    /// Unit, sum and noise don't go together.
    #[error(transparent)]
    Combination(#[from] InvalidCombination),
    /// The noise is too weak to mean anything, and nobody said that it may be.
    #[error(
        "the plan's noise_multiplier is {found}, below {LEAST_NOISE_MULTIPLIER}: with so little \
         noise a single round's epsilon is so large that it promises nothing; spend less \
         (fewer rounds, a smaller epsilon, a higher noise_multiplier), or set \
         privacy.allow_weak_noise = true, and at every site a lower \
         policy.least_noise_multiplier"
    )]
    WeakNoise {
        /// The plan's noise multiplier.
        found: f64,
    },
    /// One number is out of its range.
    #[error("the plan's {field} is {found}, but must be {expected}")]
    Range {
        /// Which.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] for anything that isn't a valid plan.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanError> {
        let plan: Self =
            serde_json::from_slice(bytes).map_err(|e| PlanError::Unreadable(e.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    /// The plan as the JSON bytes that travel and are hashed.
    pub fn to_json(&self) -> Vec<u8> {
        // A struct of numbers, strings and lists always has a JSON form.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Checks every number and combination.
    ///
    /// # Errors
    /// [`PlanError`] naming the first field that is wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        let p = &self.privacy;
        check_combination(p.unit, self.summed, p.placement)?;
        let range = |ok: bool, field, found: String, expected| {
            if ok {
                Ok(())
            } else {
                Err(PlanError::Range {
                    field,
                    found,
                    expected,
                })
            }
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        range(
            (1..=1_000_000).contains(&self.rounds),
            "rounds",
            self.rounds.to_string(),
            "from 1 to 1,000,000",
        )?;
        range(
            p.sampling_rate > 0.0 && p.sampling_rate <= 1.0,
            "sampling_rate",
            p.sampling_rate.to_string(),
            "above 0 and at most 1",
        )?;
        if self.is_private() {
            range(
                positive(p.epsilon),
                "epsilon",
                p.epsilon.to_string(),
                "above 0",
            )?;
            range(
                p.delta > 0.0 && p.delta < 1.0,
                "delta",
                p.delta.to_string(),
                "between 0 and 1",
            )?;
            range(
                p.noise_multiplier >= 0.01 && p.noise_multiplier <= 1e4,
                "noise_multiplier",
                p.noise_multiplier.to_string(),
                "from 0.01 to 10,000",
            )?;
            range(
                p.clipping_norm >= 1e-6 && p.clipping_norm <= 1e6,
                "clipping_norm",
                p.clipping_norm.to_string(),
                "from 1e-6 to 1e6",
            )?;
            if self.has_weak_noise() && !p.allow_weak_noise {
                return Err(PlanError::WeakNoise {
                    found: self.total_noise_multiplier(),
                });
            }
        }
        range(
            p.adaptive_clipping.is_none()
                || (p.placement == NoisePlacement::Central
                    && p.clipping == ClippingRule::Flat
                    && self.submits_bounded()),
            "adaptive_clipping",
            "given".into(),
            "left out unless noise is `central`, clipping is `flat` and the run is private",
        )?;
        range(
            p.rows_per_group != Some(0),
            "rows_per_group",
            "0".into(),
            "at least 1",
        )?;
        let by_unit = matches!(p.unit, PrivacyUnit::Record | PrivacyUnit::Group);
        range(
            p.clipping == ClippingRule::Flat || by_unit,
            "clipping",
            p.clipping.to_string(),
            "`flat` unless the unit is `record` or `group`: only gradients are clipped \
             automatically",
        )?;
        let c = &self.classifier;
        range(
            c.lora.is_some() == (c.train == "lora"),
            "lora",
            if c.lora.is_some() {
                "given".into()
            } else {
                "missing".into()
            },
            "given for the trainable set `lora`, and only for it",
        )?;
        if let Some(lora) = &c.lora {
            range(
                (1..=65_536).contains(&lora.rank) && positive(lora.alpha),
                "lora",
                format!("rank {}, alpha {}", lora.rank, lora.alpha),
                "a rank from 1 to 65,536 and an alpha above 0",
            )?;
            range(
                !lora.targets.is_empty(),
                "lora.targets",
                "empty".into(),
                "at least one kind of layer",
            )?;
        }
        range(
            c.labels.len() >= 2,
            "labels",
            format!("{:?}", c.labels),
            "at least two labels",
        )?;
        range(
            (1..=LARGEST_MODEL).contains(&(c.parameters as u64)),
            "parameters",
            c.parameters.to_string(),
            "from 1 to 2^40",
        )?;
        range(
            (3..=100_000).contains(&c.max_tokens),
            "max_tokens",
            c.max_tokens.to_string(),
            "at least 3: two special tokens and a word",
        )?;
        range(
            (0.0..1.0).contains(&c.dropout),
            "dropout",
            c.dropout.to_string(),
            "at least 0 and below 1",
        )?;
        let l = &self.local;
        range(
            (1..=LARGEST_MICRO_BATCH).contains(&l.micro_batch),
            "micro_batch",
            l.micro_batch.to_string(),
            "from 1 to 256: what is added up in single precision at a time bounds its rounding",
        )?;
        range(
            (1..=1 << 32).contains(&l.max_units),
            "max_units",
            l.max_units.to_string(),
            "from 1 to 2^32",
        )?;
        range(
            l.optimisation.is_some() == (self.summed == Summed::Deltas),
            "optimisation",
            if l.optimisation.is_some() {
                "given".into()
            } else {
                "missing".into()
            },
            "given for `deltas`, and only for them",
        )?;
        if let Some(o) = &l.optimisation {
            range(
                (1..=1_000_000).contains(&o.steps) && (1..=1 << 24).contains(&o.batch),
                "optimisation",
                format!("{} steps of {} rows", o.steps, o.batch),
                "at least one step of one row",
            )?;
            range(
                positive(o.learning_rate)
                    && o.weight_decay >= 0.0
                    && o.weight_decay.is_finite()
                    && (0.0..1.0).contains(&o.momentum),
                "optimisation",
                format!(
                    "learning rate {}, weight decay {}, momentum {}",
                    o.learning_rate, o.weight_decay, o.momentum
                ),
                "a positive learning rate, weight decay of at least 0, momentum in [0, 1)",
            )?;
        }
        Ok(())
    }

    /// Whether the plan promises privacy at all.
    pub fn is_private(&self) -> bool {
        self.privacy.unit != PrivacyUnit::None
    }
}
