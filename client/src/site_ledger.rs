//! The site's own budget, enforced by the site, whatever the coordinator says.

use std::path::{Path, PathBuf};

use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{FileLedgerStorage, Ledger, LedgerError, Spent};
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::Plan;
use umbel_proto::spending::{Spending, SpendingError};

use crate::policy::SitePolicy;

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
    /// The budget doesn't allow it, or it can't be written.
    #[error("this site's ledger: {0}")]
    Spending(#[from] Box<SpendingError>),
}

impl SiteLedgerError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Spending(e) if matches!(**e, SpendingError::Exhausted(_)) => {
                ExitKind::BudgetExhausted
            }
            _ => ExitKind::Ledger,
        }
    }
}

/// A site's ledger during one run.
pub struct SiteLedger {
    /// `None` for a run without privacy, which spends nothing.
    spending: Option<Spending<FileLedgerStorage>>,
    charge: Charge,
    unix_seconds: fn() -> u64,
}

/// What a round costs at the site.
enum Charge {
    /// So many draws of the plan's noise, every round.
    EachRound(u64),
    /// All rounds that are left, at once. Where the client is the unit and the coordinator
    /// adds the noise, the composition counts every round, also those for which this client
    /// isn't drawn and of which it never hears.
    RestOfPlan { rounds: u32, charged: bool },
}

impl SiteLedger {
    /// Opens the ledger file and holds it against the site's budget. The plan comes with
    /// the digest of its bytes as they were received, which the entries name.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the file can't be used.
    pub fn open(
        path: &Path,
        data_set: String,
        policy: &SitePolicy,
        (plan, digest): (&Plan, BlobDigest),
        unix_seconds: fn() -> u64,
    ) -> Result<Self, SiteLedgerError> {
        let spending = if plan.is_private() {
            let storage = FileLedgerStorage::open(path)?;
            let ledger = Ledger::open(storage).map_err(|source| SiteLedgerError::Damaged {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
            let budget = (policy.epsilon, policy.delta);
            let spending =
                Spending::open(ledger, data_set, budget, plan, digest).map_err(Box::new)?;
            if spending.is_new() {
                tracing::info!(path = %path.display(), "a new ledger: nothing was spent before");
            }
            if let Some(bytes) = spending.repaired() {
                tracing::warn!(path = %path.display(), bytes, "cut off a torn last ledger entry");
            }
            Some(spending)
        } else {
            None
        };
        let privacy = &plan.privacy;
        let charge = match (privacy.unit, privacy.placement) {
            (PrivacyUnit::Client, NoisePlacement::Central) => Charge::RestOfPlan {
                rounds: plan.rounds,
                charged: false,
            },
            _ => Charge::EachRound(u64::from(plan.events_per_round())),
        };
        Ok(Self {
            spending,
            charge,
            unix_seconds,
        })
    }

    /// Records what taking part in `round` costs, before anything is computed that could
    /// leave the site. `None` where this round costs nothing (any more).
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the budget or the disk doesn't allow it.
    pub fn spend(&mut self, round: u32) -> Result<Option<Spent>, SiteLedgerError> {
        let Some(spending) = &mut self.spending else {
            return Ok(None);
        };
        let count = match &mut self.charge {
            Charge::EachRound(count) => *count,
            Charge::RestOfPlan { charged: true, .. } => return Ok(None),
            Charge::RestOfPlan { rounds, charged } => {
                *charged = true;
                u64::from(rounds.saturating_sub(round)) + 1
            }
        };
        let spent = spending
            .spend(round, count, (self.unix_seconds)())
            .map_err(Box::new)?;
        Ok(Some(spent))
    }
}
