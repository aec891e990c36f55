//! Uses of a data set that protect nobody: runs of unit none, and runs whose noise somebody
//! can compute.
//!
//! Each is in the ledger. A run of unit none leaves one mark before it first trains; a seeded
//! run's entries say that they are seeded. To a run that promises protection, both have no
//! finite cost: what such a run reveals of a row can't be taken back.

use std::fmt;

use crate::accountant::event::MechanismEvent;
use crate::digest::Sha256Digest;
use crate::ledger::entry::LedgerEntry;
use crate::unit::{Adjacency, NoisePlacement};

/// That a data set is about to be used without protection;
/// [`crate::Ledger::mark_unprotected`] makes an entry of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprotectedDraft {
    /// See [`super::EntryDraft::data_set`].
    pub data_set: String,
    /// See [`super::EntryDraft::run_id`].
    pub run_id: String,
    /// SHA-256 of the plan that the run follows.
    pub plan: Sha256Digest,
    /// What the plan says of neighbours, for the record.
    pub adjacency: Adjacency,
    /// Where the plan says that noise would be added, for the record.
    pub placement: NoisePlacement,
    /// Seconds since 1970, by the caller's clock.
    pub unix_time: u64,
    /// Whether the run was seeded, too.
    pub seeded: bool,
}

/// In what way a use protects nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// There was no privacy unit.
    NoUnit,
    /// The noise came from a seed, and whoever knows that can take it off.
    Seeded,
}

/// A use of a data set that protects nobody. Says in a sentence which, when and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprotectedUse {
    /// The data set.
    pub data_set: String,
    /// The run.
    pub run_id: String,
    /// When, in seconds since 1970.
    pub unix_time: u64,
    /// The entry's place in the ledger.
    pub index: u64,
    /// In what way.
    pub exposure: Exposure,
}

/// What an entry of no finite cost is to an accountant.
static NON_PRIVATE: MechanismEvent = MechanismEvent::NON_PRIVATE;

impl LedgerEntry {
    /// What this entry costs a run that promises protection: its event, or, where nobody was
    /// protected, what has no finite epsilon.
    pub fn cost(&self) -> &MechanismEvent {
        if self.exposure().is_some() {
            &NON_PRIVATE
        } else {
            &self.event
        }
    }

    /// The use without protection that this entry records, if it is one.
    pub fn unprotected_use(&self) -> Option<UnprotectedUse> {
        Some(UnprotectedUse {
            data_set: self.data_set.clone(),
            run_id: self.run_id.clone(),
            unix_time: self.unix_time,
            index: self.index,
            exposure: self.exposure()?,
        })
    }

    fn exposure(&self) -> Option<Exposure> {
        if self.protection.is_none() || self.event.protects_nobody() {
            Some(Exposure::NoUnit)
        } else {
            self.seeded.then_some(Exposure::Seeded)
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUnit => "without any protection (unit none)",
            Self::Seeded => "with noise from a known seed",
        })
    }
}

impl fmt::Display for UnprotectedUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "data set \"{}\" was used {} by run \"{}\" on {} (ledger entry {})",
            self.data_set,
            self.exposure,
            self.run_id,
            Date::of(self.unix_time),
            self.index
        )
    }
}

/// A day of the Gregorian calendar, in UTC.
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// The day of a time in seconds since 1970, by the rule of 400-year cycles (Hinnant, "chrono-
    /// Compatible Low-Level Date Algorithms", `civil_from_days`).
    fn of(unix_seconds: u64) -> Self {
        // Days since 0000-03-01, so that the leap day is a year's last.
        let days = unix_seconds / 86_400 + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Self {
            year: era * 400 + year + u64::from(month <= 2),
            month,
            day,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_700_000_000, "2023-11-14"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(Date::of(seconds).to_string(), date);
        }
        // No time makes it panic.
        let _ = Date::of(u64::MAX).to_string();
    }
}
