//! Why a plan can't be followed.

use umbel_privacy::adaptive_clipping::AdaptiveClippingError;
use umbel_privacy::combination::InvalidCombination;
use umbel_privacy::rounded_gaussian::InvalidStandardDeviation;

use super::LEAST_NOISE_MULTIPLIER;
use crate::printable::printable;

/// Characters of what JSON's reader said of a plan that are kept: it quotes the plan.
const LONGEST_QUOTE: usize = 500;

/// Why a plan can't be followed. Each kind knows the key of the configuration that it is about
/// ([`PlanError::key`]).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// It isn't a plan at all, or one of its numbers is out of its range.
    #[error("the plan isn't readable ({0}); coordinator and client must be of one version")]
    Unreadable(String),
    /// Unit, sum and noise don't go together.
    #[error(transparent)]
    Combination(#[from] InvalidCombination),
    /// The noise is too weak to mean anything, and nobody said that it may be.
    #[error(
        "the noise multiplier is {found}, below {LEAST_NOISE_MULTIPLIER}: with so little \
         noise a single round's epsilon is so large that it promises nothing; spend less \
         (fewer rounds, a smaller epsilon, a higher noise_multiplier), or set \
         privacy.allow_weak_noise = true, and at every site a lower \
         policy.least_noise_multiplier"
    )]
    WeakNoise {
        /// The plan's noise multiplier.
        found: f64,
    },
    /// A setting that doesn't go with another.
    #[error("{key} {reason}")]
    Rule {
        /// The key of the configuration.
        key: &'static str,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// A number of the mechanism out of its range.
    #[error("{key} is {found}, but must be {expected}")]
    Range {
        /// The key of the configuration.
        key: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// The noise can't be drawn.
    #[error(transparent)]
    Noise(#[from] InvalidStandardDeviation),
    /// Clipping can't adapt.
    #[error(transparent)]
    Adaptive(#[from] AdaptiveClippingError),
}

impl PlanError {
    pub(super) fn unreadable(error: serde_json::Error) -> Self {
        Self::Unreadable(printable(&error.to_string(), LONGEST_QUOTE))
    }

    /// The key of the run's configuration that has to change.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "plan",
            Self::Combination(_) => "privacy.unit",
            Self::WeakNoise { .. } | Self::Noise(_) => "privacy.noise_multiplier",
            Self::Rule { key, .. } | Self::Range { key, .. } => key,
            Self::Adaptive(_) => "privacy.adaptive_clipping",
        }
    }

    /// What is wrong and what to do, without the key.
    pub fn reason(&self) -> String {
        match self {
            Self::Rule { reason, .. } => (*reason).into(),
            Self::Range {
                found, expected, ..
            } => format!("is {found}, but must be {expected}"),
            other => other.to_string(),
        }
    }
}
