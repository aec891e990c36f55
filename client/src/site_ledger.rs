//! The site's own budget, enforced by the site, whatever the coordinator says.

use std::path::PathBuf;

use umbel_privacy::budget::Budget;
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{FileLedgerStorage, Ledger, LedgerEntry, LedgerError, Spent};
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::AgreedPlan;
use umbel_proto::spending::{Spending, SpendingError};

use crate::outbox::{Outbox, OutboxError, Owner};
use crate::policy::SitePolicy;
use crate::rounds::{Claim, RoundRefusal, answer_ahead, check_range};

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
    /// The budget doesn't allow it, or it can't be written.
    #[error("this site's ledger: {0}")]
    Spending(#[from] Box<SpendingError>),
}

impl SiteLedgerError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Spending(e) if e.is_exhausted() => ExitKind::BudgetExhausted,
            Self::Round(_) => ExitKind::Policy,
            _ => ExitKind::Ledger,
        }
    }
}

/// The ledger file, and the data in it that a run spends on.
#[derive(Clone, Debug)]
pub struct LedgerPlace {
    /// The file.
    pub path: PathBuf,
    /// Its name for the data.
    pub data_set: String,
    /// Whether the name may be new to a ledger that has others.
    pub new_data_set: bool,
    /// Whether a run may have to be taken up again, as over the network; a simulation never is.
    pub taken_up_again: bool,
}

/// A site's ledger during one run.
pub struct SiteLedger {
    /// `None` for a run without privacy, which spends nothing.
    account: Option<Account>,
    rounds: u32,
    /// Without an account: rounds in which an update was given, and the last of them.
    unrecorded: (u32, Option<u32>),
}

/// What a run with privacy spends from.
struct Account {
    spending: Spending<FileLedgerStorage>,
    outbox: Outbox,
    owner: Owner,
    charge: Charge,
    taken_up_again: bool,
    unix_seconds: fn() -> u64,
}

/// What a round costs at the site.
enum Charge {
    /// So many draws of the plan's noise, for every update.
    EachUpdate(u64),
    /// Nothing more: all rounds were paid for when the plan was accepted.
    Ahead {
        /// With which each round draws this site.
        sampling_rate: f64,
    },
}

impl SiteLedger {
    /// Opens the ledger file, holds it against the site's budget, and accepts the plan: where
    /// the site can't see in which rounds it could be drawn, it pays for all of them now. A
    /// site without a policy of its own, in a simulation, has the run's budget.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the file can't be used or the budget doesn't allow the plan.
    pub fn open(
        place: LedgerPlace,
        policy: Option<&SitePolicy>,
        plan: &AgreedPlan,
        unix_seconds: fn() -> u64,
    ) -> Result<Self, SiteLedgerError> {
        let account = match &plan.protection {
            Some(protection) => {
                let budget = policy.map_or(protection.budget, SitePolicy::budget);
                let mut account = Account::open(place, budget, plan, unix_seconds)?;
                account.accept()?;
                Some(account)
            }
            None => None,
        };
        Ok(Self {
            account,
            rounds: plan.rounds.get(),
            unrecorded: (0, None),
        })
    }

    /// What this site owes a round that begins with these parameters: the very update that was
    /// kept for it, `Some`, or, `None`, one that is yet to be computed.
    ///
    /// # Errors
    /// [`SiteLedgerError`] for a round that the site doesn't owe.
    pub fn asked(
        &self,
        round: u32,
        parameters: &BlobDigest,
    ) -> Result<Option<Vec<u8>>, SiteLedgerError> {
        check_range(round, self.rounds)?;
        let Some(account) = &self.account else {
            return Ok(None);
        };
        if let Some(update) = account.outbox.update(round, parameters)? {
            return Ok(Some(update));
        }
        if let Charge::Ahead { sampling_rate } = account.charge {
            let claim = Claim {
                round,
                parameters: *parameters,
                sampling_rate,
                planned: self.rounds,
            };
            answer_ahead(&claim, account.outbox.answered(), account.outbox.last())?;
        }
        Ok(None)
    }

    /// Records what one update for `round` costs, before anything is computed that could leave
    /// the site. `None` where it costs nothing (any more).
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the budget or the disk doesn't allow it.
    pub fn spend(&mut self, round: u32) -> Result<Option<Spent>, SiteLedgerError> {
        let Some(account) = &mut self.account else {
            return Ok(None);
        };
        match account.charge {
            Charge::Ahead { .. } => Ok(None),
            Charge::EachUpdate(draws) => {
                let now = (account.unix_seconds)();
                let spent = account.spending.spend(round, draws, now);
                Ok(Some(spent.map_err(Box::new)?))
            }
        }
    }

    /// Keeps an update that was paid for. When this returns, it may be sent, however often.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where it can't be kept; then nothing must be sent.
    pub fn keep(
        &mut self,
        round: u32,
        parameters: BlobDigest,
        update: &[u8],
    ) -> Result<(), SiteLedgerError> {
        if let Some(Account { outbox, owner, .. }) = &mut self.account {
            outbox.keep(owner, (round, parameters), update)?;
        } else if self.unrecorded.1 != Some(round) {
            self.unrecorded = (self.unrecorded.0.saturating_add(1), Some(round));
        }
        Ok(())
    }

    /// In how many rounds this site gave an update.
    pub fn given(&self) -> u32 {
        match &self.account {
            Some(account) => account.outbox.answered(),
            None => self.unrecorded.0,
        }
    }

    /// The ledger's entries; `None` for a run without privacy, which has only a mark.
    pub fn entries(&self) -> Option<&[LedgerEntry]> {
        let account = self.account.as_ref()?;
        Some(account.spending.entries())
    }

    /// The run is over: no update of it will be sent again. What was paid stays paid.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the disk doesn't allow it.
    pub fn close(&mut self) -> Result<(), SiteLedgerError> {
        if let Some(account) = &mut self.account {
            match account.charge {
                // Which rounds were answered has to be known if the same run is begun again.
                Charge::Ahead { .. } if account.taken_up_again => account.outbox.drop_bytes()?,
                _ => account.outbox.remove()?,
            }
        }
        Ok(())
    }
}

impl Account {
    fn open(
        place: LedgerPlace,
        budget: Budget,
        plan: &AgreedPlan,
        unix_seconds: fn() -> u64,
    ) -> Result<Self, SiteLedgerError> {
        let ledger = open_ledger(&place)?;
        let owner = Owner {
            run: plan.run.to_string(),
            plan: plan.digest(),
            data_set: place.data_set.clone(),
        };
        let outbox = Outbox::open(&place.path, &owner, place.taken_up_again)?;
        let spending = Spending::open(ledger, place.data_set, budget, plan).map_err(Box::new)?;
        Ok(Self {
            spending,
            outbox,
            owner,
            charge: if plan.is_paid_ahead() {
                Charge::Ahead {
                    sampling_rate: plan.sampling_rate.get(),
                }
            } else {
                Charge::EachUpdate(u64::from(plan.events_per_round()))
            },
            taken_up_again: place.taken_up_again,
            unix_seconds,
        })
    }

    /// Pays for a plan that is paid for ahead, once for each run and plan.
    fn accept(&mut self) -> Result<(), SiteLedgerError> {
        if let Charge::EachUpdate(_) = self.charge {
            return Ok(());
        }
        if !self.outbox.exists() {
            // The outbox is made before the entry is written: an entry without an outbox is one
            // whose outbox was lost, and with it what was answered.
            if self.spending.is_paid_ahead() {
                return Err(RoundRefusal::AnswersLost.into());
            }
            self.outbox.begin(&self.owner)?;
        }
        let now = (self.unix_seconds)();
        Ok(self.spending.pay_ahead(now).map_err(Box::new)?)
    }
}

/// Opens the ledger file and checks that it is one for this data.
///
/// # Errors
/// [`SiteLedgerError`] where the file can't be used.
pub(crate) fn open_ledger(
    place: &LedgerPlace,
) -> Result<Ledger<FileLedgerStorage>, SiteLedgerError> {
    let path = &place.path;
    let storage = FileLedgerStorage::open(path)?;
    let ledger = Ledger::open(storage).map_err(|source| SiteLedgerError::Damaged {
        path: path.clone(),
        source: Box::new(source),
    })?;
    if ledger.entries().is_empty() {
        tracing::info!(path = %path.display(), "a new ledger: nothing was spent before");
    }
    if let Some(bytes) = ledger.repaired() {
        tracing::warn!(path = %path.display(), bytes, "cut off a torn last ledger entry");
    }
    check_data_set(place, &ledger)?;
    Ok(ledger)
}

/// Refuses a name that a ledger with other names doesn't know: the same rows under a new name
/// would begin at 0.
///
/// # Errors
/// [`SiteLedgerError::UnknownDataSet`]
pub(crate) fn check_data_set<S>(
    place: &LedgerPlace,
    ledger: &Ledger<S>,
) -> Result<(), SiteLedgerError> {
    let known = ledger.other_data_sets(&place.data_set);
    if known.is_empty() || place.new_data_set {
        return Ok(());
    }
    Err(SiteLedgerError::UnknownDataSet {
        path: place.path.clone(),
        data_set: place.data_set.clone(),
        known,
    })
}
