//! The site's own budget, enforced by the site, whatever the coordinator says.

mod error;

use std::path::PathBuf;
use std::sync::Arc;

use umbel_privacy::budget::Budget;
use umbel_privacy::disk::{AnyLedgerStorage, Disk};
use umbel_privacy::ledger::{Ledger, LedgerEntry, Spent};
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::AgreedPlan;
use umbel_proto::spending::{Spending, SpendingError};

use crate::outbox::{Begun, Outbox, Owner};
use crate::policy::SitePolicy;
use crate::rounds::{Claim, RoundRefusal, answer_ahead, check_range};

pub use error::SiteLedgerError;

/// The ledger file, and the data in it that a run spends on.
#[derive(Clone, Debug)]
pub struct LedgerPlace {
    /// On which disk.
    pub disk: Arc<dyn Disk>,
    /// The file.
    pub path: PathBuf,
    /// Its name for the data.
    pub data_set: String,
    /// Whether the name may be new to a ledger that has others.
    pub new_data_set: bool,
    /// Whether a run may have to be taken up again, as over the network; a simulation never is.
    pub taken_up_again: bool,
}

/// What a site owes a round.
#[derive(Debug)]
pub enum Owed {
    /// The update that was paid for: these bytes and no others.
    Kept(Vec<u8>),
    /// An update that is yet to be trained.
    Training(OpenRound),
}

/// A round that a site owes an update to. Only [`SiteLedger::asked`] makes one.
#[derive(Debug)]
pub struct OpenRound {
    round: u32,
    parameters: BlobDigest,
}

impl OpenRound {
    /// The round.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Digest of the parameters that it begins with.
    pub fn parameters(&self) -> BlobDigest {
        self.parameters
    }
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
    spending: Spending<AnyLedgerStorage>,
    outbox: Outbox,
    owner: Owner,
    charge: Charge,
    /// For which update was paid ahead of its training.
    paid: Option<((u32, BlobDigest), Spent)>,
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
                if policy.is_some() {
                    account.check_plan(plan.rounds.get())?;
                }
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
    /// kept for it, or one that is yet to be computed.
    ///
    /// # Errors
    /// [`SiteLedgerError`] for a round that the site doesn't owe.
    pub fn asked(&self, round: u32, parameters: BlobDigest) -> Result<Owed, SiteLedgerError> {
        check_range(round, self.rounds)?;
        let training = Owed::Training(OpenRound { round, parameters });
        let Some(account) = &self.account else {
            return Ok(training);
        };
        if let Some(update) = account.outbox.update(round, &parameters)? {
            return Ok(Owed::Kept(update));
        }
        if let Charge::Ahead { sampling_rate } = account.charge {
            let claim = Claim {
                round,
                parameters,
                sampling_rate,
                planned: self.rounds,
            };
            answer_ahead(&claim, account.outbox.answered(), account.outbox.last())?;
        }
        Ok(training)
    }

    /// Records what one update costs, ahead of its training. [`Self::spend`] then hands out what this
    /// recorded.
    ///
    /// # Errors
    /// As there.
    pub fn pay(&mut self, open: &OpenRound) -> Result<(), SiteLedgerError> {
        let spent = self.spend(open)?;
        if let (Some(account), Some(spent)) = (&mut self.account, spent) {
            account.paid = Some(((open.round(), open.parameters()), spent));
        }
        Ok(())
    }

    /// Records what one update for `round` costs, before anything is computed that could leave
    /// the site. `None` where it costs nothing (any more).
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the budget or the disk doesn't allow it.
    pub fn spend(&mut self, open: &OpenRound) -> Result<Option<Spent>, SiteLedgerError> {
        let Some(account) = &mut self.account else {
            return Ok(None);
        };
        if let Some((of, spent)) = account.paid.take()
            && of == (open.round(), open.parameters())
        {
            return Ok(Some(spent));
        }
        match account.charge {
            Charge::Ahead { .. } => Ok(None),
            Charge::EachUpdate(draws) => account.pay(open, draws).map(Some),
        }
    }

    /// Keeps an update that was paid for. When this returns, it may be sent, however often.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where it can't be kept; then nothing must be sent.
    pub fn keep(&mut self, open: &OpenRound, update: &[u8]) -> Result<(), SiteLedgerError> {
        let round = open.round();
        if let Some(Account { outbox, owner, .. }) = &mut self.account {
            outbox.keep(owner, (round, open.parameters()), update)?;
        } else if self.unrecorded.1 != Some(round) {
            self.unrecorded = (self.unrecorded.0.saturating_add(1), Some(round));
        }
        Ok(())
    }

    /// Gives up the bytes of an update for a round before this one.
    ///
    /// # Errors
    /// [`SiteLedgerError`] where the disk doesn't allow it.
    pub fn forget_before(&mut self, round: u32) -> Result<(), SiteLedgerError> {
        if let Some(Account { outbox, .. }) = &mut self.account
            && outbox
                .last()
                .is_some_and(|last| last.kept && last.round < round)
        {
            outbox.drop_bytes()?;
        }
        Ok(())
    }

    /// What the data set has cost by now, at the budget's delta; `None` without privacy.
    pub fn epsilon(&self) -> Option<f64> {
        let account = self.account.as_ref()?;
        Some(account.spending.epsilon())
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
        let outbox = Outbox::open(&place.path, &owner, place.disk)?;
        outbox.settle()?;
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
            paid: None,
            taken_up_again: place.taken_up_again,
            unix_seconds,
        })
    }

    /// Pays for one update. If this client died after it had paid for the very same one, and
    /// before any byte of it was kept, that entry pays.
    fn pay(&mut self, open: &OpenRound, draws: u64) -> Result<Spent, SiteLedgerError> {
        let (round, parameters) = (open.round(), open.parameters());
        let begun = self.outbox.begun();
        if let Some(begun) = begun.filter(|b| (b.round, b.parameters) == (round, parameters)) {
            // Where the entry wasn't written, or isn't the last, it is another one that pays.
            let again = self.spending.take_up(round, begun.ledger, &self.outbox);
            if let Ok(spent) = again {
                tracing::info!(
                    round,
                    "paid for before this client was stopped; not charged again"
                );
                return Ok(spent);
            }
        }
        self.spending.check(draws).map_err(Box::new)?;
        let begun = Begun {
            round,
            parameters,
            ledger: self.spending.head_hash(),
        };
        self.outbox.announce(&self.owner, begun)?;
        let now = (self.unix_seconds)();
        Ok(self.spending.spend(round, draws, now).map_err(Box::new)?)
    }

    /// Refuses a plan that the site's budget doesn't hold as a whole, before anybody pays: a run
    /// that breaks off half-way has cost its other sites as much. A site that began already goes
    /// on for as long as its budget lasts.
    fn check_plan(&self, rounds: u32) -> Result<(), SiteLedgerError> {
        if self.spending.has_begun() {
            return Ok(());
        }
        match self.spending.check_plan() {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.is_exhausted() => Err(SiteLedgerError::PlanTooDear {
                rounds,
                reason: match refusal {
                    SpendingError::Exhausted(e) => format!(
                        "{} of {} is spent, and with all of them it would be {}",
                        e.spent, e.budget, e.next_epsilon
                    ),
                    other => other.to_string(),
                },
            }),
            Err(other) => Err(Box::new(other).into()),
        }
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
) -> Result<Ledger<AnyLedgerStorage>, SiteLedgerError> {
    let path = &place.path;
    let storage = place.disk.open_ledger(path)?;
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
