//! `[privacy]`: what is promised.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::accountant::Delta;
use umbel_privacy::accountant::event::NoiseMultiplier;
use umbel_privacy::budget::{Budget, BudgetEpsilon};
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_proto::method::{ClippingRule, Method};
use umbel_proto::plan::{AdaptiveClippingTerms, Protection, rules};
use umbel_proto::schema;

use super::{ConfigError, refuse, require};

/// `[privacy]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivacySection {
    /// What is protected: `record` (one row), `group` (all rows of one person, say), `client` (all
    /// that one site holds) or `none`. Needed without `units`.
    #[serde(with = "umbel_privacy::unit_word")]
    #[schemars(schema_with = "schema::unit_or_none")]
    pub unit: Option<PrivacyUnit>,
    /// About how many units (rows, groups or clients, as `unit` says) all sites hold together. It
    /// is published, so estimate it and don't count private rows. With it, keys that are left out
    /// are set by rule where sites send gradients: `unit` (to `record`), `delta`, `clipping_norm`,
    /// `clipping`, `sampling_rate`, `run.rounds`, `model.train` (to `lora`, on all layers),
    /// `model.lora.words`, `model.head_scale`, `model.head_start`, `training.method`,
    /// `training.expected_batch`, and under `[server]` Adam and its steps. Left out, `delta` is
    /// compared with the number of clients for the unit `client`, else with
    /// `training.expected_batch` over `sampling_rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<NonZeroU64>,
    /// Who adds the noise: `central` (the coordinator, which is trusted with sums) or `local` (each
    /// site; nobody is trusted).
    #[serde(default = "central")]
    #[schemars(schema_with = "schema::placement")]
    pub noise: NoisePlacement,
    /// The neighbourhood that epsilon speaks of: `add-or-remove`, `replace-one` (twice the
    /// sensitivity) or `zero-out`.
    #[serde(default = "add_or_remove")]
    #[schemars(schema_with = "schema::adjacency")]
    pub adjacency: Adjacency,
    /// The budget's epsilon. The run ends before a round that would exceed it. Needed unless the
    /// unit is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::above_zero")]
    pub epsilon: Option<BudgetEpsilon>,
    /// The budget's delta: what epsilon leaves out. Publishing one whole unit with this probability
    /// would be within it, so set it well below 1 / (number of units), such as 1e-6 for 10,000.
    /// Needed unless the unit is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::delta")]
    pub delta: Option<Delta>,
    /// L2 norm to which one unit's contribution is clipped, 1e-6 to 1e6. Needed unless the unit is
    /// `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::above_zero")]
    pub clipping_norm: Option<ClippingNorm>,
    /// How a unit's gradient is brought to the clipping norm C. `flat` scales by min(1, C/norm).
    /// `automatic` scales by C/(norm + 0.01), so that every unit counts about the same, and C
    /// matters only through the learning rate. `residual` does the same, and then scales by
    /// min(1, 2 r), where r is what the model's answer lacks (1 - the probability of the right
    /// label), so that what it has right counts less. These two need the unit `record` or `group`.
    #[serde(default)]
    pub clipping: ClippingRule,
    /// Lets the norm to which gradients are clipped follow a quantile of their norms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_clipping: Option<AdaptiveClippingTerms>,
    /// The probability with which each unit takes part in a round (Poisson). Units are drawn at the
    /// sites; with the unit `client`, the coordinator draws clients.
    #[serde(default = "all")]
    #[schemars(schema_with = "schema::rate")]
    pub sampling_rate: SamplingRate,
    /// The noise's standard deviation over the clipping norm, 0.01 to 10,000. Left out, it is the
    /// least noise with which all rounds fit the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::above_zero")]
    pub noise_multiplier: Option<NoiseMultiplier>,
    /// Whether the noise multiplier, given or calibrated, may be below 0.3. So little noise
    /// promises next to nothing: each site has to allow it, too (`policy.least_noise_multiplier`),
    /// and the report's headline is red.
    #[serde(default)]
    pub allow_weak_noise: bool,
    /// For the unit `group`: rows of one group that take part, at most (the first ones). Left out,
    /// all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_group: Option<NonZeroUsize>,
    /// The data that the budget belongs to. Spending adds up over all runs with the same name in
    /// one ledger, so keep it from run to run. Left out, it is the run's name, in a ledger that
    /// knows no other. If the base model comes from a run on a data set of another name, and both
    /// names were given, that run's spending isn't counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_set: Option<String>,
    /// The coordinator's ledger. Left out: `ledger.jsonl`, beside the configuration for `serve`, in
    /// the run's folder for a simulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<PathBuf>,
}

fn central() -> NoisePlacement {
    NoisePlacement::Central
}
fn add_or_remove() -> Adjacency {
    Adjacency::AddOrRemove
}
fn all() -> SamplingRate {
    SamplingRate::ALL
}

impl PrivacySection {
    /// Whether one client is what is protected, so that nobody may learn who took part.
    pub fn hides_clients(&self) -> bool {
        self.unit == Some(PrivacyUnit::Client)
    }

    /// What is promised, with this much noise; `None` for the unit `none`.
    ///
    /// # Errors
    /// [`ConfigError::Check`] for a key that is missing, or that promises what nobody keeps.
    pub(super) fn protection(
        &self,
        noise_multiplier: NoiseMultiplier,
    ) -> Result<Option<Protection>, ConfigError> {
        let Some(unit) = self.unit else {
            self.promises_nothing()?;
            return Ok(None);
        };
        let needed = |key: &str| refuse(key, "is missing; the unit isn't `none`, so it is needed");
        let epsilon = self.epsilon.ok_or_else(|| needed("privacy.epsilon"))?;
        let delta = self.delta.ok_or_else(|| needed("privacy.delta"))?;
        Ok(Some(Protection {
            unit,
            placement: self.noise,
            adjacency: self.adjacency,
            budget: Budget::of(epsilon, delta),
            noise_multiplier,
            allow_weak_noise: self.allow_weak_noise,
            clipping_norm: self
                .clipping_norm
                .ok_or_else(|| needed("privacy.clipping_norm"))?,
            clipping: self.clipping,
            adaptive_clipping: self.adaptive_clipping,
            rows_per_group: self.rows_per_group,
        }))
    }

    fn promises_nothing(&self) -> Result<(), ConfigError> {
        for (given, key) in [
            (self.epsilon.is_some(), "privacy.epsilon"),
            (self.noise_multiplier.is_some(), "privacy.noise_multiplier"),
            (self.rows_per_group.is_some(), "privacy.rows_per_group"),
            (self.clipping != ClippingRule::Flat, "privacy.clipping"),
            (
                self.adaptive_clipping.is_some(),
                "privacy.adaptive_clipping",
            ),
        ] {
            require(
                !given,
                key,
                "the unit `none` protects nobody and clips nothing, so this can't be kept; remove \
                 it, or choose the unit `record`, `group` or `client`",
            )?;
        }
        Ok(())
    }

    /// The noise multiplier that is given, or one that stands in until it is calibrated.
    pub(super) fn noise_or_placeholder(&self) -> Result<NoiseMultiplier, ConfigError> {
        let placeholder = || NoiseMultiplier::try_from(1.0);
        let noise = self.noise_multiplier.map_or_else(placeholder, Ok);
        noise.map_err(|e| refuse("privacy.noise_multiplier", e.to_string()))
    }

    /// Checks the keys against each other and against what sites send.
    pub(super) fn check(&self, method: &Method) -> Result<(), ConfigError> {
        let Some(protection) = self.protection(self.noise_or_placeholder()?)? else {
            return Ok(());
        };
        rules::check_protection(&protection, method)?;
        Ok(rules::check_noise(&protection)?)
    }
}
