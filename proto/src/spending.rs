//! A budget on one data set, as a plan spends it.
//!
//! Coordinator and client each hold one of these over a ledger of their own, and each
//! enforces its own budget, whatever the other says.

mod error;

use std::collections::BTreeSet;

use umbel_privacy::accountant::event::MechanismEvent;
use umbel_privacy::accountant::{Accountant, PldAccountant};
use umbel_privacy::budget::{Budget, BudgetGate, GateError};
use umbel_privacy::filter::{FilterOrder, RenyiFilter};
use umbel_privacy::ledger::{
    EntryDraft, EntryHash, Ledger, LedgerEntry, LedgerError, LedgerStorage, ResultJournal, Spent,
    TakeUpError, UnreleasedEntry,
};

use crate::plan::{AgreedPlan, Mechanism, Protection};

pub use error::SpendingError;

/// A ledger, the budget that it is held against, and the plan that spends.
pub struct Spending<S> {
    ledger: Ledger<S>,
    data_set: String,
    budget: Budget,
    /// Everything spent on the data set so far.
    accountant: PldAccountant,
    plan: AgreedPlan,
    mechanism: Mechanism,
    /// Entries of the ledger when it was opened.
    earlier: usize,
    /// Decides where other runs came before this one.
    filter: RenyiFilter,
    /// Whether other runs used the same rows: entries of the data set, or a base model's lineage.
    others: bool,
}

/// A ledger's bytes at the end of a run. The ledger was locked for all of the run, so that
/// the entries after the earlier ones are the run's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSnapshot {
    /// The whole ledger.
    pub bytes: Vec<u8>,
    /// The data set that the run spent on.
    pub data_set: String,
    /// Entries that were there before the run.
    pub earlier: usize,
}

impl<S: LedgerStorage> Spending<S> {
    /// Holds `ledger`'s entries for `data_set`, of whatever run, against a budget.
    ///
    /// # Errors
    /// [`SpendingError`] where earlier spending doesn't add up
    /// with this plan's.
    pub fn open(
        ledger: Ledger<S>,
        data_set: String,
        budget: Budget,
        plan: &AgreedPlan,
    ) -> Result<Self, SpendingError> {
        let mechanism = plan.mechanism().ok_or(SpendingError::NoPrivacy)?.clone();
        let (unit, adjacency) = (mechanism.protection.unit, mechanism.protection.adjacency);
        let accountant = if plan.seed.is_some() {
            ledger.rehearsal_accountant_for(&data_set, unit, adjacency)?
        } else if let Some(found) = ledger.unprotected_use(&data_set) {
            return Err(SpendingError::UsedUnprotected(Box::new(found)));
        } else {
            ledger.accountant_for(&data_set, unit, adjacency)?
        };
        let earlier = ledger.entries().len();
        let order = ledger.filter_order(&data_set);
        let order = order.unwrap_or_else(|| FilterOrder::for_budget(&budget));
        let mut spending = Self {
            ledger,
            data_set,
            accountant,
            plan: plan.clone(),
            mechanism,
            earlier,
            filter: RenyiFilter::new(&budget, order),
            others: false,
            budget,
        };
        spending.others = spending.has_other_runs();
        Ok(spending)
    }

    /// Whether the ledger has entries of the data set by another run, or under another plan.
    fn has_other_runs(&self) -> bool {
        let all = self.ledger.entries().iter();
        let of_data_set = all.filter(|entry| entry.data_set == self.data_set).count();
        self.own_entries().count() < of_data_set
    }

    /// Counts what the base model's lineage cost on the same rows, which isn't in the ledger.
    ///
    /// # Errors
    /// [`SpendingError::Ledger`] where there is no sound figure for it.
    pub fn inherit<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a MechanismEvent>,
    ) -> Result<(), SpendingError> {
        for event in events {
            self.others = true;
            self.accountant
                .compose(event, 1)
                .map_err(|e| SpendingError::Ledger(e.into()))?;
        }
        Ok(())
    }

    /// Whether `count` more draws of the plan's noise fit the budget: by privacy-loss
    /// distributions where this is the only run on the data set, whose parameters are all fixed
    /// by its plan, and by the filter between runs where others came before it
    /// (`privacy/proofs/filter.md`).
    ///
    /// # Errors
    /// [`SpendingError::Exhausted`] or [`SpendingError::Filtered`] if they don't.
    pub fn check(&self, count: u64) -> Result<(), SpendingError> {
        let event = self.mechanism.event.clone().times(count);
        if self.others {
            let mut trial = self.accountant.clone();
            trial
                .compose(&event, 1)
                .map_err(|e| SpendingError::Ledger(e.into()))?;
            return Ok(self.filter.check(&trial, &self.budget)?);
        }
        match BudgetGate::check(&self.accountant, &event, &self.budget) {
            Ok(_) => Ok(()),
            Err(GateError::Exhausted(exhausted)) => Err(exhausted.into()),
            Err(other) => Err(SpendingError::Gate(other)),
        }
    }

    /// Whether this run has anything in the ledger, under this very plan.
    pub fn has_begun(&self) -> bool {
        self.own_entries().next().is_some()
    }

    /// Whether all rounds of the plan fit the budget, or, where the run is to end by its own budget
    /// before the last one, all of those.
    ///
    /// # Errors
    /// [`SpendingError::Exhausted`] or [`SpendingError::Filtered`] if they don't.
    pub fn check_plan(&self) -> Result<(), SpendingError> {
        match self.check(self.plan.draws()) {
            Err(refusal) if refusal.is_exhausted() => match self.draws_within_the_plans_budget() {
                0 => Err(refusal),
                draws => self.check(draws).map_err(|_| refusal),
            },
            checked => checked,
        }
    }

    /// Draws of all rounds that the plan's own budget allows, in a run that is the only one.
    fn draws_within_the_plans_budget(&self) -> u64 {
        let Protection {
            adjacency, budget, ..
        } = self.mechanism.protection;
        let per_round = u64::from(self.plan.events_per_round());
        let nothing = PldAccountant::new(adjacency);
        let fits = |rounds: u64| {
            let event = self.mechanism.event.clone().times(rounds * per_round);
            BudgetGate::check(&nothing, &event, &budget).is_ok()
        };
        let (mut fitting, mut above) = (0, u64::from(self.plan.rounds.get()) + 1);
        while above - fitting > 1 {
            let middle = fitting + (above - fitting) / 2;
            if fits(middle) {
                fitting = middle;
            } else {
                above = middle;
            }
        }
        fitting * per_round
    }

    /// Writes and syncs an entry for `count` draws of the plan's noise in `round`, if they fit
    /// the budget. The token that comes back is what noise can be drawn for.
    ///
    /// # Errors
    /// [`SpendingError`]; where writing failed, the entry may or may not be there.
    pub fn spend(
        &mut self,
        round: u32,
        count: u64,
        unix_time: u64,
    ) -> Result<Spent, SpendingError> {
        self.check(count)?;
        self.record(round, count, unix_time)
    }

    /// Writes and syncs an entry as [`Spending::spend`] does, whether or not it fits the
    /// budget: for what has happened already, at sites that add the noise themselves.
    /// What happened has to be on record; the budget then allows no further round.
    ///
    /// # Errors
    /// [`SpendingError`]; where writing failed, the entry may or may not be there.
    pub fn record(
        &mut self,
        round: u32,
        count: u64,
        unix_time: u64,
    ) -> Result<Spent, SpendingError> {
        let attempt = self.charges(round);
        let event = self.mechanism.event.clone().times(count);
        self.write(event, (round, None), attempt, unix_time)
    }

    /// Pays for all rounds of the plan at once, if they fit the budget and aren't paid for
    /// already. What is reserved here is never given back, however the run goes on.
    ///
    /// # Errors
    /// [`SpendingError`]; where writing failed, the entry may or may not be there.
    pub fn pay_ahead(&mut self, unix_time: u64) -> Result<(), SpendingError> {
        if self.is_paid_ahead() {
            return Ok(());
        }
        self.check(self.plan.draws())?;
        let event = self.whole_plan();
        self.write(event, (1, Some(self.plan.rounds.get())), 0, unix_time)?;
        Ok(())
    }

    /// Whether the ledger has an entry for all rounds of this very plan in this very run.
    pub fn is_paid_ahead(&self) -> bool {
        let (last, event) = (Some(u64::from(self.plan.rounds.get())), self.whole_plan());
        self.own_entries()
            .any(|entry| entry.last_round == last && entry.round == 1 && entry.event == event)
    }

    /// How often this run was charged for this round by itself, under this very plan: the next
    /// charge's attempt.
    fn charges(&self, round: u32) -> u64 {
        let of_round =
            |entry: &&LedgerEntry| entry.round == u64::from(round) && entry.last_round.is_none();
        self.own_entries().filter(of_round).count() as u64
    }

    /// What this run has in the ledger for the data set, under this very plan.
    fn own_entries(&self) -> impl Iterator<Item = &LedgerEntry> {
        let plan = Some(self.plan.digest());
        self.ledger.entries().iter().filter(move |entry| {
            entry.data_set == self.data_set && entry.run_id == self.plan.run && entry.plan == plan
        })
    }

    /// All draws of the plan's noise.
    fn whole_plan(&self) -> MechanismEvent {
        self.mechanism.event.clone().times(self.plan.draws())
    }

    fn write(
        &mut self,
        event: MechanismEvent,
        (round, last_round): (u32, Option<u32>),
        attempt: u64,
        unix_time: u64,
    ) -> Result<Spent, SpendingError> {
        let protection = self.mechanism.protection;
        let spent = self.ledger.spend(EntryDraft {
            data_set: self.data_set.clone(),
            run_id: self.plan.run.to_string(),
            round: u64::from(round),
            last_round: last_round.map(u64::from),
            attempt,
            filter_order: Some(self.filter.order()),
            plan: Some(self.plan.digest()),
            unit: protection.unit,
            adjacency: protection.adjacency,
            placement: protection.placement,
            event: event.clone(),
            clipping_norm: self.mechanism.clipping_norm,
            lattice_step: self.mechanism.step,
            delta: protection.budget.delta(),
            unix_time,
            seeded: self.plan.seed.is_some(),
        })?;
        self.accountant
            .compose(&event, 1)
            .map_err(|e| SpendingError::Ledger(e.into()))?;
        Ok(spent)
    }

    /// Epsilon of everything spent on the data set, at the budget's delta.
    pub fn epsilon(&self) -> f64 {
        self.accountant.epsilon(self.budget.delta()).get()
    }

    /// Whether other runs used the same rows, so that what was spent is no guarantee by itself:
    /// the budget is, which the filter between runs holds.
    pub fn spans_runs(&self) -> bool {
        self.others
    }

    /// Makes the token of the entry again that this run wrote for `round` when the ledger stood
    /// at `head`, if it is the ledger's last and nothing was released for it.
    ///
    /// # Errors
    /// [`TakeUpError`] says which of that isn't so.
    pub fn take_up(
        &mut self,
        round: u32,
        head: EntryHash,
        journal: &dyn ResultJournal,
    ) -> Result<Spent, TakeUpError> {
        let claim = UnreleasedEntry {
            previous_hash: head,
            data_set: self.data_set.clone(),
            run_id: self.plan.run.to_string(),
            round: u64::from(round),
            plan: self.plan.digest(),
        };
        self.ledger.take_up(&claim, journal)
    }

    /// Goes on with a run that began when the ledger had so many entries.
    ///
    /// # Errors
    /// [`SpendingError::OthersSince`] if another run wrote into it since.
    pub fn since(mut self, earlier: usize) -> Result<Self, SpendingError> {
        let own = self.own_entries().filter(|e| e.index >= earlier as u64);
        if own.count() != self.ledger.entries().len().saturating_sub(earlier) {
            return Err(SpendingError::OthersSince);
        }
        self.earlier = earlier;
        Ok(self)
    }

    /// Draws of the plan's noise that this run's entries pay for.
    pub fn paid_draws(&self) -> u64 {
        let own = self.ledger.entries().iter().skip(self.earlier);
        let draws = own.map(|entry| match &entry.event {
            event if *event == self.mechanism.event => 1,
            MechanismEvent::SelfComposed { count, .. } => *count,
            _ => 1,
        });
        draws.fold(0, u64::saturating_add)
    }

    /// Draws of the plan's noise that a run which was cut off has yet to pay for: those of rounds
    /// without any entry.
    pub fn unpaid_draws(&self) -> u64 {
        if self.is_paid_ahead() {
            return 0;
        }
        let alone = self
            .own_entries()
            .filter(|entry| entry.last_round.is_none());
        let paid: BTreeSet<u64> = alone.map(|entry| entry.round).collect();
        let rounds = u64::from(self.plan.rounds.get()).saturating_sub(paid.len() as u64);
        rounds.saturating_mul(u64::from(self.plan.events_per_round()))
    }

    /// The hash of the ledger's last entry.
    pub fn head_hash(&self) -> EntryHash {
        self.ledger.head()
    }

    /// The ledger's entries, whatever data they are about.
    pub fn entries(&self) -> &[LedgerEntry] {
        self.ledger.entries()
    }

    /// The hash of the ledger's last entry.
    pub fn head(&self) -> String {
        self.ledger.head().to_string()
    }

    /// The ledger as it is stored, while it is still locked.
    ///
    /// # Errors
    /// [`LedgerError`] if it can't be read or isn't what was written.
    pub fn snapshot(&mut self) -> Result<LedgerSnapshot, LedgerError> {
        Ok(LedgerSnapshot {
            bytes: self.ledger.snapshot()?,
            data_set: self.data_set.clone(),
            earlier: self.earlier,
        })
    }

    /// Whether nothing at all was in the ledger when it was opened.
    pub fn is_new(&self) -> bool {
        self.earlier == 0
    }

    /// How many bytes of a torn last entry were cut off when the ledger was opened.
    pub fn repaired(&self) -> Option<u64> {
        self.ledger.repaired()
    }
}
