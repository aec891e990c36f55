//! The mark that a run without protection leaves in the site's own ledger.

use umbel_privacy::disk::AnyLedgerStorage;
use umbel_privacy::ledger::{Ledger, LedgerEntry, LedgerError};
use umbel_proto::plan::AgreedPlan;
use umbel_proto::spending::SpendingError;
use umbel_proto::unprotected::Marked;

use crate::site_ledger::{LedgerPlace, SiteLedgerError, open_ledger};

/// Whether a run of unit none is in the site's ledger yet.
pub(crate) enum UnprotectedMark {
    /// The run promises protection, and its entries are written as it goes on.
    NotNeeded,
    /// Nothing was trained yet.
    Due(Box<Due>),
    /// It is there. The ledger stays locked while the run goes on.
    Made(Marked<AnyLedgerStorage>),
    /// It couldn't be written, so that nothing may be trained.
    Failed,
}

/// What the mark will say.
pub(crate) struct Due {
    ledger: Ledger<AnyLedgerStorage>,
    data_set: String,
}

impl UnprotectedMark {
    /// Opens the ledger of a run without protection, so that it is known to be writable.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the file can't be used.
    pub(crate) fn open(place: &LedgerPlace, plan: &AgreedPlan) -> Result<Self, SiteLedgerError> {
        if plan.is_private() {
            return Ok(Self::NotNeeded);
        }
        let ledger = open_ledger(place)?;
        Ok(Self::Due(Box::new(Due {
            ledger,
            data_set: place.data_set.clone(),
        })))
    }

    /// The ledger's entries; none where the run has no mark to make.
    pub(crate) fn entries(&self) -> &[LedgerEntry] {
        match self {
            Self::Due(due) => due.ledger.entries(),
            Self::Made(marked) => marked.entries(),
            Self::NotNeeded | Self::Failed => &[],
        }
    }

    /// Makes the mark, durably, if it is due: before the run's first training.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where it can't be written; then nothing may be trained.
    pub(crate) fn make(
        &mut self,
        plan: &AgreedPlan,
        unix_time: u64,
    ) -> Result<(), SiteLedgerError> {
        match std::mem::replace(self, Self::Failed) {
            Self::Failed => {
                let unknown = SpendingError::Ledger(LedgerError::UnknownEnd);
                return Err(SiteLedgerError::Spending(Box::new(unknown)));
            }
            Self::Due(due) => {
                let Due { ledger, data_set } = *due;
                let marked = Marked::write(ledger, data_set, plan, unix_time)
                    .map_err(|e| SiteLedgerError::Spending(Box::new(e.into())))?;
                *self = Self::Made(marked);
            }
            as_before => *self = as_before,
        }
        Ok(())
    }
}
