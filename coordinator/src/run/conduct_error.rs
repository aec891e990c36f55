//! Why a run couldn't be conducted, and what that means for whoever started it.

use std::path::PathBuf;

use umbel_model::ModelError;
use umbel_privacy::certificate::InvalidLineage;
use umbel_privacy::certificate::key_file::SigningKeyError;
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{LedgerError, SeenError};
use umbel_proto::exit_code::ExitKind;
use umbel_proto::spending::SpendingError;

use super::RunError;
use crate::certificate::certify::CertifyError;
use crate::store::StoreError;
use crate::store::run_folder::RunFolderError;

/// Why a run couldn't be conducted.
#[derive(Debug, thiserror::Error)]
pub enum ConductError {
    /// The run folder.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// The run's journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger lacks what the run's journal says was spent.
    #[error(
        "ledger {} doesn't go on from where this run's journal saw it: {reason}. What was spent since \
         would be forgotten: put the newest copy of the ledger back",
        path.display()
    )]
    WentBack {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The model can't be evaluated or saved.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The trained model can't be saved. Its parameters are in the run's journal.
    #[error("the trained model can't be saved: {0}")]
    Unsaved(ModelError),
    /// The ledger file can't be opened.
    #[error(transparent)]
    LedgerFile(#[from] OpenError),
    /// The ledger is damaged.
    #[error("ledger {}: {source}", path.display())]
    LedgerDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LedgerError,
    },
    /// The ledger has other data's spending, and none of this data's.
    #[error(
        "ledger {} has spending on {}, and none on {data_set:?}; if these are the same rows under \
         another name, set privacy.data_set to the earlier name (without it, the run's name stands \
         in), since their spending must add up; if they are other rows, start this once with \
         --new-data-set",
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
    /// The base model's lineage doesn't add up with this run.
    #[error(transparent)]
    Lineage(#[from] InvalidLineage),
    /// The ledger doesn't fit the plan.
    #[error(transparent)]
    Spending(#[from] SpendingError),
    /// The accounting failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Where sites' ledgers stood.
    #[error(transparent)]
    Seen(#[from] SeenError),
    /// The key that signs.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The certificate.
    #[error(transparent)]
    Certify(#[from] CertifyError),
}

impl ConductError {
    /// Whether the run can be gone on with: the disk failed it, and nothing is wrong with it.
    pub(super) fn leaves_the_run_unfinished(&self) -> bool {
        match self {
            Self::Folder(_) | Self::Certify(_) | Self::Store(_) => true,
            Self::Unsaved(_) | Self::WentBack { .. } => true,
            Self::Run(error) => error.is_storage(),
            _ => false,
        }
    }

    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Folder(_) | Self::Certify(_) | Self::Store(_) | Self::Unsaved(_) => {
                ExitKind::RunFailed
            }
            Self::SigningKey(_) => ExitKind::Configuration,
            Self::Model(_) => ExitKind::Model,
            Self::LedgerFile(_)
            | Self::LedgerDamaged { .. }
            | Self::WentBack { .. }
            | Self::Lineage(_)
            | Self::UnknownDataSet { .. }
            | Self::Seen(_)
            | Self::Spending(_) => ExitKind::Ledger,
            Self::Run(RunError::TakeUp(_) | RunError::Spending(_)) => ExitKind::Ledger,
            Self::Run(error) if error.is_storage() => ExitKind::RunFailed,
            Self::Run(_) => ExitKind::Internal,
        }
    }
}
