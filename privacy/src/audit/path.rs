//! What is audited: the private path, step by step, behind a trait.
//!
//! [`PrivatePath`] is the product's. Tests put other ones in its place, which make a mistake
//! on purpose; nothing that ships has a switch for one.

use rand::CryptoRng;

use crate::accountant::Delta;
use crate::accountant::event::{MechanismEvent, NoiseMultiplier};
use crate::clip::{ClipError, ClippingNorm, RawUpdate, clip_factor};
use crate::lattice::{LatticeError, LatticeStep, LatticeVector, NormTooLarge};
use crate::ledger::{EntryDraft, Ledger, LedgerError, MemoryLedgerStorage};
use crate::poisson::{SamplingRate, poisson_sample};
use crate::release::{ReleaseError, release};
use crate::rounded_gaussian::{InvalidStandardDeviation, RoundedGaussian};
use crate::unit::{Adjacency, NoisePlacement, PrivacyUnit};

/// A mechanism as it is claimed.
#[derive(Clone, Debug)]
pub struct AuditedMechanism {
    /// σ: the noise's standard deviation over the clipping norm.
    pub noise_multiplier: NoiseMultiplier,
    /// q: the rate of Poisson sampling that the claim counts on.
    pub sampling_rate: SamplingRate,
    /// How often a noisy sum is released.
    pub rounds: u64,
    /// C.
    pub clipping_norm: ClippingNorm,
    /// Who is protected. It decides how a unit's update is clipped.
    pub unit: PrivacyUnit,
    /// Who adds the noise.
    pub placement: NoisePlacement,
    /// What neighbouring data sets are.
    pub adjacency: Adjacency,
}

impl AuditedMechanism {
    /// One round, as the accountant counts it.
    pub fn event(&self) -> MechanismEvent {
        MechanismEvent::poisson_gaussian(self.sampling_rate, self.noise_multiplier)
    }
}

/// A step of the path failed.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// Clipping.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// The clipping norm leaves no room for rounding.
    #[error(transparent)]
    Norm(#[from] crate::clip::InvalidClippingNorm),
    /// The lattice.
    #[error(transparent)]
    Lattice(#[from] LatticeError),
    /// A clipped update is too long.
    #[error(transparent)]
    TooLong(#[from] NormTooLarge),
    /// The noise can't be drawn.
    #[error(transparent)]
    Noise(#[from] InvalidStandardDeviation),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Adding the noise.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

/// The steps from a unit's update to what is published.
pub trait PathUnderAudit {
    /// A unit's update, bounded and on the lattice.
    ///
    /// # Errors
    /// [`PathError`].
    fn contribute(&self, update: Vec<f32>) -> Result<LatticeVector, PathError>;

    /// Which of the units 0 to `units` - 1 take part in the next round, in ascending order.
    fn draw(&mut self, units: usize) -> Vec<usize>;

    /// Charges for a round, adds noise to its sum, and divides by the public divisor. `units`
    /// is how many took part; a right path has no use for it.
    ///
    /// # Errors
    /// [`PathError`].
    fn release(&mut self, sum: LatticeVector, units: usize) -> Result<Vec<f64>, PathError>;

    /// The public number that sums are divided by.
    fn divisor(&self) -> f64;

    /// How many noisy sums the ledger was charged for.
    fn charged(&self) -> u64;
}

/// The product's private path, with a ledger in memory: canaries cost nobody anything.
pub struct PrivatePath<R> {
    mechanism: AuditedMechanism,
    delta: Delta,
    divisor: f64,
    step: LatticeStep,
    noise: RoundedGaussian,
    ledger: Ledger<MemoryLedgerStorage>,
    rng: R,
}

impl<R: CryptoRng> PrivatePath<R> {
    /// A path for updates of at most `dimension` coordinates. `rng` is the generator of
    /// samples and noise.
    ///
    /// # Errors
    /// [`PathError`] for noise that can't be drawn.
    pub fn new(
        mechanism: AuditedMechanism,
        delta: Delta,
        dimension: usize,
        divisor: f64,
        rng: R,
    ) -> Result<Self, PathError> {
        let norm = mechanism.clipping_norm;
        // The lattices that a plan derives for these units.
        let step = match mechanism.unit {
            PrivacyUnit::Client => LatticeStep::for_clipping_norm(norm),
            _ => LatticeStep::for_sum(norm, dimension),
        };
        let noise = RoundedGaussian::for_mechanism(mechanism.noise_multiplier, norm, step)?;
        Ok(Self {
            ledger: Ledger::open(MemoryLedgerStorage::default())?,
            mechanism,
            delta,
            divisor,
            step,
            noise,
            rng,
        })
    }

    /// γ.
    pub fn step(&self) -> LatticeStep {
        self.step
    }

    fn draft(&self) -> EntryDraft {
        EntryDraft {
            data_set: "canaries".into(),
            run_id: "audit".into(),
            round: self.charged() + 1,
            last_round: None,
            attempt: 0,
            filter_order: None,
            plan: None,
            unit: self.mechanism.unit,
            adjacency: self.mechanism.adjacency,
            placement: self.mechanism.placement,
            event: self.mechanism.event(),
            clipping_norm: self.mechanism.clipping_norm,
            lattice_step: self.step,
            delta: self.delta,
            unix_time: 0,
            seeded: false,
        }
    }
}

impl<R: CryptoRng> PathUnderAudit for PrivatePath<R> {
    fn contribute(&self, update: Vec<f32>) -> Result<LatticeVector, PathError> {
        let norm = self.mechanism.clipping_norm;
        if self.mechanism.unit == PrivacyUnit::Client {
            let vector = RawUpdate::new(update).clip(norm)?.quantize(self.step)?;
            vector.check_norm(norm, self.step)?;
            return Ok(vector);
        }
        // A unit's gradient, clipped a little tighter, for a sum in floating point.
        let length = update.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let factor = clip_factor(f64::sqrt(length), norm.with_slack().try_into()?);
        let clipped: Vec<f64> = update.iter().map(|&x| f64::from(x) * factor).collect();
        Ok(LatticeVector::quantize(&clipped, self.step)?)
    }

    fn draw(&mut self, units: usize) -> Vec<usize> {
        poisson_sample(units, self.mechanism.sampling_rate, &mut self.rng)
    }

    fn release(&mut self, sum: LatticeVector, _units: usize) -> Result<Vec<f64>, PathError> {
        let spent = self.ledger.spend(self.draft())?;
        let released = release(sum, &self.noise, spent, &mut self.rng)?;
        let mut mean = released.to_f64(self.step);
        mean.iter_mut().for_each(|x| *x /= self.divisor);
        Ok(mean)
    }

    fn divisor(&self) -> f64 {
        self.divisor
    }

    fn charged(&self) -> u64 {
        self.ledger.entries().len() as u64
    }
}
