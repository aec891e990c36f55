//! How sites train: gradients for one server step, or steps of their own.

use std::ops::Bound::{Excluded, Included};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::combination::Summed;
use umbel_privacy::words;

use crate::bounded;

bounded! {
    /// Local steps in a round.
    LocalSteps(u32): "steps", Included(1), Included(1_000_000);
    /// Rows of a local step.
    LocalBatch(usize): "batch", Included(1), Included(1 << 24);
    /// A learning rate.
    LearningRate(f64): "learning_rate", Excluded(0.0), Excluded(f64::INFINITY);
    /// Decoupled weight decay (AdamW) or L2 (SGD).
    WeightDecay(f64): "weight_decay", Included(0.0), Excluded(f64::INFINITY);
    /// What is kept of the last step's direction.
    Momentum(f64): "momentum", Included(0.0), Excluded(1.0);
    /// How strongly local steps are pulled back to where the round began.
    Proximal(f64): "proximal", Included(0.0), Excluded(f64::INFINITY);
    /// Rows that pass through the model at a time. Their sum is formed in single precision, and
    /// what that rounds has to stay within the clipping slack (`privacy/proofs/lattice.md`).
    MicroBatch(usize): "micro_batch", Included(1), Included(256);
    /// Public cap on the units that one site adds up in one round: it bounds the wire format.
    MaxUnits(u64): "max_units", Included(1), Included(1 << 32);
    /// A public number by which sums are divided: what a round is expected to have.
    Divisor(f64): "the public divisor", Excluded(0.0), Included(1e15);
}

impl Default for MicroBatch {
    fn default() -> Self {
        Self(64)
    }
}

impl Default for MaxUnits {
    fn default() -> Self {
        Self(1 << 16)
    }
}

impl Default for WeightDecay {
    fn default() -> Self {
        Self(0.0)
    }
}

impl Default for Proximal {
    fn default() -> Self {
        Self(0.0)
    }
}

impl Proximal {
    /// Whether there is no such pull.
    pub fn is_none(&self) -> bool {
        self.0 == 0.0
    }
}

impl Default for Momentum {
    fn default() -> Self {
        Self(0.0)
    }
}

/// What a site's update is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The sum of the sampled units' gradients (FedSGD).
    Gradients,
    /// The difference that steps of its own make (FedAvg).
    Deltas(LocalOptimisation),
}

impl Method {
    /// What the coordinator sums.
    pub fn summed(&self) -> Summed {
        match self {
            Self::Gradients => Summed::Gradients,
            Self::Deltas(_) => Summed::Deltas,
        }
    }

    /// The steps of the site's own.
    pub fn local(&self) -> Option<&LocalOptimisation> {
        match self {
            Self::Gradients => None,
            Self::Deltas(local) => Some(local),
        }
    }
}

/// `[training.local]`: the local steps of a run that sums `deltas`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalOptimisation {
    /// Which optimiser takes the steps: `sgd` or `adam-w`.
    pub optimiser: LocalOptimiser,
    /// Local steps in a round.
    pub steps: LocalSteps,
    /// Rows of a step. With the unit `record` or `group`, the public number that a step's noised
    /// sum is divided by.
    pub batch: LocalBatch,
    /// Learning rate of the local steps.
    pub learning_rate: LearningRate,
    /// Weight decay: decoupled for `adam-w`, L2 for `sgd`.
    #[serde(default)]
    pub weight_decay: WeightDecay,
    /// Momentum, for `sgd` only.
    #[serde(default)]
    pub momentum: Momentum,
    /// FedProx: each step is pulled back towards the parameters that the round began with, by this
    /// multiple of the distance. It helps where sites' data differ much. 0 is FedAvg. It costs no
    /// privacy, since it depends on what was released alone.
    #[serde(default, skip_serializing_if = "Proximal::is_none")]
    pub proximal: Proximal,
}

/// The optimisers that a site may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LocalOptimiser {
    /// Stochastic gradient descent.
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW,
}

words!(LocalOptimiser, "an optimiser of local steps", "sgd, adam-w",
    LocalOptimiser::Sgd => "sgd", LocalOptimiser::AdamW => "adam-w");

/// How a unit's gradient is brought to the clipping norm C, or below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClippingRule {
    /// Scaled by min(1, C/norm) (Abadi et al. 2016).
    #[default]
    Flat,
    /// Scaled by C/(norm + 0.01) (Bu et al. 2023): short gradients are scaled up.
    Automatic,
    /// The same, and by min(1, 2 r), where r is how far the model's answer is from what is right.
    Residual,
}

words!(ClippingRule, "a clipping rule", "flat, automatic, residual",
    ClippingRule::Flat => "flat", ClippingRule::Automatic => "automatic",
    ClippingRule::Residual => "residual");
