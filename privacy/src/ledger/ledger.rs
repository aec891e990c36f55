//! Opening a ledger, spending on it, and adding up what was spent.

use std::io;

use crate::accountant::event::MechanismEvent;
use crate::accountant::{Accountant, AccountingError, PldAccountant};
use crate::filter::FilterOrder;
use crate::ledger::chain::{self, ChainError, Tail, VerifiedChain};
use crate::ledger::entry::{EntryDraft, InvalidDraft, LedgerEntry};
use crate::ledger::hash::EntryHash;
use crate::ledger::spent::Spent;
use crate::ledger::store::LedgerStorage;
use crate::ledger::unprotected::{UnprotectedDraft, UnprotectedUse};
use crate::unit::{Adjacency, PrivacyUnit};

/// A ledger that was checked when it was opened.
#[derive(Debug)]
pub struct Ledger<S> {
    storage: S,
    entries: Vec<LedgerEntry>,
    /// A write failed: what is stored is no longer known.
    unknown_end: bool,
    repaired: Option<u64>,
    /// Whether anything was written, or a token made, since it was opened. What the last entry
    /// paid for may then be under way.
    touched: bool,
}

/// The ledger was written to since it was opened, or can't be trusted any more.
pub(super) struct Touched;

/// Why a ledger can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Reading, writing or syncing failed.
    #[error("the ledger can't be {action}: {source}; nothing was released")]
    Storage {
        /// What was tried: read, repaired or written.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A line isn't what was written.
    #[error(transparent)]
    Damaged(#[from] ChainError),
    /// An earlier write failed.
    #[error(
        "an earlier write to this ledger failed, so its end isn't known; open it again before \
         spending more"
    )]
    UnknownEnd,
    /// The draft can't become an entry.
    #[error(transparent)]
    Draft(#[from] InvalidDraft),
    /// The event has no sound figure under the draft's adjacency.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
    /// Another order of the filter between runs than the data set's.
    #[error(
        "runs on data set \"{data_set}\" are added up at Rényi order {fixed}, which was fixed with its \
         first entry; order {asked} can't take its place"
    )]
    OtherOrder {
        /// The data set.
        data_set: String,
        /// The order that was fixed.
        fixed: f64,
        /// The one that was asked for.
        asked: f64,
    },
    /// Spending with different units doesn't add up.
    #[error(
        "data set \"{data_set}\" has spending that protects unit {found} (entry {index}), which doesn't \
         add up with unit {asked}: neither bounds what the other protects; keep to one unit for \
         a data set"
    )]
    MixedUnits {
        /// The data set.
        data_set: String,
        /// The unit of an entry.
        found: PrivacyUnit,
        /// Its index.
        index: u64,
        /// The unit that was asked for.
        asked: PrivacyUnit,
    },
}

impl<S: LedgerStorage> Ledger<S> {
    /// Reads and checks a ledger. An entry whose writing was interrupted, so that nothing
    /// was released for it, is cut off; a missing last line break is added.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] for any other damage, [`LedgerError::Storage`] if the
    /// storage fails.
    pub fn open(mut storage: S) -> Result<Self, LedgerError> {
        let failed = |action| move |source| LedgerError::Storage { action, source };
        let bytes = storage.read_all().map_err(failed("read"))?;
        let VerifiedChain { entries, tail } = chain::verify(&bytes)?;
        let mut repaired = None;
        match tail {
            Tail::Clean if bytes.is_empty() => {}
            // A process that was killed may have written the last line without syncing it. What
            // others hear of from now on must outlast the machine, too.
            Tail::Clean => storage.sync().map_err(failed("synced"))?,
            Tail::Unterminated => end_line(&mut storage).map_err(failed("repaired"))?,
            Tail::Torn {
                sound_bytes,
                torn_bytes,
            } => {
                storage
                    .truncate_to(sound_bytes)
                    .and_then(|()| storage.sync())
                    .map_err(failed("repaired"))?;
                repaired = Some(torn_bytes);
            }
        }
        Ok(Self {
            storage,
            entries,
            unknown_end: false,
            repaired,
            touched: false,
        })
    }

    /// Records what is about to be spent, durably, and only then hands out the token that
    /// lets noise be drawn for it.
    ///
    /// # Errors
    /// [`LedgerError::Draft`], [`LedgerError::Accounting`] and [`LedgerError::MixedUnits`]
    /// for a draft that can't be recorded, with nothing written. [`LedgerError::Storage`]
    /// if writing fails; the entry may then be stored or not, and the ledger refuses
    /// everything ([`LedgerError::UnknownEnd`]) until it is opened again.
    pub fn spend(&mut self, draft: EntryDraft) -> Result<Spent, LedgerError> {
        if self.unknown_end {
            return Err(LedgerError::UnknownEnd);
        }
        self.check_unit(&draft.data_set, draft.unit)?;
        self.check_order(&draft)?;
        PldAccountant::new(draft.adjacency).compose(&draft.event, 1)?;
        let (entry, line) = draft.into_entry(self.entries.len() as u64, self.head())?;
        self.append(entry.clone(), &line)?;
        Ok(Spent::recorded(entry))
    }

    /// Records, durably, that a data set is about to be used without protection. No noise can
    /// be drawn for it. What is in the ledger of the same data set doesn't matter: the mark is
    /// always made.
    ///
    /// # Errors
    /// [`LedgerError`] as for [`Self::spend`].
    pub fn mark_unprotected(&mut self, draft: UnprotectedDraft) -> Result<(), LedgerError> {
        if self.unknown_end {
            return Err(LedgerError::UnknownEnd);
        }
        let (entry, line) = draft.into_entry(self.entries.len() as u64, self.head())?;
        self.append(entry, &line)
    }

    fn append(&mut self, entry: LedgerEntry, line: &str) -> Result<(), LedgerError> {
        self.touched = true;
        if let Err(source) = write_line(&mut self.storage, line) {
            self.unknown_end = true;
            return Err(LedgerError::Storage {
                action: "written",
                source,
            });
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The ledger's bytes as they are stored, checked to be exactly the entries that this
    /// holds: what a certificate may be made of.
    ///
    /// # Errors
    /// [`LedgerError`] if they can't be read or aren't what was written.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, LedgerError> {
        if self.unknown_end {
            return Err(LedgerError::UnknownEnd);
        }
        let bytes = self
            .storage
            .read_all()
            .map_err(|source| LedgerError::Storage {
                action: "read",
                source,
            })?;
        let chain = chain::verify(&bytes)?;
        if chain.tail == Tail::Clean && chain.entries == self.entries {
            Ok(bytes)
        } else {
            self.unknown_end = true;
            Err(LedgerError::UnknownEnd)
        }
    }

    /// Gives the storage back, e.g. to open the ledger again.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

/// Stores a line in two steps: its content, durably, and only then the line break, durably.
/// So what stands after the last line break was never acknowledged, and what stands before
/// it was stored as a whole, however a crash tears the bytes that weren't synced.
fn write_line(storage: &mut impl LedgerStorage, line: &str) -> io::Result<()> {
    storage.append(line.as_bytes())?;
    storage.sync()?;
    end_line(storage)
}

fn end_line(storage: &mut impl LedgerStorage) -> io::Result<()> {
    storage.append(b"\n")?;
    storage.sync()
}

impl<S> Ledger<S> {
    /// All entries in their order.
    pub fn entries(&self) -> &[LedgerEntry] {
        &self.entries
    }

    /// The hash of the last entry; [`EntryHash::START`] of an empty ledger.
    pub fn head(&self) -> EntryHash {
        self.entries
            .last()
            .map_or(EntryHash::START, |entry| entry.hash)
    }

    /// The last entry, if nothing was written since the ledger was opened.
    pub(super) fn last_untouched(&self) -> Result<Option<&LedgerEntry>, Touched> {
        if self.touched || self.unknown_end {
            return Err(Touched);
        }
        Ok(self.entries.last())
    }

    /// Notes that the last entry's token was made again.
    pub(super) fn note_token(&mut self) {
        self.touched = true;
    }

    /// How many bytes of an interrupted entry were cut off when the ledger was opened.
    pub fn repaired(&self) -> Option<u64> {
        self.repaired
    }

    /// The names of the data sets that it knows, in quotes, where `data_set` isn't among them:
    /// the same rows under a new name would begin at 0.
    pub fn other_data_sets(&self, data_set: &str) -> Vec<String> {
        let mut known: Vec<String> = Vec::new();
        for entry in &self.entries {
            let name = format!("{:?}", entry.data_set);
            if entry.data_set == data_set {
                return Vec::new();
            }
            if !known.contains(&name) {
                known.push(name);
            }
        }
        known
    }

    /// The events of all runs on one data set, in their order.
    pub fn events<'a>(&'a self, data_set: &'a str) -> impl Iterator<Item = &'a MechanismEvent> {
        self.entries_of(data_set).map(|entry| &entry.event)
    }

    /// An accountant that has seen all spending of all runs on one data set. Where one of
    /// them protected nobody, its epsilon is infinite.
    ///
    /// # Errors
    /// [`LedgerError::MixedUnits`] if some of it protects another unit than `unit`,
    /// [`LedgerError::Accounting`] if some of it has no sound figure under `adjacency`.
    pub fn accountant_for(
        &self,
        data_set: &str,
        unit: PrivacyUnit,
        adjacency: Adjacency,
    ) -> Result<PldAccountant, LedgerError> {
        self.check_unit(data_set, unit)?;
        let costs = self.entries_of(data_set).map(LedgerEntry::cost);
        composed(adjacency, costs)
    }

    /// The same for a run that protects nobody since its noise comes from a seed: a rehearsal
    /// of what spending would be if all noise were secret, to which the data set's earlier
    /// unprotected uses don't matter.
    ///
    /// # Errors
    /// As for [`Self::accountant_for`].
    pub fn rehearsal_accountant_for(
        &self,
        data_set: &str,
        unit: PrivacyUnit,
        adjacency: Adjacency,
    ) -> Result<PldAccountant, LedgerError> {
        self.check_unit(data_set, unit)?;
        let events = self.events(data_set);
        composed(adjacency, events.filter(|event| !event.protects_nobody()))
    }

    /// The first use of a data set that protected nobody.
    pub fn unprotected_use(&self, data_set: &str) -> Option<UnprotectedUse> {
        self.entries_of(data_set)
            .find_map(LedgerEntry::unprotected_use)
    }

    /// Refuses a unit other than that of the data set's earlier spending. Neither implies
    /// the other: removing one row of a group can move a sum that was clipped by groups
    /// by up to 2 C, not C.
    fn check_unit(&self, data_set: &str, unit: PrivacyUnit) -> Result<(), LedgerError> {
        let other = |entry: &LedgerEntry| {
            let found = entry.unit().filter(|found| *found != unit)?;
            Some((found, entry.index))
        };
        match self.entries_of(data_set).find_map(other) {
            None => Ok(()),
            Some((found, index)) => Err(LedgerError::MixedUnits {
                data_set: data_set.into(),
                found,
                index,
                asked: unit,
            }),
        }
    }

    /// The Rényi order at which runs on a data set are added up, if one was fixed.
    pub fn filter_order(&self, data_set: &str) -> Option<FilterOrder> {
        self.entries_of(data_set)
            .find_map(|entry| entry.filter_order)
    }

    /// Refuses another order than the one that was fixed: the filter is about one.
    fn check_order(&self, draft: &EntryDraft) -> Result<(), LedgerError> {
        let fixed = self.filter_order(&draft.data_set);
        match (fixed, draft.filter_order) {
            (Some(fixed), Some(asked)) if fixed != asked => Err(LedgerError::OtherOrder {
                data_set: draft.data_set.clone(),
                fixed: fixed.get(),
                asked: asked.get(),
            }),
            _ => Ok(()),
        }
    }

    fn entries_of<'a>(&'a self, data_set: &'a str) -> impl Iterator<Item = &'a LedgerEntry> {
        self.entries
            .iter()
            .filter(move |entry| entry.data_set == data_set)
    }
}

fn composed<'a>(
    adjacency: Adjacency,
    events: impl Iterator<Item = &'a MechanismEvent>,
) -> Result<PldAccountant, LedgerError> {
    let mut accountant = PldAccountant::new(adjacency);
    for event in events {
        accountant.compose(event, 1)?;
    }
    Ok(accountant)
}
