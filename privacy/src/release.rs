//! The last steps of the private path: the one place where noise is added to a sum, and
//! only for spending that a ledger has already recorded.
//!
//! Every arrow of the path is a function that takes the type before it:
//!
//! ```text
//! RawUpdate ─clip→ ClippedUpdate ─quantize→ LatticeVector ─add_noise→ Noised ─store→ Released
//!                                                              ↑
//!                                     Ledger::spend → Spent ───┘
//! ```
//!
//! What leaves a step out doesn't compile. Each refusal below stands after the code that is
//! right, which differs in nothing else.
//!
//! The whole path:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let clipped = raw.clip(c)?;
//! let vector = clipped.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! let released = noised.store(|sum| std::fs::write("sum", format!("{sum:?}")))?;
//! println!("{:?}", released.sum());
//! # Ok(())
//! # }
//! ```
//!
//! An update that wasn't clipped has no way to the lattice:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0599
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.quantize(step)?;
//! # Ok(())
//! # }
//! ```
//!
//! What isn't on the lattice can't be noised:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0308
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! Without a token of the ledger there is no noise, hence no release:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let released = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0061
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = release(vector, noise, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! A draft isn't a token; only what the ledger has stored is:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let released = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0308
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = release(vector, noise, draft, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! A token pays once:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector.clone(), noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0382
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector.clone(), noise, spent, rng)?;
//! let second = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! It can't be copied:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0599
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector, noise, spent.clone(), rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! Nobody but the ledger makes one:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let spent: Spent = ledger.spend(draft)?;
//! let entry = spent.entry().clone();
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0624
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let spent: Spent = ledger.spend(draft)?;
//! let entry = spent.entry().clone();
//! let another = Spent::recorded(entry);
//! # Ok(())
//! # }
//! ```
//!
//! What is noised but not stored can't be looked at:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! let released = noised.store(|_| std::fs::write("sum", ""))?;
//! println!("{:?}", released.sum());
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0599
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! println!("{:?}", noised.sum());
//! # Ok(())
//! # }
//! ```
//!
//! Neither a noised nor a released sum can be made of a bare one, unless it says that nobody is
//! protected:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = Noised::unnoised(vector, NoPrivacy).release();
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0451
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = Released { value: vector, event: None };
//! # Ok(())
//! # }
//! ```

use rand::CryptoRng;

use crate::lattice::{LatticeError, LatticeVector};
use crate::ledger::Spent;
use crate::noised::{Noised, Released};
use crate::rounded_gaussian::RoundedGaussian;

/// Why a sum was not released. The spending stays recorded.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ReleaseError {
    /// Less noise than was paid for.
    #[error(
        "the noise has a standard deviation of {given} lattice steps, and the ledger entry claims \
         {least}; make it with RoundedGaussian::for_mechanism from the entry's values"
    )]
    TooLittleNoise {
        /// Standard deviation of the noise, in lattice steps.
        given: f64,
        /// The least that the entry's event allows.
        least: f64,
    },
    /// The entry stands for several drawings of noise.
    #[error("the ledger entry pays for several steps; take them one by one with Spent::into_steps")]
    SeveralSteps,
    /// A noisy coordinate leaves 64 bits.
    #[error("the noisy sum overflows 64 bits at coordinate {index}; use a coarser lattice step")]
    Overflow {
        /// Position in the vector, from 0.
        index: usize,
    },
}

/// Adds noise as [`add_noise`] does, and lets the sum be published at once, without storing
/// it.
///
/// # Errors
/// Those of [`add_noise`].
pub fn release<R: CryptoRng + ?Sized>(
    sum: LatticeVector,
    noise: &RoundedGaussian,
    spent: Spent,
    rng: &mut R,
) -> Result<Released, ReleaseError> {
    add_noise(sum, noise, spent, rng).map(Noised::release)
}

/// Adds noise to every coordinate of `sum` and uses up the token that paid for it. On an
/// error the sum and the token are gone too: redoing the step means spending again.
///
/// # Errors
/// [`ReleaseError::TooLittleNoise`] if `noise` is weaker than the token's event says,
/// [`ReleaseError::SeveralSteps`] if that isn't one single Gaussian, and
/// [`ReleaseError::Overflow`].
pub fn add_noise<R: CryptoRng + ?Sized>(
    mut sum: LatticeVector,
    noise: &RoundedGaussian,
    spent: Spent,
    rng: &mut R,
) -> Result<Noised, ReleaseError> {
    let least = spent
        .least_standard_deviation()
        .ok_or(ReleaseError::SeveralSteps)?;
    let given = noise.standard_deviation();
    if given < least {
        return Err(ReleaseError::TooLittleNoise { given, least });
    }
    noise
        .add_to(sum.values_mut(), rng)
        .map_err(|error| match error {
            LatticeError::SumOverflow { index } => ReleaseError::Overflow { index },
            // Adding noise fails in no other way.
            _ => ReleaseError::Overflow { index: 0 },
        })?;
    Ok(Noised::paid_by(sum, &spent))
}
