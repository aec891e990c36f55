//! What a plan means in the arithmetic of privacy: its mechanism, its lattice, its wire format.
//!
//! Coordinator and client both derive these from the plan, so that neither has to
//! believe the other.

use umbel_privacy::accountant::event::{InvalidNoiseMultiplier, MechanismEvent, NoiseMultiplier};
use umbel_privacy::adaptive_clipping::{
    AdaptiveClipping, AdaptiveClippingError, AdaptiveClippingSettings,
};
use umbel_privacy::clip::{ClippingNorm, InvalidClippingNorm};
use umbel_privacy::combination::Summed;
use umbel_privacy::lattice::{LatticeStep, width_for};
use umbel_privacy::poisson::{InvalidSamplingRate, SamplingRate};
use umbel_privacy::rounded_gaussian::{InvalidStandardDeviation, RoundedGaussian};
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};

use crate::plan::Plan;

/// The least noise multiplier that needs no special permission.
///
/// A guarantee with less noise says next to nothing: at 0.3 a single unsampled round has epsilon
/// 19.1 at delta 1e-5, so that what is seen may be 200 million times as likely with a unit as
/// without it, and losses of single releases reach into the tens. Sampling brings the figure down,
/// but a unit that was drawn is exposed all the same.
pub const LEAST_NOISE_MULTIPLIER: f64 = 0.3;

/// A plan whose numbers make no mechanism.
#[derive(Debug, thiserror::Error)]
pub enum MechanismError {
    /// Not a noise multiplier.
    #[error(transparent)]
    NoiseMultiplier(#[from] InvalidNoiseMultiplier),
    /// Not a sampling rate.
    #[error(transparent)]
    SamplingRate(#[from] InvalidSamplingRate),
    /// Not a clipping norm.
    #[error(transparent)]
    Clipping(#[from] InvalidClippingNorm),
    /// The noise can't be drawn.
    #[error(transparent)]
    Noise(#[from] InvalidStandardDeviation),
    /// Clipping can't adapt.
    #[error(transparent)]
    Adaptive(#[from] AdaptiveClippingError),
    /// What a round began with has another length.
    #[error("a round began with {found} numbers; the plan asks for {expected}")]
    Start {
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
    /// The clipping norm C.
    pub clipping_norm: ClippingNorm,
    /// The lattice step gamma.
    pub step: LatticeStep,
    /// The noise: standard deviation sigma * C / gamma, in lattice units.
    pub noise: RoundedGaussian,
    /// What one step of it costs, for the accountant.
    pub event: MechanismEvent,
}

impl Plan {
    /// The sampling rate that may be claimed against this plan's adversary.
    ///
    /// Where the unit is the client and noise is local, the coordinator is in the adversary
    /// and does the sampling, so no amplification is claimed.
    pub fn accounted_sampling_rate(&self) -> f64 {
        match (self.privacy.unit, self.privacy.placement) {
            (PrivacyUnit::Client, NoisePlacement::Local) => 1.0,
            _ => self.privacy.sampling_rate,
        }
    }

    /// Numbers of an update, and of what a round begins with: the trained parameters and, with
    /// adaptive clipping, one more. That is the clipping threshold in what a round begins
    /// with, and the sum of the units' bits in an update.
    pub fn coordinates(&self) -> usize {
        self.classifier.parameters + usize::from(self.privacy.adaptive_clipping.is_some())
    }

    /// The rule of adaptive clipping, where clipping adapts.
    ///
    /// # Errors
    /// [`MechanismError::Adaptive`] where a round's cohort is too small for it.
    pub fn adaptive_clipping(&self) -> Result<Option<AdaptiveClipping>, MechanismError> {
        let Some(plan) = self.privacy.adaptive_clipping else {
            return Ok(None);
        };
        let clipping_norm = ClippingNorm::try_from(self.privacy.clipping_norm)?;
        let bound = match self.privacy.unit {
            PrivacyUnit::Client => clipping_norm.get(),
            _ => clipping_norm.with_slack(),
        };
        let rule = AdaptiveClipping::new(AdaptiveClippingSettings {
            noise_multiplier: NoiseMultiplier::try_from(self.privacy.noise_multiplier)?,
            bound,
            expected_units: plan.expected_units,
            quantile: plan.quantile,
            learning_rate: plan.learning_rate,
            first_threshold: clipping_norm.get(),
        })?;
        Ok(Some(rule))
    }

    /// What a round begins with, taken apart: the parameters, and the clipping threshold where
    /// clipping adapts.
    ///
    /// # Errors
    /// [`MechanismError::Start`] for another length, [`MechanismError::Threshold`].
    pub fn start_of_round<'a>(
        &self,
        start: &'a [f32],
    ) -> Result<(&'a [f32], Option<f64>), MechanismError> {
        if start.len() != self.coordinates() {
            return Err(MechanismError::Start {
                found: start.len(),
                expected: self.coordinates(),
            });
        }
        match start.split_last() {
            Some((threshold, parameters)) if self.privacy.adaptive_clipping.is_some() => {
                if threshold.is_finite() && *threshold > 0.0 {
                    Ok((parameters, Some(f64::from(*threshold))))
                } else {
                    Err(MechanismError::Threshold(*threshold))
                }
            }
            _ => Ok((start, None)),
        }
    }

    /// How often noise is drawn in one round: once, or at every local step of DP-SGD at a site.
    pub fn events_per_round(&self) -> u32 {
        match (&self.local.optimisation, self.privacy.unit) {
            (Some(local), PrivacyUnit::Record | PrivacyUnit::Group) => local.steps,
            _ => 1,
        }
    }

    /// How often noise is drawn in all planned rounds.
    pub fn draws(&self) -> u64 {
        u64::from(self.rounds) * u64::from(self.events_per_round())
    }

    /// Whether a site pays for all planned rounds when it accepts the plan. Where the client is
    /// the unit and the coordinator adds the noise, every round counts for every client, also
    /// those for which it isn't drawn and of which it never hears.
    pub fn is_paid_ahead(&self) -> bool {
        (self.privacy.unit, self.privacy.placement)
            == (PrivacyUnit::Client, NoisePlacement::Central)
    }

    /// The standard deviation of all the noise that a round's sum gets, over the clipping norm:
    /// with noise `local`, that of one site's own sum.
    ///
    /// With adaptive clipping, the bits that it learns from are one coordinate of the vector that
    /// is bounded and noised as a whole (`privacy/proofs/adaptive_clipping.md`). So the share that
    /// they take is in this number already: the gradients alone have more noise, never less.
    pub fn total_noise_multiplier(&self) -> f64 {
        self.privacy.noise_multiplier
    }

    /// Whether the plan promises privacy by less noise than [`LEAST_NOISE_MULTIPLIER`].
    pub fn has_weak_noise(&self) -> bool {
        self.is_private() && self.total_noise_multiplier() < LEAST_NOISE_MULTIPLIER
    }

    /// The mechanism of one noise draw, or `None` for a plan without privacy.
    ///
    /// # Errors
    /// [`MechanismError`] for numbers that no mechanism has.
    pub fn mechanism(&self) -> Result<Option<Mechanism>, MechanismError> {
        if !self.is_private() {
            return Ok(None);
        }
        let clipping_norm = ClippingNorm::try_from(self.privacy.clipping_norm)?;
        let noise_multiplier = NoiseMultiplier::try_from(self.privacy.noise_multiplier)?;
        let rate = SamplingRate::try_from(self.accounted_sampling_rate())?;
        let step = self.noised_step(clipping_norm);
        Ok(Some(Mechanism {
            clipping_norm,
            step,
            noise: RoundedGaussian::for_mechanism(noise_multiplier, clipping_norm, step)?,
            event: MechanismEvent::poisson_gaussian(rate, noise_multiplier),
        }))
    }

    /// The step on which noise is drawn: fine enough that rounding a sum of many units stays
    /// inside the clipping slack; where one client's whole difference is the unit, it is
    /// rounded after clipping, so the coarser step of one vector will do.
    fn noised_step(&self, clipping_norm: ClippingNorm) -> LatticeStep {
        match self.privacy.unit {
            PrivacyUnit::Client => LatticeStep::for_clipping_norm(clipping_norm),
            _ => LatticeStep::for_sum(clipping_norm, self.coordinates()),
        }
    }

    /// Whether each unit's contribution is bounded in the vector that a site submits.
    ///
    /// Not so without privacy, and not for `deltas` of a site that ran DP-SGD by itself: there
    /// the guarantee is the site's, and the submitted difference is post-processing.
    pub fn submits_bounded(&self) -> bool {
        match (self.privacy.unit, self.summed) {
            (PrivacyUnit::None, _) => false,
            (PrivacyUnit::Client, _) | (_, Summed::Gradients) => true,
            (_, Summed::Deltas) => false,
        }
    }

    /// The step of the lattice on which sites submit.
    ///
    /// # Errors
    /// [`MechanismError`] for what isn't a clipping norm.
    pub fn submitted_step(&self) -> Result<LatticeStep, MechanismError> {
        if self.submits_bounded() {
            let c = ClippingNorm::try_from(self.privacy.clipping_norm)?;
            Ok(self.noised_step(c))
        } else {
            Ok(LatticeStep::UNCLIPPED)
        }
    }

    /// The largest absolute value of a submitted coordinate: what follows from the clipping
    /// norm, the cap on units and, under local noise, 64 standard deviations (a draw beyond
    /// them has probability below 1e-880, and would be refused, not wrapped).
    ///
    /// # Errors
    /// [`MechanismError`] for numbers that no mechanism has.
    pub fn largest_coordinate(&self) -> Result<u64, MechanismError> {
        const UNBOUNDED: u64 = i64::MAX as u64 / 4;
        if !self.submits_bounded() {
            return Ok(UNBOUNDED);
        }
        let step = self.submitted_step()?.get();
        let units = match self.privacy.unit {
            PrivacyUnit::Client => 1.0,
            _ => self.local.max_units as f64,
        };
        let noise = match self.privacy.placement {
            NoisePlacement::Central => 0.0,
            NoisePlacement::Local => 64.0 * self.privacy.noise_multiplier,
        };
        let bound = (units + noise) * self.privacy.clipping_norm / step;
        // A cast from float to integer saturates.
        Ok((bound.ceil() as u64).min(UNBOUNDED))
    }

    /// Bytes of one coordinate on the wire.
    ///
    /// # Errors
    /// [`MechanismError`] for numbers that no mechanism has.
    pub fn coordinate_width(&self) -> Result<usize, MechanismError> {
        Ok(width_for(self.largest_coordinate()?))
    }
}
