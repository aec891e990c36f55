//! The sum of one attempt at a round, under a lock of its own.
//!
//! Adding a long vector takes a while, and must not stop other clients' calls, so it can't
//! happen under the lobby's lock. What keeps sum and count together is the order of the locks:
//!
//! 1. take the sum's lock;
//! 2. while holding it, take the lobby's lock for a moment, in which the engine counts the
//!    update or refuses it;
//! 3. add the vector, and only then give the sum's lock back.
//!
//! So nobody who gets the sum's lock can find an update that counts and isn't in the sum: the
//! engine may close the round between the steps 2 and 3, but the driver gets the sum by its
//! lock, and waits there. If step 3 fails or panics, the sum is lost rather than released
//! without that update, and the run ends before the round is paid for. Never take the sum's lock while holding the lobby's.

use std::sync::{Mutex, MutexGuard};

use umbel_privacy::lattice::LatticeVector;

use super::{Aggregate, Readable, Unfit, UpdateRules};

/// The aggregate of an attempt's updates.
pub(crate) struct RoundSum {
    /// `None` once the driver has taken it.
    aggregate: Mutex<Option<Box<dyn Aggregate>>>,
}

/// A sum that can't be used: adding an update to it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an update couldn't be added, so the round's sum is lost; the coordinator's log says more")]
pub(crate) struct LostSum;

impl RoundSum {
    /// A sum of nothing, to which each of so many clients may add an update once.
    pub(crate) fn empty(rules: &UpdateRules, clients: usize) -> Self {
        Self {
            aggregate: Mutex::new(Some(rules.aggregate(clients))),
        }
    }

    /// Waits until nobody else adds. `None` in it means that the sum was taken.
    ///
    /// # Errors
    /// [`LostSum`]
    pub(crate) fn lock(&self) -> Result<OpenSum<'_>, LostSum> {
        Ok(OpenSum {
            aggregate: self.aggregate.lock().map_err(|_| LostSum)?,
        })
    }

    /// Takes the sum away; whoever comes later finds none.
    ///
    /// # Errors
    /// [`LostSum`], also where it was taken before.
    pub(crate) fn take(&self) -> Result<LatticeVector, LostSum> {
        let taken = self.lock()?.aggregate.take();
        Ok(taken.ok_or(LostSum)?.finish())
    }
}

/// The sum, while nobody else can add to it.
pub(crate) struct OpenSum<'a> {
    aggregate: MutexGuard<'a, Option<Box<dyn Aggregate>>>,
}

impl OpenSum<'_> {
    /// Whether the sum was taken already.
    pub(crate) fn is_taken(&self) -> bool {
        self.aggregate.is_none()
    }

    /// Whether this update can be added, asked before it counts.
    ///
    /// # Errors
    /// [`Unfit`] says at which coordinate it can't.
    pub(crate) fn check(&self, added: &Readable<'_>) -> Result<(), Unfit> {
        match self.aggregate.as_ref() {
            Some(aggregate) if aggregate.may_refuse() => aggregate.check(&mut added.read()?),
            _ => Ok(()),
        }
    }

    /// Adds an update that was checked, and gives the lock back.
    ///
    /// # Errors
    /// [`Unfit`] where it can't be added in spite of the check. It counts already, so that the sum
    /// is thrown away rather than used without it. `lost` hears of that while the lock is held, so
    /// that it comes before anybody who finds no sum.
    pub(crate) fn add(
        mut self,
        added: &Readable<'_>,
        lost: impl FnOnce(&Unfit),
    ) -> Result<(), LostSum> {
        let aggregate = self.aggregate.as_mut().ok_or(LostSum)?;
        let accepted = added.read().map_err(Unfit::from);
        let accepted = accepted.and_then(|mut reading| aggregate.accept(&mut reading));
        if let Err(error) = accepted {
            tracing::error!("an update that counts can't be added: {error}");
            lost(&error);
            *self.aggregate = None;
            return Err(LostSum);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use umbel_privacy::lattice::LatticeError;

    use super::*;
    use crate::aggregate::{AggregateSettings, standard};

    fn encoded(values: &[i64]) -> Vec<u8> {
        LatticeVector::from_values(values.to_vec()).encode()
    }

    fn two(bytes: &Vec<u8>) -> Readable<'_> {
        Readable {
            bytes,
            numbers: 2,
            factor: None,
        }
    }

    fn sum(may_overflow: bool) -> RoundSum {
        let mut aggregate = (standard().make)(&AggregateSettings::default(), 2, may_overflow);
        let first = encoded(&[i64::MAX - 1, 0]);
        aggregate.accept(&mut two(&first).read().unwrap()).unwrap();
        RoundSum {
            aggregate: Mutex::new(Some(aggregate)),
        }
    }

    #[test]
    fn what_would_overflow_is_refused_before_it_counts() {
        let sum = sum(true);
        let refused = sum.lock().unwrap().check(&two(&encoded(&[2, 0])));
        assert!(matches!(
            refused,
            Err(Unfit::Lattice(LatticeError::SumOverflow { index: 0 }))
        ));
        let one = encoded(&[1, 5]);
        sum.lock().unwrap().check(&two(&one)).unwrap();
        sum.lock().unwrap().add(&two(&one), |_| ()).unwrap();
        assert_eq!(sum.take().unwrap().values(), [i64::MAX, 5]);
        assert!(sum.lock().unwrap().is_taken());
        assert_eq!(sum.take(), Err(LostSum));
    }

    #[test]
    fn a_sum_that_lacks_an_update_which_counts_is_never_taken() {
        let sum = sum(false);
        let mut told = false;
        let added = encoded(&[2, 0]);
        let lost = sum.lock().unwrap().add(&two(&added), |_| told = true);
        assert_eq!(lost, Err(LostSum));
        assert!(told);
        assert_eq!(sum.take(), Err(LostSum));
    }
}
