//! Taking up an entry whose result was never stored.
//!
//! A crash may come after an entry was synced and before the noised result was. Nothing was
//! released for that entry, so that it still pays for one drawing of noise over the same sum
//! (`privacy/proofs/resume.md`). [`Ledger::take_up`] makes its token again, once, and only if
//!
//! 1. it is the ledger's last entry, and the very one that the claim is about;
//! 2. nobody was given a token for it since the ledger was opened and locked;
//! 3. the journal, asked by the ledger itself, knows of no result for it.

use std::io;

use crate::digest::Sha256Digest;
use crate::ledger::entry::{EntryHash, LedgerEntry};
use crate::ledger::ledger::Ledger;
use crate::ledger::spent::Spent;

/// Where a run keeps the results that its entries paid for.
///
/// A result is there as soon as a later process could find it and publish it.
pub trait ResultJournal {
    /// Whether a result is stored that this entry paid for.
    ///
    /// # Errors
    /// Where that can't be told. Then no noise is drawn.
    fn has_result(&self, entry: &EntryHash) -> io::Result<bool>;
}

/// Which entry is to be taken up. All of it must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreleasedEntry {
    /// The ledger's head when the round was closed, so the entry's `previous_hash`.
    pub previous_hash: EntryHash,
    /// The data set.
    pub data_set: String,
    /// The run.
    pub run_id: String,
    /// The round.
    pub round: u64,
    /// The plan.
    pub plan: Sha256Digest,
}

/// Why an entry can't be taken up. No noise was drawn.
#[derive(Debug, thiserror::Error)]
pub enum TakeUpError {
    /// The ledger's last entry is another.
    #[error(
        "the ledger's last entry isn't the one that this run wrote for round {round}, so that it \
         can't be taken up: put the newest copy of the ledger back, or begin a new run"
    )]
    OtherEntry {
        /// The round that is to be taken up.
        round: u64,
    },
    /// A token for it is or was about.
    #[error("the ledger's last entry has its token already, and pays for one drawing of noise")]
    TokenGiven,
    /// It has its result.
    #[error(
        "the result that the ledger's last entry paid for is stored; it is published, and no \
         second one is made"
    )]
    HasResult,
    /// The journal can't tell.
    #[error("it can't be told whether the ledger's last entry has its result: {0}")]
    Journal(io::Error),
}

impl UnreleasedEntry {
    fn is(&self, entry: &LedgerEntry) -> bool {
        entry.previous_hash == self.previous_hash
            && entry.data_set == self.data_set
            && entry.run_id == self.run_id
            && entry.round == self.round
            && entry.last_round.is_none()
            && entry.plan == Some(self.plan)
            && !entry.event.protects_nobody()
    }
}

impl<S> Ledger<S> {
    /// Makes the token of the last entry again, for which nothing was released. `journal` is
    /// where its result would be.
    ///
    /// # Errors
    /// [`TakeUpError`] says which condition doesn't hold.
    pub fn take_up(
        &mut self,
        claim: &UnreleasedEntry,
        journal: &dyn ResultJournal,
    ) -> Result<Spent, TakeUpError> {
        let other = || TakeUpError::OtherEntry { round: claim.round };
        let last = self.last_untouched().map_err(|_| TakeUpError::TokenGiven)?;
        let last = last.filter(|entry| claim.is(entry)).ok_or_else(other)?;
        match journal.has_result(&last.hash) {
            Ok(false) => {}
            Ok(true) => return Err(TakeUpError::HasResult),
            Err(why) => return Err(TakeUpError::Journal(why)),
        }
        let spent = Spent::recorded(last.clone());
        self.note_token();
        Ok(spent)
    }
}
