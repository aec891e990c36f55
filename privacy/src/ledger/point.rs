//! Where a ledger stood at some time, and whether it went on from there.

use serde::{Deserialize, Serialize};

use crate::ledger::entry::LedgerEntry;
use crate::ledger::hash::EntryHash;

/// Where a ledger stood: how many entries it had, and the hash of the last of them. As each
/// entry holds the hash of the one before, that fixes them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerPoint {
    /// Entries in all.
    pub entries: u64,
    /// The hash of the last one; [`EntryHash::START`] where there is none.
    pub head: EntryHash,
}

/// A ledger that didn't go on from where it was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discontinuity {
    /// Entries are missing at its end.
    #[error("it has {found} entries, and had {seen} when it was last seen: it got shorter")]
    Shorter {
        /// As many as were seen.
        seen: u64,
        /// As many as there are.
        found: u64,
    },
    /// It has as many entries, but others.
    #[error(
        "its entry {seen} isn't the one that was last seen there: it was changed, or continued \
         from a copy"
    )]
    Forked {
        /// The entry that was seen last, counted from 1.
        seen: u64,
    },
}

impl LedgerPoint {
    /// An empty ledger.
    pub const START: Self = Self {
        entries: 0,
        head: EntryHash::START,
    };

    /// Where a ledger with these entries stands.
    pub fn after(entries: &[LedgerEntry]) -> Self {
        Self {
            entries: entries.len() as u64,
            head: entries.last().map_or(EntryHash::START, |last| last.hash),
        }
    }

    /// Checks that a ledger with these entries was here once, and went on from here.
    ///
    /// # Errors
    /// [`Discontinuity`] where it didn't.
    pub fn check_in(&self, entries: &[LedgerEntry]) -> Result<(), Discontinuity> {
        let reached = usize::try_from(self.entries)
            .ok()
            .and_then(|count| entries.get(..count));
        match reached {
            None => Err(Discontinuity::Shorter {
                seen: self.entries,
                found: entries.len() as u64,
            }),
            Some(reached) if Self::after(reached) != *self => {
                Err(Discontinuity::Forked { seen: self.entries })
            }
            Some(_) => Ok(()),
        }
    }

    /// Checks what can be told from two points alone: that a ledger which was here may have
    /// come to `later`. Where it has more entries there, only they could show a fork.
    ///
    /// # Errors
    /// [`Discontinuity`] where it can't have.
    pub fn check_before(&self, later: &Self) -> Result<(), Discontinuity> {
        if later.entries < self.entries {
            return Err(Discontinuity::Shorter {
                seen: self.entries,
                found: later.entries,
            });
        }
        let possible = |point: &Self| point.entries > 0 || *point == Self::START;
        let moved_on = later.entries > self.entries || later == self;
        if possible(self) && possible(later) && moved_on {
            Ok(())
        } else {
            Err(Discontinuity::Forked { seen: self.entries })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Ledger, MemoryLedgerStorage, UnprotectedDraft};
    use crate::unit::{Adjacency, NoisePlacement};

    fn entries(runs: &[&str]) -> Vec<LedgerEntry> {
        let mut ledger = Ledger::open(MemoryLedgerStorage::default()).expect("an empty ledger");
        for run in runs {
            let draft = UnprotectedDraft {
                data_set: "visits".into(),
                run_id: (*run).into(),
                plan: crate::Sha256Digest::of(run.as_bytes()),
                adjacency: Adjacency::AddOrRemove,
                placement: NoisePlacement::Central,
                unix_time: 0,
                seeded: false,
            };
            ledger.mark_unprotected(draft).expect("room in memory");
        }
        ledger.entries().to_vec()
    }

    #[test]
    fn a_ledger_that_goes_on_was_at_each_of_its_points() {
        let all = entries(&["a", "b", "c"]);
        for count in 0..=all.len() {
            let point = LedgerPoint::after(&all[..count]);
            assert_eq!(point.check_in(&all), Ok(()));
            assert_eq!(point.check_before(&LedgerPoint::after(&all)), Ok(()));
        }
    }

    #[test]
    fn a_shorter_ledger_is_told() {
        let all = entries(&["a", "b", "c"]);
        let seen = LedgerPoint::after(&all);
        let shorter = Err(Discontinuity::Shorter { seen: 3, found: 2 });
        assert_eq!(seen.check_in(&all[..2]), shorter);
        assert_eq!(seen.check_before(&LedgerPoint::after(&all[..2])), shorter);
    }

    #[test]
    fn a_forked_ledger_is_told() {
        let (one, other) = (entries(&["a", "b"]), entries(&["a", "x", "y"]));
        let seen = LedgerPoint::after(&one);
        let forked = Err(Discontinuity::Forked { seen: 2 });
        assert_eq!(seen.check_in(&other), forked);
        assert_eq!(seen.check_before(&LedgerPoint::after(&other[..2])), forked);
    }

    #[test]
    fn an_empty_ledger_has_no_last_entry() {
        let all = entries(&["a"]);
        let impossible = LedgerPoint {
            entries: 0,
            head: all[0].hash,
        };
        assert!(impossible.check_in(&all).is_err());
        assert!(impossible.check_before(&LedgerPoint::after(&all)).is_err());
        let huge = LedgerPoint {
            entries: u64::MAX,
            head: all[0].hash,
        };
        assert!(huge.check_in(&all).is_err());
    }
}
