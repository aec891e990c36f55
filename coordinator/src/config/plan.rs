//! From a configuration to the plan that sites are given, noise calibrated.

use umbel_privacy::accountant::calibrate;
use umbel_privacy::accountant::event::NoiseMultiplier;
use umbel_proto::classifier::ClassifierOptions;
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::{
    BasePlan, ClassifierPlan, LocalPlan, Plan, PlanError, Protection, WrittenPlan, rules,
};

use super::{ConfigError, RunConfig, refuse};

/// What only the loaded model and data can tell.
#[derive(Clone, Debug)]
pub struct ModelFacts {
    /// What is made of the base model.
    pub options: ClassifierOptions,
    /// How many numbers the trainable parameters are.
    pub parameters: usize,
    /// Digest of their layout.
    pub layout: BlobDigest,
    /// The base model.
    pub base: BasePlan,
}

impl From<PlanError> for ConfigError {
    fn from(error: PlanError) -> Self {
        refuse(error.key(), error.reason())
    }
}

/// Writes the plan of a run, calibrating the noise multiplier where none is given.
///
/// # Errors
/// [`ConfigError`] where the target can't be met or a number is out of its range.
pub fn plan(config: &RunConfig, facts: ModelFacts) -> Result<Plan, ConfigError> {
    let privacy = &config.privacy;
    let mut written = WrittenPlan {
        run: config.run.name.clone(),
        rounds: config.run.rounds,
        method: config.training.method()?,
        sampling_rate: privacy.sampling_rate,
        divisor: config.training.divisor(expected_clients(config))?,
        protection: privacy.protection(privacy.noise_or_placeholder()?)?,
        classifier: ClassifierPlan {
            base: facts.base,
            options: facts.options,
            parameters: facts.parameters,
            layout: facts.layout,
        },
        local: LocalPlan {
            micro_batch: config.training.micro_batch,
            max_units: config.training.max_units,
            clean: config.data.clean,
        },
        seed: config.run.seed,
        rehearsal: None,
    };
    let Some(mut protection) = written.protection else {
        return Ok(Plan::try_from(written)?);
    };
    if privacy.noise_multiplier.is_some() {
        return Ok(Plan::try_from(written)?);
    }
    rules::check_protection(&protection, &written.method)?;
    protection.noise_multiplier = calibrated(&written, &protection)?;
    written.protection = Some(protection);
    let rounds = written.rounds;
    Plan::try_from(written).map_err(|e| match e {
        PlanError::Range { .. } => refuse(
            "privacy.epsilon",
            format!("can't be met by {rounds} rounds: {e}"),
        ),
        e => e.into(),
    })
}

/// The clients that a round is expected to have: a public number.
fn expected_clients(config: &RunConfig) -> f64 {
    let clients = config.clients.len() as f64;
    match config.privacy.hides_clients() {
        true => clients * config.privacy.sampling_rate.get(),
        false => clients,
    }
}

/// The least noise that keeps all rounds within the budget.
fn calibrated(plan: &WrittenPlan, promise: &Protection) -> Result<NoiseMultiplier, ConfigError> {
    calibrate::noise_multiplier(
        &promise.budget,
        plan.accounted_sampling_rate(),
        plan.draws(),
        promise.adjacency,
    )
    .map_err(|e| refuse("privacy.epsilon", e.to_string()))
}
