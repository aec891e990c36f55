//! From a configuration to the plan that sites are given, noise calibrated.

use umbel_privacy::accountant::calibrate;
use umbel_privacy::budget::Budget;
use umbel_privacy::combination::Summed;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::{
    AdaptiveClippingPlan, BasePlan, ClassifierPlan, LocalOptimisation, LocalPlan, Plan, PlanError,
    PrivacyPlan,
};

use super::{ConfigError, RunConfig};

/// What only the loaded model and data can tell.
#[derive(Clone, Debug)]
pub struct ModelFacts {
    /// The label set.
    pub labels: Vec<String>,
    /// How many numbers the trainable parameters are.
    pub parameters: usize,
    /// Digest of their layout.
    pub layout: BlobDigest,
    /// The base model.
    pub base: BasePlan,
}

/// Writes the plan of a run, calibrating the noise multiplier where none is given.
///
/// # Errors
/// [`ConfigError`] where the target can't be met or a number is out of its range.
pub fn plan(config: &RunConfig, facts: &ModelFacts) -> Result<Plan, ConfigError> {
    let privacy = &config.privacy;
    let private = privacy.unit != PrivacyUnit::None;
    let mut plan = Plan {
        run: config.run.name.clone(),
        rounds: config.run.rounds,
        summed: config.training.method,
        privacy: PrivacyPlan {
            unit: privacy.unit,
            placement: privacy.noise,
            adjacency: privacy.adjacency,
            epsilon: privacy.epsilon.unwrap_or(0.0),
            delta: privacy.delta.unwrap_or(0.0),
            noise_multiplier: privacy.noise_multiplier.unwrap_or(1.0),
            allow_weak_noise: privacy.allow_weak_noise,
            sampling_rate: privacy.sampling_rate,
            clipping_norm: privacy.clipping_norm.unwrap_or(0.0),
            clipping: privacy.clipping,
            adaptive_clipping: privacy
                .adaptive_clipping
                .map(|section| AdaptiveClippingPlan {
                    quantile: section.quantile,
                    learning_rate: section.learning_rate,
                    expected_units: expected_units(config),
                }),
            rows_per_group: privacy.rows_per_group,
        },
        classifier: ClassifierPlan {
            base: facts.base,
            labels: facts.labels.clone(),
            train: config.model.train.clone(),
            lora: config.lora_plan(),
            pooling: config.model.pooling.clone(),
            max_tokens: config.model.max_tokens,
            dropout: config.model.dropout,
            parameters: facts.parameters,
            layout: facts.layout,
        },
        local: LocalPlan {
            micro_batch: config.training.micro_batch,
            max_units: config.training.max_units,
            clean: config.data.clean,
            optimisation: config.training.local.as_ref().map(|l| LocalOptimisation {
                optimiser: l.optimiser,
                steps: l.steps,
                batch: l.batch,
                learning_rate: l.learning_rate,
                weight_decay: l.weight_decay,
                momentum: l.momentum,
            }),
        },
        seed: config.run.seed,
    };
    let wrong = |key: &str, reason: String| ConfigError::Check {
        key: key.into(),
        reason,
    };
    let check = |plan: &Plan, key: &str, what: &str| {
        plan.check().map_err(|e| match e {
            PlanError::WeakNoise { .. } => wrong("privacy.noise_multiplier", e.to_string()),
            e => wrong(key, format!("{what}{e}")),
        })
    };
    check(&plan, "privacy", "")?;
    if private && privacy.noise_multiplier.is_none() {
        plan.privacy.noise_multiplier = calibrated(&plan)?;
        let what = format!("can't be met by {} rounds: ", plan.rounds);
        check(&plan, "privacy.epsilon", &what)?;
    }
    plan.mechanism()
        .map_err(|e| wrong("privacy", e.to_string()))?;
    plan.adaptive_clipping()
        .map_err(|e| wrong("privacy.adaptive_clipping", e.to_string()))?;
    Ok(plan)
}

/// Units that a round is expected to have over all sites: a public number.
fn expected_units(config: &RunConfig) -> f64 {
    match config.training.method {
        Summed::Gradients => config.training.expected_batch.unwrap_or(1.0),
        Summed::Deltas => config.clients.len() as f64 * config.privacy.sampling_rate,
    }
}

/// The least noise that keeps all rounds within the budget.
fn calibrated(plan: &Plan) -> Result<f64, ConfigError> {
    let wrong = |reason: String| ConfigError::Check {
        key: "privacy.epsilon".into(),
        reason,
    };
    let budget =
        Budget::new(plan.privacy.epsilon, plan.privacy.delta).map_err(|e| wrong(e.to_string()))?;
    let rate =
        SamplingRate::try_from(plan.accounted_sampling_rate()).map_err(|e| wrong(e.to_string()))?;
    let draws = u64::from(plan.rounds) * u64::from(plan.events_per_round());
    calibrate::noise_multiplier(&budget, rate, draws, plan.privacy.adjacency)
        .map(f64::from)
        .map_err(|e| wrong(e.to_string()))
}
