//! What a configuration must be before anything is done with it.

use std::collections::BTreeSet;

use umbel_privacy::combination::{Summed, check_combination};
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_proto::mechanism::LEAST_NOISE_MULTIPLIER;
use umbel_proto::message::ClientId;
use umbel_proto::plan::{ClippingRule, PlanError};

use super::{ConfigError, RunConfig};

/// Checks keys against each other.
pub(super) fn check(config: &RunConfig) -> Result<(), ConfigError> {
    check_run(config)?;
    config.trainable_set()?;
    check_privacy(config)?;
    check_training(config)?;
    check_server(config)?;
    check_clients(config)
}

fn refuse(key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Check {
        key: key.to_owned(),
        reason: reason.into(),
    }
}

fn require(ok: bool, key: &str, reason: &str) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(refuse(key, reason)) }
}

fn check_run(config: &RunConfig) -> Result<(), ConfigError> {
    // The name becomes part of a folder's name, by the same rule as a client's.
    config.run.name.parse::<ClientId>().map_err(|_| {
        refuse(
            "run.name",
            "must be 1 to 64 letters, digits, `.`, `_` or `-`",
        )
    })?;
    require(
        (1..=1_000_000).contains(&config.run.rounds),
        "run.rounds",
        "must be from 1 to 1,000,000",
    )?;
    let labels = &config.data.labels;
    let distinct: BTreeSet<&String> = labels.iter().collect();
    require(
        distinct.len() == labels.len() && labels.len() != 1,
        "data.labels",
        "must be at least two different labels (or left out, in a simulation)",
    )
}

fn check_privacy(config: &RunConfig) -> Result<(), ConfigError> {
    let privacy = &config.privacy;
    check_combination(privacy.unit, config.training.method, privacy.noise)
        .map_err(|e| refuse("privacy.unit", e.to_string()))?;
    if privacy.unit == PrivacyUnit::None {
        for (given, key) in [
            (privacy.epsilon.is_some(), "privacy.epsilon"),
            (
                privacy.noise_multiplier.is_some(),
                "privacy.noise_multiplier",
            ),
        ] {
            require(
                !given,
                key,
                "the unit `none` protects nobody, so this can't be kept; remove the key, or \
                 choose the unit `record`, `group` or `client`",
            )?;
        }
    } else {
        for (given, key) in [
            (privacy.epsilon.is_some(), "privacy.epsilon"),
            (privacy.delta.is_some(), "privacy.delta"),
            (privacy.clipping_norm.is_some(), "privacy.clipping_norm"),
        ] {
            require(
                given,
                key,
                "is missing; the unit isn't `none`, so it is needed",
            )?;
        }
    }
    let weak = privacy
        .noise_multiplier
        .filter(|sigma| *sigma < LEAST_NOISE_MULTIPLIER);
    if let Some(found) = weak
        && !privacy.allow_weak_noise
    {
        let why = PlanError::WeakNoise { found };
        return Err(refuse("privacy.noise_multiplier", why.to_string()));
    }
    let by_unit = matches!(privacy.unit, PrivacyUnit::Record | PrivacyUnit::Group);
    require(
        privacy.clipping == ClippingRule::Flat || by_unit,
        "privacy.clipping",
        "`automatic` only goes with the units `record` and `group`, whose gradients are clipped \
         one by one; use `flat`",
    )?;
    let adapts = privacy.adaptive_clipping.is_some();
    require(
        !adapts || privacy.unit != PrivacyUnit::None,
        "privacy.adaptive_clipping",
        "is given, but the unit `none` clips nothing; remove the section",
    )?;
    require(
        !adapts || privacy.noise == NoisePlacement::Central,
        "privacy.adaptive_clipping",
        "only goes with noise = \"central\": each site's own noise would drown its share of \
         unclipped units; remove the section",
    )?;
    require(
        !adapts || privacy.clipping == ClippingRule::Flat,
        "privacy.adaptive_clipping",
        "only goes with clipping = \"flat\": automatic clipping leaves no unit unclipped; \
         remove one of them",
    )?;
    require(
        privacy.rows_per_group.is_none() || privacy.unit == PrivacyUnit::Group,
        "privacy.rows_per_group",
        "only goes with the unit `group`",
    )
}

fn check_training(config: &RunConfig) -> Result<(), ConfigError> {
    let training = &config.training;
    match training.method {
        Summed::Gradients => {
            let batch = training.expected_batch.ok_or_else(|| {
                refuse(
                    "training.expected_batch",
                    "is missing; `gradients` divides by it: set the number of units that the \
                     sampling rate is expected to draw over all sites",
                )
            })?;
            require(
                batch.is_finite() && batch >= 1.0,
                "training.expected_batch",
                "must be at least 1",
            )?;
            require(
                training.local.is_none(),
                "training.local",
                "only goes with method = \"deltas\"; remove the section",
            )
        }
        Summed::Deltas => require(
            training.local.is_some(),
            "training.local",
            "is missing; `deltas` takes local steps: set optimiser, steps, batch and learning_rate",
        ),
    }
}

fn check_server(config: &RunConfig) -> Result<(), ConfigError> {
    let server = &config.server;
    require(
        server.learning_rate.is_finite() && server.learning_rate > 0.0,
        "server.learning_rate",
        "must be above 0",
    )?;
    let usable = server.optimiser.check(&server.given());
    usable.map_err(|(key, why)| ConfigError::Check {
        key: key.name().into(),
        reason: why.to_string(),
    })
}

fn check_clients(config: &RunConfig) -> Result<(), ConfigError> {
    let names: BTreeSet<&ClientId> = config.clients.iter().map(|c| &c.name).collect();
    require(!names.is_empty(), "clients", "name at least one client")?;
    require(
        names.len() == config.clients.len(),
        "clients",
        "two clients have one name",
    )?;
    require(
        config.federation.minimum <= names.len(),
        "federation.minimum",
        "is more than there are clients",
    )?;
    require(
        (1..=100).contains(&config.federation.attempts),
        "federation.attempts",
        "must be from 1 to 100",
    )?;
    let files: BTreeSet<&String> = config.evaluation.files.iter().map(|f| &f.name).collect();
    require(
        files.len() == config.evaluation.files.len(),
        "evaluation.files",
        "two files have one name",
    )
}
