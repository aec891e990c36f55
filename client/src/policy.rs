//! A site's own rules. They beat anything that a coordinator asks for.

use serde::{Deserialize, Serialize};
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_proto::mechanism::LEAST_NOISE_MULTIPLIER;
use umbel_proto::message::{BlobDigest, ModelFile};
use umbel_proto::plan::Plan;

/// `[policy]` of a site's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SitePolicy {
    /// The most that may ever be spent on this site's data, over all runs.
    pub epsilon: f64,
    /// At this delta. A run must ask for the same or a smaller one.
    pub delta: f64,
    /// The weakest privacy unit that a run may use: `record` < `group` < `client`.
    #[serde(default = "record")]
    pub least_unit: PrivacyUnit,
    /// The least noise multiplier that a run may have. It holds for all the noise on a round's
    /// sum or, where sites add the noise, for this site's own. See [`LEAST_NOISE_MULTIPLIER`].
    #[serde(default = "least_noise_multiplier")]
    pub least_noise_multiplier: f64,
    /// Whether the coordinator may be trusted with sums that hold no noise yet.
    #[serde(default = "yes")]
    pub allow_central_noise: bool,
    /// Whether runs without any privacy may use this data.
    #[serde(default)]
    pub allow_unprotected: bool,
    /// Whether predictable (seeded) runs may use this data. They protect nobody.
    #[serde(default)]
    pub allow_seeded: bool,
    /// SHA-256 of every `model.safetensors` that may be trained here; empty for any.
    #[serde(default)]
    pub base_models: Vec<BlobDigest>,
}

fn record() -> PrivacyUnit {
    PrivacyUnit::Record
}
fn least_noise_multiplier() -> f64 {
    LEAST_NOISE_MULTIPLIER
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
    /// Checks the numbers.
    ///
    /// # Errors
    /// A sentence naming the key.
    pub fn check(&self) -> Result<(), String> {
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err("policy.epsilon must be above 0".into());
        }
        if !(self.delta > 0.0 && self.delta < 1.0) {
            return Err("policy.delta must be above 0 and below 1".into());
        }
        if !(self.least_noise_multiplier.is_finite() && self.least_noise_multiplier >= 0.0) {
            return Err("policy.least_noise_multiplier must be a number of at least 0".into());
        }
        Ok(())
    }

    /// The policy of a simulated site: whatever the run's own configuration says.
    pub fn of_simulation(plan: &Plan) -> Self {
        Self {
            epsilon: plan.privacy.epsilon,
            delta: plan.privacy.delta,
            least_unit: PrivacyUnit::Record,
            least_noise_multiplier: if plan.privacy.allow_weak_noise {
                0.0
            } else {
                LEAST_NOISE_MULTIPLIER
            },
            allow_central_noise: true,
            allow_unprotected: true,
            allow_seeded: true,
            base_models: Vec::new(),
        }
    }

    /// Checks a plan and the base model that it comes with.
    ///
    /// # Errors
    /// [`PolicyViolation`] says which rule is broken and who can change what.
    pub fn accept(&self, plan: &Plan, files: &[ModelFile]) -> Result<(), PolicyViolation> {
        let refuse = |reason: String| Err(PolicyViolation { reason });
        let privacy = &plan.privacy;
        if plan.seed.is_some() && !self.allow_seeded {
            return refuse(
                "it is seeded, so its noise can be predicted (policy.allow_seeded is false)".into(),
            );
        }
        self.accept_model(files)?;
        if privacy.unit == PrivacyUnit::None {
            return if self.allow_unprotected {
                Ok(())
            } else {
                refuse("it protects nobody (policy.allow_unprotected is false)".into())
            };
        }
        if strength(privacy.unit) < strength(self.least_unit) {
            return refuse(format!(
                "it protects one {}, and policy.least_unit is {}",
                privacy.unit, self.least_unit
            ));
        }
        if privacy.placement == NoisePlacement::Central && !self.allow_central_noise {
            return refuse(
                "the coordinator would see sums without noise (policy.allow_central_noise is \
                 false); the run must use noise = \"local\""
                    .into(),
            );
        }
        let noise = plan.total_noise_multiplier();
        let enough = noise >= self.least_noise_multiplier;
        if !enough {
            return refuse(format!(
                "its noise multiplier of {noise} is below policy.least_noise_multiplier, {}: so \
                 little noise promises nothing",
                self.least_noise_multiplier
            ));
        }
        if privacy.delta > self.delta {
            return refuse(format!(
                "its delta of {} is above policy.delta, {}",
                privacy.delta, self.delta
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

/// How much a unit protects, to compare units by.
fn strength(unit: PrivacyUnit) -> u8 {
    match unit {
        PrivacyUnit::None => 0,
        PrivacyUnit::Record => 1,
        PrivacyUnit::Group => 2,
        PrivacyUnit::Client => 3,
    }
}
