//! The last step of the private path: the one place where noise is added to a sum, and
//! only for spending that a ledger has already recorded.
//!
//! Without a [`Spent`] token there is nothing to release, and a token pays once:
//!
//! ```compile_fail
//! # use umbel_privacy::{LatticeVector, RoundedGaussian, release};
//! # fn publish(sum: LatticeVector, noise: &RoundedGaussian, rng: &mut impl rand::CryptoRng) {
//! release(sum, noise, rng); // no token
//! # }
//! ```
//! ```compile_fail,E0382
//! # use umbel_privacy::{LatticeVector, RoundedGaussian, Spent, release};
//! # fn publish(
//! #     sum: LatticeVector, noise: &RoundedGaussian, spent: Spent, rng: &mut impl rand::CryptoRng,
//! # ) {
//! let first = release(sum.clone(), noise, spent, rng);
//! let second = release(sum, noise, spent, rng); // used up
//! # }
//! ```
//! ```compile_fail,E0451
//! # use umbel_privacy::{LatticeVector, Released};
//! # fn publish(sum: LatticeVector) {
//! let published = Released { sum, event: None }; // private fields
//! # }
//! ```
//! ```
//! # use umbel_privacy::{LatticeVector, RoundedGaussian, Spent, release};
//! # fn publish(
//! #     sum: LatticeVector, noise: &RoundedGaussian, spent: Spent, rng: &mut impl rand::CryptoRng,
//! # ) {
//! let published = release(sum, noise, spent, rng);
//! # }
//! ```

use rand::CryptoRng;

use crate::accountant::event::MechanismEvent;
use crate::lattice::{LatticeError, LatticeStep, LatticeVector};
use crate::ledger::Spent;
use crate::rounded_gaussian::RoundedGaussian;

/// A sum that may be published, with the event that it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    sum: LatticeVector,
    event: Option<MechanismEvent>,
}

/// Says, where it is written, that nobody is protected (unit none).
#[derive(Clone, Copy, Debug)]
pub struct NoPrivacy;

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

/// Adds noise to every coordinate of `sum` and uses up the token that paid for it. On an
/// error the sum and the token are gone too: redoing the step means spending again.
///
/// # Errors
/// [`ReleaseError::TooLittleNoise`] if `noise` is weaker than the token's event says,
/// [`ReleaseError::SeveralSteps`] if that isn't one single Gaussian, and
/// [`ReleaseError::Overflow`].
pub fn release<R: CryptoRng + ?Sized>(
    mut sum: LatticeVector,
    noise: &RoundedGaussian,
    spent: Spent,
    rng: &mut R,
) -> Result<Released, ReleaseError> {
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
    Ok(Released {
        sum,
        event: Some(spent.event().clone()),
    })
}

impl Released {
    /// A sum to which every client had already added the noise that its own guarantee needs
    /// (local noise). Nothing is drawn here, but the spending is on record like any other.
    pub fn noised_by_clients(sum: LatticeVector, spent: Spent) -> Self {
        Self {
            sum,
            event: Some(spent.event().clone()),
        }
    }

    /// A sum without noise, for unit none.
    pub fn unnoised(sum: LatticeVector, _: NoPrivacy) -> Self {
        Self { sum, event: None }
    }

    /// The noisy sum in lattice steps.
    pub fn sum(&self) -> &LatticeVector {
        &self.sum
    }

    /// Gives the noisy sum away.
    pub fn into_sum(self) -> LatticeVector {
        self.sum
    }

    /// What the sum cost; `None` if it has no noise.
    pub fn event(&self) -> Option<&MechanismEvent> {
        self.event.as_ref()
    }

    /// The noisy sum times γ.
    pub fn to_f64(&self, step: LatticeStep) -> Vec<f64> {
        self.sum.to_f64(step)
    }
}
