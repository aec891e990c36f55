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
//! What leaves a step out doesn't compile (`release/refused.rs`). The whole path:
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

mod refused;

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
