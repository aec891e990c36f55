//! Crashes: what the ledger records is never below what was truly spent, and at most one
//! round above it for each crash.
//!
//! [`killed`] kills real processes at every write and sync; [`schedules`] runs a thousand
//! seeded schedules of crashes of the whole machine against a model of a disk that loses
//! or tears what wasn't synced; [`exclusion`] sets two processes on one ledger.

mod disk;
mod exclusion;
mod killed;
mod schedules;
mod spender;
