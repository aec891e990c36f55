//! How much a guarantee is worth, in one word.
//!
//! By epsilon after the tiers of Ponomareva et al. 2023 ("How to DP-fy ML", Section 5.2): up to 1
//! strong, up to 10 reasonable, and beyond that weak to none. A delta that isn't below one over the
//! number of units lets whole units leak, so that no epsilon helps.

use umbel_proto::plan::mechanism::LEAST_NOISE_MULTIPLIER;

use super::run_summary::PromiseSummary;

/// Up to this epsilon a guarantee is strong.
pub(super) const STRONG: f64 = 1.0;
/// Up to this one it is moderate.
pub(super) const MODERATE: f64 = 10.0;

/// How much a guarantee is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Epsilon is at most 1, and delta is known to be below one over the number of units.
    Strong,
    /// Epsilon is at most 10.
    Moderate,
    /// There is a guarantee, and it says next to nothing.
    Weak,
    /// There is none.
    Nobody,
}

impl Level {
    /// The level of a run that left a model, and whose noise nobody can predict.
    pub(super) fn of(promise: &PromiseSummary) -> Self {
        let Some(epsilon) = promise.epsilon_guaranteed() else {
            return Self::Nobody;
        };
        let delta = AgainstUnits::of(promise);
        if epsilon > MODERATE || delta == AgainstUnits::TooLarge || has_weak_noise(promise) {
            Self::Weak
        } else if epsilon <= STRONG && delta == AgainstUnits::Below {
            Self::Strong
        } else {
            Self::Moderate
        }
    }
}

/// Whether the noise is weaker than what runs and sites accept without a word.
pub(super) fn has_weak_noise(promise: &PromiseSummary) -> bool {
    promise.noise_multiplier < LEAST_NOISE_MULTIPLIER
}

/// Where delta stands against one over the number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgainstUnits {
    /// Below it.
    Below,
    /// At it or above: one whole unit may leak.
    TooLarge,
    /// Nobody knows about how many units there are.
    Unknown,
}

impl AgainstUnits {
    pub(super) fn of(promise: &PromiseSummary) -> Self {
        match promise.units {
            Some(units) if promise.delta * (units as f64) < 1.0 => Self::Below,
            Some(_) => Self::TooLarge,
            None => Self::Unknown,
        }
    }
}
