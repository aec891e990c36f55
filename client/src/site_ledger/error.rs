//! Why the site's ledger allows nothing.

use std::path::PathBuf;

use umbel_privacy::ledger::LedgerError;
use umbel_privacy::ledger::file::OpenError;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::spending::SpendingError;

use crate::outbox::OutboxError;
use crate::rounds::RoundRefusal;

/// Why the site's ledger allows nothing.
#[derive(Debug, thiserror::Error)]
pub enum SiteLedgerError {
    /// The file can't be opened, or another process has it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is damaged.
    #[error("ledger {}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<LedgerError>,
    },
    /// It has other data's spending, and none of this data's.
    #[error(
        "ledger {} has spending on {}, and none on {data_set:?}; if these are the same rows under \
         another name, set policy.data_set to the earlier name, since their spending must add up; \
         if it is other data, start this once with --new-data-set",
        path.display(),
        known.join(", ")
    )]
    UnknownDataSet {
        /// The file.
        path: PathBuf,
        /// The name that isn't in it.
        data_set: String,
        /// Those that are, in quotes.
        known: Vec<String>,
    },
    /// What was sent before isn't known any more.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The round isn't one that this site owes.
    #[error(transparent)]
    Round(#[from] RoundRefusal),
    /// The budget doesn't hold all of the plan.
    #[error(
        "this site's budget doesn't hold all {rounds} rounds of the plan: {reason}. So it takes no \
         part, and nothing was charged. Ask for fewer rounds, or for a run with a smaller \
         privacy.epsilon"
    )]
    PlanTooDear {
        /// Rounds of the plan.
        rounds: u32,
        /// What is spent, and what would be.
        reason: String,
    },
    /// The budget doesn't allow it, or it can't be written.
    #[error("this site's ledger: {0}")]
    Spending(#[from] Box<SpendingError>),
}

impl SiteLedgerError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Spending(e) if e.is_exhausted() => ExitKind::BudgetExhausted,
            Self::PlanTooDear { .. } => ExitKind::BudgetExhausted,
            Self::Round(_) => ExitKind::Policy,
            _ => ExitKind::Ledger,
        }
    }
}
