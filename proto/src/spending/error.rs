//! Why nothing was spent.

use umbel_privacy::budget::{BudgetExhausted, GateError};
use umbel_privacy::filter::FilterExhausted;
use umbel_privacy::ledger::{LedgerError, UnprotectedUse};

/// Why nothing was spent.
#[derive(Debug, thiserror::Error)]
pub enum SpendingError {
    /// The budget doesn't allow it.
    #[error(transparent)]
    Exhausted(#[from] BudgetExhausted),
    /// The budget between runs doesn't allow it.
    #[error(transparent)]
    Filtered(#[from] FilterExhausted),
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no sound figure for it.
    #[error(transparent)]
    Gate(GateError),
    /// An earlier run used the data set without protection.
    #[error(
        "{0}: what that run may have revealed of its rows can't be taken back, so no later run \
         can protect them, and this one is refused; train on rows that were never used that way, \
         under a data set name of their own"
    )]
    UsedUnprotected(Box<UnprotectedUse>),
    /// Other entries stand between those of a run that is to be taken up again.
    #[error(
        "another run wrote into this ledger since the run began that is to be gone on with, so that \
         no certificate could tell their entries apart; begin anew with --new, which is charged anew"
    )]
    OthersSince,
    /// The plan has no privacy, so there is nothing to spend.
    #[error("a plan of unit none spends nothing and has no ledger")]
    NoPrivacy,
}

impl SpendingError {
    /// Whether a budget, of a run or between runs, doesn't allow what was asked.
    pub fn is_exhausted(&self) -> bool {
        matches!(self, Self::Exhausted(_) | Self::Filtered(_))
    }
}
