//! What a run costs: asked at the gate, paid before a round is released, on record at the end.

use umbel_privacy::disk::AnyLedgerStorage;
use umbel_privacy::ledger::{EntryHash, Spent};
use umbel_proto::plan::Plan;
use umbel_proto::spending::{LedgerSnapshot, Spending, SpendingError};

use super::RunError;
use super::summary::Spend;
use crate::store::{Results, RunStore};

/// The run's ledger, and what this run has paid.
pub(super) struct Charges {
    /// `None` without privacy: then nothing costs anything.
    ledger: Option<Spending<AnyLedgerStorage>>,
    /// Whether sites add the noise, and pay as they are asked.
    local_noise: bool,
    events_per_round: u32,
    /// Rounds' worth of noise that this run's entries pay for.
    paid_rounds: u32,
}

impl Charges {
    /// Opens the charges of a run that follows this plan.
    ///
    /// # Errors
    /// [`RunError::Privacy`] for a private plan without a ledger, or a ledger that nothing is
    /// to be written into.
    pub(super) fn of(
        plan: &Plan,
        ledger: Option<Spending<AnyLedgerStorage>>,
    ) -> Result<Self, RunError> {
        if plan.is_private() != ledger.is_some() {
            return Err(RunError::Privacy(
                "a run with privacy needs a ledger, and one without must not have any".into(),
            ));
        }
        let events_per_round = plan.events_per_round();
        let paid = ledger.as_ref().map_or(0, Spending::paid_draws);
        let paid = paid / u64::from(events_per_round.max(1));
        Ok(Self {
            ledger,
            local_noise: plan.has_local_noise(),
            events_per_round,
            // What a run that is taken up again paid before.
            paid_rounds: u32::try_from(paid).unwrap_or(u32::MAX),
        })
    }

    /// Whether the budget holds one more round. `asked` is how often the client that was asked
    /// most often was asked to train.
    pub(super) fn allow_a_round(&self, asked: u32) -> Result<bool, RunError> {
        let Some(ledger) = &self.ledger else {
            return Ok(true);
        };
        match ledger.check(self.draws(self.unpaid(asked).saturating_add(1))) {
            Ok(()) => Ok(true),
            Err(why) if why.is_exhausted() => {
                tracing::warn!("{why}");
                Ok(false)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Writes a round's entry. Only with what it returns can the round's sum be released.
    pub(super) fn pay(
        &mut self,
        round: u32,
        asked: u32,
        now: u64,
    ) -> Result<Option<Spent>, SpendingError> {
        let rounds = self.unpaid(asked).max(1);
        let count = self.draws(rounds);
        let Some(ledger) = &mut self.ledger else {
            return Ok(None);
        };
        let spent = if self.local_noise {
            ledger.record(round, count, now)?
        } else {
            ledger.spend(round, count, now)?
        };
        self.paid_rounds = self.paid_rounds.saturating_add(rounds);
        Ok(Some(spent))
    }

    /// The token of a closed round that was cut off before its result was stored: of its entry
    /// if the ledger has one already, else of one that is written now. `head` is where the
    /// ledger stood when the round was closed.
    pub(super) fn pay_again(
        &mut self,
        round: u32,
        asked: u32,
        now: u64,
        (head, store): (Option<EntryHash>, &dyn RunStore),
    ) -> Result<Option<Spent>, RunError> {
        let (Some(ledger), Some(head)) = (&mut self.ledger, head) else {
            return Ok(self.pay(round, asked, now)?);
        };
        if ledger.head_hash() == head {
            return Ok(self.pay(round, asked, now)?);
        }
        tracing::info!(
            round,
            "its ledger entry is taken up: nothing was released for it"
        );
        Ok(Some(ledger.take_up(round, head, &Results(store))?))
    }

    /// Hash of the ledger's last entry.
    pub(super) fn head_hash(&self) -> Option<EntryHash> {
        self.ledger.as_ref().map(Spending::head_hash)
    }

    /// Records what sites spent in a round that came to nothing.
    pub(super) fn record_unpaid(&mut self, round: u32, asked: u32, now: u64) {
        let rounds = self.unpaid(asked);
        let count = self.draws(rounds);
        if let Some(ledger) = self.ledger.as_mut().filter(|_| rounds > 0) {
            match ledger.record(round, count, now) {
                Ok(_) => self.paid_rounds = self.paid_rounds.saturating_add(rounds),
                Err(e) => tracing::error!(
                    "what sites spent on a round that came to nothing can't be recorded: {e}"
                ),
            }
        }
    }

    /// Under local noise a site spends whenever it is asked to train, so that a round which is
    /// tried again costs it again. The run's figure is that of the site that spent most: the
    /// one that was asked most often. This is by how much the entries are behind it.
    fn unpaid(&self, asked: u32) -> u32 {
        if self.local_noise {
            asked.saturating_sub(self.paid_rounds)
        } else {
            0
        }
    }

    /// Drawings of noise in so many rounds.
    fn draws(&self, rounds: u32) -> u64 {
        u64::from(rounds) * u64::from(self.events_per_round)
    }

    /// What the run cost; `None` without privacy.
    pub(super) fn spent(&self) -> Option<Spend> {
        self.ledger.as_ref().map(|ledger| Spend {
            draws: self.draws(self.paid_rounds),
            epsilon: ledger.epsilon(),
            spans_runs: ledger.spans_runs(),
            ledger_head: ledger.head(),
        })
    }

    /// Epsilon spent on the data set.
    pub(super) fn epsilon(&self) -> Option<f64> {
        self.ledger.as_ref().map(Spending::epsilon)
    }

    /// Hash of the ledger's last entry.
    pub(super) fn head(&self) -> Option<String> {
        self.ledger.as_ref().map(Spending::head)
    }

    /// The ledger as it stands; `None` where it can't be read any more.
    pub(super) fn snapshot(&mut self) -> Option<LedgerSnapshot> {
        let ledger = self.ledger.as_mut().map(Spending::snapshot);
        ledger.transpose().unwrap_or_else(|error| {
            tracing::error!("the ledger can't be certified: {error}");
            None
        })
    }
}
