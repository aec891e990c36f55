//! The ledger: an append-only, hash-chained record of everything that was spent on each
//! data set, by whichever run.
//!
//! One line of JSON an entry ([`entry`]); each holds the hash of the one before
//! ([`chain`]). [`Ledger::spend`] writes and syncs an entry *before* it hands out the
//! [`Spent`] token without which no noise can be drawn, so that after a crash the
//! recorded spending is never below the true one. Where the lines are kept is behind
//! [`store::LedgerStorage`]; [`mod@file`] keeps them on a disk.
//!
//! After a crash between an entry and its result, [`Ledger::take_up`] makes the entry's token
//! again.
//!
//! Uses without protection are entries, too ([`unprotected`]).
//!
//! The chain shows that no line was changed, taken out or put in between. Lines cut off
//! at the end leave a shorter but sound chain, so every party remembers where the others'
//! ledgers stood ([`LedgerPoint`], [`SeenLedgers`]) and won't go on with one that fell behind
//! that or forked before it.

pub mod book;
pub mod chain;
pub mod entry;
pub mod file;
pub mod hash;
#[expect(clippy::module_inception, reason = "the file is named for the type")]
mod ledger;
mod line;
pub mod point;
pub mod seen;
mod spent;
pub mod store;
pub mod take_up;
pub mod unprotected;

pub use book::LedgerBook;
pub use entry::{EntryDraft, EntryProtection, LedgerEntry};
pub use file::FileLedgerStorage;
pub use hash::EntryHash;
pub use ledger::{Ledger, LedgerError};
pub use point::{Discontinuity, LedgerPoint};
pub use seen::{SeenError, SeenLedgers};
pub use spent::{Spent, SpentSteps};
pub use store::{LedgerStorage, MemoryLedgerStorage};
pub use take_up::{ResultJournal, TakeUpError, UnreleasedEntry};
pub use unprotected::{Exposure, UnprotectedDraft, UnprotectedUse};
