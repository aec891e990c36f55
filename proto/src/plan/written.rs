//! A plan as it is written: each number is in its range. What goes together is checked when a
//! [`super::Plan`] is made of it.

use std::num::NonZeroUsize;
use std::ops::Bound::{Excluded, Included};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::accountant::event::NoiseMultiplier;
use umbel_privacy::budget::Budget;
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::combination::Summed;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};

use crate::bounded;
use crate::classifier::ClassifierOptions;
use crate::message::BlobDigest;
use crate::method::{ClippingRule, Divisor, LocalOptimisation, MaxUnits, Method, MicroBatch};
use crate::name::RunName;

bounded! {
    /// Rounds of a run.
    Rounds(u32): "rounds", Included(1), Included(1_000_000);
    /// The share of units that adaptive clipping leaves unclipped.
    Quantile(f64): "quantile", Excluded(0.0), Excluded(1.0);
    /// By how much the threshold of adaptive clipping follows, per round.
    ThresholdRate(f64): "learning_rate", Excluded(0.0), Included(1.0);
}

impl Default for Quantile {
    fn default() -> Self {
        Self(0.5)
    }
}

impl Default for ThresholdRate {
    fn default() -> Self {
        Self(0.2)
    }
}

/// What a run asks of every site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenPlan {
    /// The run's name: part of every ledger entry.
    pub run: RunName,
    /// How many rounds are planned.
    pub rounds: Rounds,
    /// What the coordinator sums, and the steps that sites take for it.
    pub method: Method,
    /// The Poisson sampling rate: of units at each site, or of clients for the unit `client`.
    pub sampling_rate: SamplingRate,
    /// The public number by which a round's sum is divided: the units, or the clients, that a
    /// round is expected to have over all sites.
    pub divisor: Divisor,
    /// The privacy that is promised; left out, nobody is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    /// Which classifier is trained, and how much of it.
    pub classifier: ClassifierPlan,
    /// How a site goes through its rows.
    pub local: LocalPlan,
    /// A seed makes the whole run predictable, for tests and simulations: it protects nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The run that this one rehearses, if it is a rehearsal: sites train on rows that they make up,
    /// and nothing is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
}

/// What a rehearsal changes of the plan that it rehearses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// The rounds of the run that is rehearsed.
    pub rounds: Rounds,
}

/// The privacy that a plan promises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// What one neighbouring data set may add or remove.
    pub unit: PrivacyUnit,
    /// Who adds the noise.
    pub placement: NoisePlacement,
    /// The neighbourhood.
    pub adjacency: Adjacency,
    /// The most that may be spent.
    pub budget: Budget,
    /// Standard deviation of all the noise that a round's sum gets, over the clipping norm: with
    /// noise `local`, that of one site's own sum.
    ///
    /// With adaptive clipping, the bits that it learns from are one coordinate of the vector that
    /// is bounded and noised as a whole (`privacy/proofs/adaptive_clipping.md`). So the share that
    /// they take is in this number already: the gradients alone have more noise, never less.
    pub noise_multiplier: NoiseMultiplier,
    /// Whether the noise may be weaker than [`super::LEAST_NOISE_MULTIPLIER`]. A site has to
    /// allow it as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_weak_noise: bool,
    /// The L2 norm to which one unit's contribution is clipped.
    pub clipping_norm: ClippingNorm,
    /// How a unit's gradient is clipped.
    #[serde(default)]
    pub clipping: ClippingRule,
    /// How the threshold of clipping follows a quantile of the norms, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_clipping: Option<AdaptiveClippingTerms>,
    /// Rows of one group that take part, at most; the first ones count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_group: Option<NonZeroUsize>,
}

/// `[privacy.adaptive_clipping]` (Andrew et al. 2021): `clipping_norm` is the first threshold,
/// and stays the bound on what one unit contributes. A bit of each unit, whether it was clipped,
/// is summed and noised with the gradients, and charged with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveClippingTerms {
    /// The share of units that is to be left unclipped.
    pub quantile: Quantile,
    /// By how much the threshold follows, per round.
    pub learning_rate: ThresholdRate,
}

/// The classifier that a plan trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierPlan {
    /// The model that training starts from.
    pub base: BasePlan,
    /// What is made of it.
    pub options: ClassifierOptions,
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

/// How a site goes through its rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalPlan {
    /// Rows that pass through the model at a time. Changes speed and memory, not the result.
    pub micro_batch: MicroBatch,
    /// Public cap on the units that one site adds up in one round: it bounds the wire format.
    pub max_units: MaxUnits,
    /// Whether sites clean their tables before use.
    pub clean: bool,
}

impl WrittenPlan {
    /// What is protected; `None` where the plan promises nothing.
    pub fn unit(&self) -> Option<PrivacyUnit> {
        self.protection.map(|p| p.unit)
    }

    /// Whether the plan promises privacy at all.
    pub fn is_private(&self) -> bool {
        self.protection.is_some()
    }

    /// Whether each site adds the noise that its own guarantee needs.
    pub fn has_local_noise(&self) -> bool {
        self.protection
            .is_some_and(|p| p.placement == NoisePlacement::Local)
    }

    /// Whether one client is what is protected, so that nobody may learn who took part.
    pub fn hides_clients(&self) -> bool {
        self.unit() == Some(PrivacyUnit::Client)
    }

    /// What the coordinator sums.
    pub fn summed(&self) -> Summed {
        self.method.summed()
    }

    /// The steps that a site takes by itself.
    pub fn local_steps(&self) -> Option<&LocalOptimisation> {
        self.method.local()
    }

    /// The sampling rate that may be claimed against this plan's adversary.
    ///
    /// Where the unit is the client and noise is local, the coordinator is in the adversary
    /// and does the sampling, so no amplification is claimed.
    pub fn accounted_sampling_rate(&self) -> SamplingRate {
        if self.hides_clients() && self.has_local_noise() {
            SamplingRate::ALL
        } else {
            self.sampling_rate
        }
    }

    /// Numbers of an update, and of what a round begins with: the trained parameters and, with
    /// adaptive clipping, one more. That is the clipping threshold in what a round begins
    /// with, and the sum of the units' bits in an update.
    pub fn coordinates(&self) -> usize {
        self.classifier.parameters + usize::from(self.adapts())
    }

    /// Whether the threshold of clipping follows the norms.
    pub(super) fn adapts(&self) -> bool {
        self.protection
            .is_some_and(|p| p.adaptive_clipping.is_some())
    }

    /// How often noise is drawn in one round: once, or at every local step of DP-SGD at a site.
    pub fn events_per_round(&self) -> u32 {
        match (self.local_steps(), self.unit()) {
            (Some(local), Some(PrivacyUnit::Record | PrivacyUnit::Group)) => local.steps.get(),
            _ => 1,
        }
    }

    /// How often noise is drawn in all planned rounds.
    pub fn draws(&self) -> u64 {
        u64::from(self.rounds.get()) * u64::from(self.events_per_round())
    }

    /// Whether a site pays for all planned rounds when it accepts the plan. Where the client is
    /// the unit and the coordinator adds the noise, every round counts for every client, also
    /// those for which it isn't drawn and of which it never hears.
    pub fn is_paid_ahead(&self) -> bool {
        self.hides_clients() && !self.has_local_noise()
    }

    /// Whether each unit's contribution is bounded in the vector that a site submits.
    ///
    /// Not so without privacy, and not for `deltas` of a site that ran DP-SGD by itself: there
    /// the guarantee is the site's, and the submitted difference is post-processing.
    pub fn submits_bounded(&self) -> bool {
        match (self.unit(), self.summed()) {
            (None, _) => false,
            (Some(PrivacyUnit::Client), _) | (_, Summed::Gradients) => true,
            (_, Summed::Deltas) => false,
        }
    }
}
