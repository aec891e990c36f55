//! What becomes of a round's updates: one file a rule.
//!
//! | module | what it is for |
//! |---|---|
//! | `update_rules` | what a submitted vector must be to count |
//! | `round_sum` | the aggregate of one attempt, under a lock of its own, and the order of locks |
//! | `kind` | the name of a rule in configurations, and its numbers |
//! | `shortened` | updates that are longer than they may be |
//! | `kept` | all updates of a round, for rules that need them |
//!
//! The others are a rule each. A new one is a new file with its [`AggregateKind`], and a line in
//! [`ALL`].

mod kept;
mod kind;
mod krum;
mod median;
mod round_sum;
mod shortened;
mod sum;
mod trimmed_mean;
mod update_rules;

pub use kind::{
    AggregateKey, AggregateKind, AggregateRule, AggregateSettings, UnknownAggregate, deserialize,
    schema, standard,
};
use std::io;

pub(crate) use round_sum::{LostSum, RoundSum};
use umbel_privacy::lattice::{LatticeError, LatticeVector, ReadError};
pub use update_rules::{BadUpdate, CheckError, Readable, Reading, UpdateRules};

/// The rules that there are, by the names that `server.aggregate` may have. The first is the
/// default.
pub const ALL: &[&AggregateKind] = &[&sum::KIND, &median::KIND, &trimmed_mean::KIND, &krum::KIND];

/// The updates of one attempt at a round, on their way to one vector. What comes out doesn't
/// depend on the order in which they came.
pub trait Aggregate: Send {
    /// Whether [`Aggregate::check`] has to be asked at all: to look at an update takes a while.
    fn may_refuse(&self) -> bool {
        false
    }

    /// Whether this update can be accepted, asked before it counts.
    ///
    /// # Errors
    /// [`Unfit`] says at which coordinate it can't.
    fn check(&self, _update: &mut Reading<'_>) -> Result<(), Unfit> {
        Ok(())
    }

    /// Takes in an update that was checked. It is read a block at a time, so that a rule that needs
    /// no whole update never holds one.
    ///
    /// # Errors
    /// [`Unfit`] where it can't be in spite of the check: it counts already, so that the
    /// whole is thrown away.
    fn accept(&mut self, update: &mut Reading<'_>) -> Result<(), Unfit>;

    /// What the updates come to; zeros where there were none.
    fn finish(self: Box<Self>) -> LatticeVector;
}

/// Why an update can't be taken in.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A coordinate leaves the range of the result.
    #[error(transparent)]
    Lattice(#[from] LatticeError),
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Read(error.into())
    }
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
