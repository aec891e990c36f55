//! The mark that a run of unit none leaves in a ledger, at a site and at the coordinator.

use umbel_privacy::ledger::{Ledger, LedgerEntry, LedgerError, LedgerStorage, UnprotectedDraft};
use umbel_privacy::unit::{Adjacency, NoisePlacement};

use crate::plan::AgreedPlan;
use crate::spending::LedgerSnapshot;

/// A ledger in which a run of unit none is marked. Holding it keeps the file locked, so that
/// nobody else writes while the run goes on.
pub struct Marked<S> {
    ledger: Ledger<S>,
    data_set: String,
    earlier: usize,
}

impl<S: LedgerStorage> Marked<S> {
    /// Writes and syncs the mark: `data_set` is about to be used without protection.
    ///
    /// # Errors
    /// [`LedgerError`] where it can't be written; then nothing may be trained.
    pub fn write(
        mut ledger: Ledger<S>,
        data_set: String,
        plan: &AgreedPlan,
        unix_time: u64,
    ) -> Result<Self, LedgerError> {
        let earlier = ledger.entries().len();
        ledger.mark_unprotected(UnprotectedDraft {
            data_set: data_set.clone(),
            run_id: plan.run.to_string(),
            plan: plan.digest(),
            // Nothing is promised, so these say nothing.
            adjacency: Adjacency::AddOrRemove,
            placement: NoisePlacement::Central,
            unix_time,
            seeded: plan.seed.is_some(),
        })?;
        Ok(Self {
            ledger,
            data_set,
            earlier,
        })
    }

    /// Goes on with a run whose mark was written when the ledger had `earlier` entries.
    ///
    /// # Errors
    /// The ledger, where the mark isn't what was written last: then it has to be made.
    pub fn find(
        ledger: Ledger<S>,
        data_set: String,
        plan: &AgreedPlan,
        earlier: usize,
    ) -> Result<Self, Ledger<S>> {
        let plan_digest = Some(plan.digest());
        let is_mark = |entry: &LedgerEntry| {
            entry.data_set == data_set && entry.run_id == plan.run && entry.plan == plan_digest
        };
        match ledger.entries().get(earlier..) {
            Some([mark]) if is_mark(mark) => Ok(Self {
                ledger,
                data_set,
                earlier,
            }),
            _ => Err(ledger),
        }
    }

    /// The ledger's entries, the mark among them.
    pub fn entries(&self) -> &[LedgerEntry] {
        self.ledger.entries()
    }

    /// The ledger as it is stored, while it is still locked.
    ///
    /// # Errors
    /// [`LedgerError`] if it can't be read or isn't what was written.
    pub fn snapshot(&mut self) -> Result<LedgerSnapshot, LedgerError> {
        Ok(LedgerSnapshot {
            bytes: self.ledger.snapshot()?,
            data_set: self.data_set.clone(),
            earlier: self.earlier,
        })
    }
}
