//! A run from its configuration to its report.
//!
//! | module | what it is for |
//! |---|---|
//! | [`prepare`](mod@prepare) | from a configuration to a run ready to be driven |
//! | `books` | the coordinator's ledger at the beginning of a run |
//! | [`conduct`](mod@conduct) | a run from its first round to its report, around the driver |
//! | [`place`] | a run's folder, new or of a run that was cut off |
//! | [`serve`](mod@serve) | a run over the network |
//! | [`absence`] | how long a run waits for clients that are missing |
//! | [`clock`] | time, handed in |
//!
//! The rest is the driver, which carries out what the round engine asks for. One thread runs [`Driver::drive`]; clients meanwhile meet in the [`Lobby`](crate::lobby::Lobby).
//! The order of a round's last act is fixed: ledger entry written and synced, then noise drawn,
//! then the optimiser's step, then the result stored and offered.
//!
//! Scores on public rows come after that, in a thread of their own, while the next round
//! trains. At most one round is without them: before a round is paid for, and before a run
//! ends, the scores of the round before are waited for. So a model whose scores aren't finite
//! ends the run at no further cost, and a seeded run is the same however fast it is scored.

pub mod absence;
mod background;
pub(crate) mod books;
mod charges;
pub mod clock;
mod cohort;
pub mod conduct;
mod conduct_error;
mod deadline;
mod driver;
mod finish;
mod kept;
mod observer;
mod opened;
pub mod place;
pub mod prepare;
pub mod rehearsal;
mod release;
mod released_model;
pub mod serve;
mod server_model;
mod signals;
mod summary;
mod take_up;
mod waiting;

pub use driver::Driver;
pub use observer::{Health, Observer};
pub use summary::{Adapted, Driven, Outcome, RoundSummary, Spend};

use umbel_privacy::ledger::{LedgerError, TakeUpError};
use umbel_proto::spending::SpendingError;

use crate::store::StoreError;
use crate::strategy::ForeignState;

/// Why a run can't be driven at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger.
    #[error(transparent)]
    Spending(#[from] SpendingError),
    /// A number that privacy arithmetic refuses.
    #[error("{0}")]
    Privacy(String),
    /// What has to be durable can't be stored. Nothing is lost: the run can be gone on with.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored state of the server's optimiser is another's.
    #[error(transparent)]
    Optimiser(#[from] ForeignState),
    /// The entry of the round that was cut off can't be taken up.
    #[error(transparent)]
    TakeUp(#[from] TakeUpError),
    /// The run can't be gone on with as it is stored.
    #[error("{0}")]
    Stored(String),
    /// The number of initial parameters isn't the plan's.
    #[error("{found} initial parameters, but the plan says {expected}")]
    Parameters {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}

impl RunError {
    /// Whether the run can be gone on with once the disk is well again: nothing is wrong with
    /// the run itself.
    pub fn is_storage(&self) -> bool {
        match self {
            Self::Store(_) | Self::TakeUp(_) | Self::Stored(_) => true,
            Self::Spending(SpendingError::Ledger(error)) => {
                matches!(error, LedgerError::Storage { .. } | LedgerError::UnknownEnd)
            }
            _ => false,
        }
    }
}
