//! Between noise and publication: a value that has its noise, and may not be seen yet.
//!
//! The order of a round's last act is: entry synced, noise drawn, result stored, result
//! published. [`Noised`] is the state after the second step. What is computed from it is
//! [`Noised`] still ([`Noised::post_process`]), and it becomes [`Released`] only once it is
//! stored ([`Noised::store`]), so that after a crash the stored result is published again
//! rather than new noise drawn for an old entry.

use crate::accountant::event::MechanismEvent;
use crate::lattice::{LatticeStep, LatticeVector};
use crate::ledger::Spent;

/// Says, where it is written, that nobody is protected (unit none).
#[derive(Clone, Copy, Debug)]
pub struct NoPrivacy;

/// Something that was computed from a noisy sum, and isn't published yet.
#[derive(Debug)]
#[must_use = "it was paid for, and is lost unless it is stored or released"]
pub struct Noised<T = LatticeVector> {
    value: T,
    event: Option<MechanismEvent>,
}

/// Something that may be published, with the event that it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Released<T = LatticeVector> {
    value: T,
    event: Option<MechanismEvent>,
}

impl Noised {
    /// A sum to which noise was added that `spent` paid for.
    pub(crate) fn paid_by(sum: LatticeVector, spent: &Spent) -> Self {
        Self {
            value: sum,
            event: Some(spent.event().clone()),
        }
    }

    /// A sum to which every client had already added the noise that its own guarantee needs
    /// (local noise). Nothing is drawn here, but the spending is on record like any other.
    pub fn by_clients(sum: LatticeVector, spent: Spent) -> Self {
        Self::paid_by(sum, &spent)
    }

    /// A sum without noise, for unit none.
    pub fn unnoised(sum: LatticeVector, _: NoPrivacy) -> Self {
        Self {
            value: sum,
            event: None,
        }
    }
}

impl<T> Noised<T> {
    /// Computes something from it, and from nothing private besides: that costs nothing more
    /// (Dwork and Roth 2014, Proposition 2.1), but isn't published yet either.
    pub fn post_process<U>(self, compute: impl FnOnce(T) -> U) -> Noised<U> {
        Noised {
            value: compute(self.value),
            event: self.event,
        }
    }

    /// Has `keep` store it, and only then lets it be published.
    ///
    /// # Errors
    /// Whatever `keep` fails with. The value is lost then. Once the ledger was opened again, its
    /// entry can be taken up if nothing was stored ([`crate::Ledger::take_up`]).
    pub fn store<E>(self, keep: impl FnOnce(&T) -> Result<(), E>) -> Result<Released<T>, E> {
        keep(&self.value)?;
        Ok(self.release())
    }

    /// Lets it be published without being stored: for what is handed on at once and never
    /// again, such as a client's update, whose round is spent for again after a crash.
    pub fn release(self) -> Released<T> {
        Released {
            value: self.value,
            event: self.event,
        }
    }
}

impl<T> Released<T> {
    /// What may be published.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Gives it away.
    pub fn into_value(self) -> T {
        self.value
    }

    /// What it cost; `None` if it has no noise.
    pub fn event(&self) -> Option<&MechanismEvent> {
        self.event.as_ref()
    }
}

impl Released {
    /// The noisy sum in lattice steps.
    pub fn sum(&self) -> &LatticeVector {
        &self.value
    }

    /// Gives the noisy sum away.
    pub fn into_sum(self) -> LatticeVector {
        self.value
    }

    /// The noisy sum times γ.
    pub fn to_f64(&self, step: LatticeStep) -> Vec<f64> {
        self.value.to_f64(step)
    }
}
