//! A site's own rules. They beat anything that a coordinator asks for.

use std::ops::Bound::{Excluded, Included};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::accountant::Delta;
use umbel_privacy::budget::{Budget, BudgetEpsilon};
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_proto::bounded;
use umbel_proto::message::{BlobDigest, ModelFile};
use umbel_proto::plan::{LEAST_NOISE_MULTIPLIER, Plan};
use umbel_proto::schema;

bounded! {
    /// The least noise multiplier that a site accepts.
    LeastNoise(f64): "least_noise_multiplier", Included(0.0), Excluded(f64::INFINITY);
}

impl Default for LeastNoise {
    fn default() -> Self {
        Self(LEAST_NOISE_MULTIPLIER)
    }
}

/// `[policy]` of a site's configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SitePolicy {
    /// The most that may ever be spent on this data, over all runs in this ledger.
    #[schemars(schema_with = "schema::above_zero")]
    pub epsilon: BudgetEpsilon,
    /// At this delta. A run's delta must not be larger.
    #[schemars(schema_with = "schema::delta")]
    pub delta: Delta,
    /// The weakest unit that a run may use: `record`, then `group`, then `client`.
    #[serde(default = "record")]
    #[schemars(schema_with = "schema::unit")]
    pub least_unit: PrivacyUnit,
    /// The least noise multiplier that a run may have. It holds for all the noise on a round's sum
    /// or, where sites add the noise, for this site's own. With less than 0.3, a single round's
    /// epsilon is above 19 at delta 1e-5, which promises nothing.
    #[serde(default)]
    pub least_noise_multiplier: LeastNoise,
    /// Whether the coordinator may be trusted with sums that hold no noise yet.
    #[serde(default = "yes")]
    pub allow_central_noise: bool,
    /// Whether runs of unit `none` may use this data.
    #[serde(default)]
    pub allow_unprotected: bool,
    /// Whether predictable (seeded) runs may use it. They protect nobody.
    #[serde(default)]
    pub allow_seeded: bool,
    /// SHA-256 of each `model.safetensors` that may be trained here. Left empty, any may.
    #[serde(default)]
    #[schemars(schema_with = "schema::digests")]
    pub base_models: Vec<BlobDigest>,
}

fn record() -> PrivacyUnit {
    PrivacyUnit::Record
}
fn yes() -> bool {
    true
}

/// A run that this site won't join.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("this site's policy refuses the run: {reason}")]
pub struct PolicyViolation {
    reason: String,
}

impl SitePolicy {
    /// The most that may be spent on this site's data.
    pub fn budget(&self) -> Budget {
        Budget::of(self.epsilon, self.delta)
    }

    /// Checks a plan and the base model that it comes with.
    ///
    /// # Errors
    /// [`PolicyViolation`] says which rule is broken and who can change what.
    pub fn accept(&self, plan: &Plan, files: &[ModelFile]) -> Result<(), PolicyViolation> {
        let refuse = |reason: String| Err(PolicyViolation { reason });
        if plan.seed.is_some() && !self.allow_seeded {
            return refuse(
                "it is seeded, so its noise can be predicted (policy.allow_seeded is false)".into(),
            );
        }
        self.accept_model(files)?;
        let Some(protection) = &plan.protection else {
            return if self.allow_unprotected {
                Ok(())
            } else {
                refuse("it protects nobody (policy.allow_unprotected is false)".into())
            };
        };
        if protection.unit < self.least_unit {
            return refuse(format!(
                "it protects one {}, and policy.least_unit is {}",
                protection.unit, self.least_unit
            ));
        }
        if protection.placement == NoisePlacement::Central && !self.allow_central_noise {
            return refuse(
                "the coordinator would see sums without noise (policy.allow_central_noise is \
                 false); the run must use noise = \"local\""
                    .into(),
            );
        }
        let noise = protection.noise_multiplier.get();
        let enough = noise >= self.least_noise_multiplier.get();
        if !enough {
            return refuse(format!(
                "its noise multiplier of {noise} is below policy.least_noise_multiplier, {}: so \
                 little noise promises nothing",
                self.least_noise_multiplier
            ));
        }
        if protection.budget.delta() > self.delta {
            return refuse(format!(
                "its delta of {} is above policy.delta, {}",
                protection.budget.delta(),
                self.delta
            ));
        }
        Ok(())
    }

    fn accept_model(&self, files: &[ModelFile]) -> Result<(), PolicyViolation> {
        let unlisted = files
            .iter()
            .find(|f| f.name == "model.safetensors" && !self.base_models.contains(&f.digest));
        match unlisted {
            Some(file) if !self.base_models.is_empty() => Err(PolicyViolation {
                reason: format!(
                    "its base model {} isn't listed in policy.base_models",
                    file.digest
                ),
            }),
            _ => Ok(()),
        }
    }
}
