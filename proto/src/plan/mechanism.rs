//! What a plan means in the arithmetic of privacy: its mechanism, its lattice, its wire format.
//!
//! Coordinator and client both derive these from the plan, so that neither has to
//! believe the other.

use umbel_privacy::accountant::event::MechanismEvent;
use umbel_privacy::adaptive_clipping::{AdaptiveClipping, AdaptiveClippingSettings};
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::lattice::{LatticeStep, longest_encoding};
use umbel_privacy::rounded_gaussian::RoundedGaussian;
use umbel_privacy::unit::PrivacyUnit;

use super::{Plan, PlanError, Protection, WrittenPlan};

/// The least noise multiplier that needs no special permission.
///
/// A guarantee with less noise says next to nothing: at 0.3 a single unsampled round has epsilon
/// 19.1 at delta 1e-5, so that what is seen may be 200 million times as likely with a unit as
/// without it, and losses of single releases reach into the tens. Sampling brings the figure down,
/// but a unit that was drawn is exposed all the same.
pub const LEAST_NOISE_MULTIPLIER: f64 = 0.3;

/// What a round began with isn't what the plan asks for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StartError {
    /// It has another length.
    #[error("a round began with {found} numbers; the plan asks for {expected}")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Not a clipping threshold.
    #[error("the round's clipping threshold is {0}; it must be above 0")]
    Threshold(f32),
}

/// Everything that adding noise to one round takes.
#[derive(Clone, Debug)]
pub struct Mechanism {
    /// What the plan promises by it.
    pub protection: Protection,
    /// The clipping norm C.
    pub clipping_norm: ClippingNorm,
    /// The lattice step gamma.
    pub step: LatticeStep,
    /// The noise: standard deviation sigma * C / gamma, in lattice units.
    pub noise: RoundedGaussian,
    /// What one step of it costs, for the accountant.
    pub event: MechanismEvent,
}

/// The mechanism of one noise draw, or `None` for a plan without privacy.
pub(super) fn of(plan: &WrittenPlan) -> Result<Option<Mechanism>, PlanError> {
    let Some(protection) = plan.protection else {
        return Ok(None);
    };
    let (sigma, norm) = (protection.noise_multiplier, protection.clipping_norm);
    let step = noised_step(plan, &protection);
    Ok(Some(Mechanism {
        protection,
        clipping_norm: norm,
        step,
        noise: RoundedGaussian::for_mechanism(sigma, norm, step)?,
        event: MechanismEvent::poisson_gaussian(plan.accounted_sampling_rate(), sigma),
    }))
}

/// The rule of adaptive clipping, where clipping adapts.
pub(super) fn adaptive_clipping(plan: &WrittenPlan) -> Result<Option<AdaptiveClipping>, PlanError> {
    let Some(protection) = &plan.protection else {
        return Ok(None);
    };
    let Some(terms) = protection.adaptive_clipping else {
        return Ok(None);
    };
    let norm = protection.clipping_norm;
    let rule = AdaptiveClipping::new(AdaptiveClippingSettings {
        noise_multiplier: protection.noise_multiplier,
        bound: match protection.unit {
            PrivacyUnit::Client => norm.get(),
            _ => norm.with_slack(),
        },
        // What the sum is divided by is what a round is expected to have: of units, or of
        // clients where they are the unit.
        expected_units: plan.divisor.get(),
        quantile: terms.quantile.get(),
        learning_rate: terms.learning_rate.get(),
        first_threshold: norm.get(),
    })?;
    Ok(Some(rule))
}

/// The step on which noise is drawn: fine enough that rounding a sum of many units stays
/// inside the clipping slack; where one client's whole difference is the unit, it is
/// rounded after clipping, so the coarser step of one vector will do.
fn noised_step(plan: &WrittenPlan, protection: &Protection) -> LatticeStep {
    match protection.unit {
        PrivacyUnit::Client => LatticeStep::for_clipping_norm(protection.clipping_norm),
        _ => LatticeStep::for_sum(protection.clipping_norm, plan.coordinates()),
    }
}

/// The step of the lattice on which sites submit.
pub(super) fn submitted_step(plan: &WrittenPlan) -> LatticeStep {
    match &plan.protection {
        Some(protection) if plan.submits_bounded() => noised_step(plan, protection),
        _ => LatticeStep::UNCLIPPED,
    }
}

impl Plan {
    /// What a round begins with, taken apart: the parameters, and the clipping threshold where
    /// clipping adapts.
    ///
    /// # Errors
    /// [`StartError`] for another length, and for what is no threshold.
    pub fn start_of_round<'a>(
        &self,
        start: &'a [f32],
    ) -> Result<(&'a [f32], Option<f64>), StartError> {
        if start.len() != self.coordinates() {
            return Err(StartError::Length {
                found: start.len(),
                expected: self.coordinates(),
            });
        }
        match start.split_last() {
            Some((threshold, parameters)) if self.adaptive_clipping().is_some() => {
                if threshold.is_finite() && *threshold > 0.0 {
                    Ok((parameters, Some(f64::from(*threshold))))
                } else {
                    Err(StartError::Threshold(*threshold))
                }
            }
            _ => Ok((start, None)),
        }
    }

    /// The largest absolute value of a submitted coordinate: what follows from the clipping
    /// norm, the cap on units and, under local noise, 64 standard deviations (a draw beyond
    /// them has probability below 1e-880, and would be refused, not wrapped).
    pub fn largest_coordinate(&self) -> u64 {
        const UNBOUNDED: u64 = i64::MAX as u64 / 4;
        let Some(protection) = self.protection.filter(|_| self.submits_bounded()) else {
            return UNBOUNDED;
        };
        let units = match protection.unit {
            PrivacyUnit::Client => 1.0,
            _ => self.local.max_units.get() as f64,
        };
        let noise = if self.has_local_noise() {
            64.0 * protection.noise_multiplier.get()
        } else {
            0.0
        };
        let bound = (units + noise) * protection.clipping_norm.get() / self.submitted_step().get();
        // A cast from float to integer saturates.
        (bound.ceil() as u64).min(UNBOUNDED)
    }

    /// The most bytes that an update has on the wire.
    pub fn longest_update(&self) -> u64 {
        longest_encoding(self.coordinates(), self.largest_coordinate())
    }
}
