//! The loop that carries out a run's actions, one after the other.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use umbel_privacy::disk::AnyLedgerStorage;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::Spent;
use umbel_proto::message::{BlobDigest, ClientId, Ending};
use umbel_proto::plan::AgreedPlan;
use umbel_proto::plan::mechanism::Mechanism;
use umbel_proto::spending::Spending;

use super::RunError;
use super::absence::{Patience, Silence};
use super::background::{Background, Verdict};
use super::charges::Charges;
use super::cohort;
use super::deadline::{Deadline, Limited};
use super::kept::Kept;
use super::observer::{Health, Observer};
use super::server_model::ServerModel;
use super::summary::{Driven, Outcome, RoundSummary};
use crate::config::RunConfig;
use crate::lobby::{Halt, Lobby, Shown, Woken};
use crate::round::{Action, Event};
use crate::run::clock::Clock;
use crate::store::{Change, OpenAttempt, RoundClosed, RoundOpened, RunStore};

/// Drives one run.
pub struct Driver<'a> {
    pub(super) plan: AgreedPlan,
    pub(super) config: RunConfig,
    pub(super) lobby: Arc<Lobby>,
    pub(super) clock: &'a dyn Clock,
    pub(super) deadline: Deadline<'a>,
    pub(super) patience: Patience,
    pub(super) silence: Silence,
    pub(super) mechanism: Option<Mechanism>,
    pub(super) charges: Charges,
    pub(super) paid: Option<PaidRound>,
    pub(super) model: ServerModel,
    pub(super) kept: Kept,
    pub(super) store: Arc<dyn RunStore>,
    /// The attempt that was open when the run was cut off, until its round is released or it is
    /// tried again.
    pub(super) cut_off: Option<OpenAttempt>,
    /// The attempt that is open.
    pub(super) attempt: u32,
    /// How long earlier processes drove this run.
    pub(super) before: Duration,
    /// Whether the engine waits for the gate's word, and the operator holds the run back.
    pub(super) held_at_gate: bool,
    /// The round after which scores didn't get better any more.
    pub(super) settled: Option<u32>,
    /// When the open attempt was opened, or taken up again.
    pub(super) opened: Duration,
}

/// A round between its payment and its release.
pub(super) struct PaidRound {
    pub(super) sum: LatticeVector,
    /// The ledger's token; `None` without privacy.
    pub(super) spent: Option<Spent>,
}

impl<'a> Driver<'a> {
    /// Prepares a run from its initial parameters. `ledger` is needed unless the plan is
    /// without privacy.
    ///
    /// # Errors
    /// [`RunError`] where plan, ledger and parameters don't fit together.
    pub fn new(
        plan: AgreedPlan,
        config: RunConfig,
        lobby: Arc<Lobby>,
        ledger: Option<Spending<AnyLedgerStorage>>,
        parameters: Vec<f32>,
        (clock, patience): (&'a dyn Clock, Patience),
        store: Arc<dyn RunStore>,
    ) -> Result<Self, RunError> {
        lobby.keep_in(Arc::clone(&store));
        Ok(Self {
            model: ServerModel::new(&plan, &config, parameters)?,
            mechanism: plan.mechanism().cloned(),
            charges: Charges::of(&plan, ledger)?,
            paid: None,
            kept: Kept::default(),
            deadline: Deadline::none(clock),
            patience,
            silence: Silence::after(patience.silence),
            plan,
            config,
            lobby,
            clock,
            store,
            cut_off: None,
            attempt: 0,
            before: Duration::ZERO,
            held_at_gate: false,
            opened: Duration::ZERO,
            settled: None,
        })
    }

    /// Runs to the end, whatever the end is, from where the store says that the run stands.
    /// Results are stored before they are published; `observer` looks at them afterwards, in a
    /// thread of its own.
    ///
    /// # Errors
    /// [`RunError`] where the accounting fails, and where what has to be durable can't be
    /// stored; then the run can be gone on with. An exhausted budget and missing clients are
    /// endings.
    pub fn drive(mut self, observer: &mut dyn Observer) -> Result<Driven, RunError> {
        let lobby = Arc::clone(&self.lobby);
        let driven = self.take_up(observer).and_then(|last| {
            thread::scope(|scope| {
                let background = Background::start(scope, observer, Arc::clone(&lobby));
                self.go_on_from(last, background)
            })
        });
        tell_how_it_stopped(&lobby, &driven);
        driven
    }

    /// [`Driver::drive`] without a thread for the observer, which looks at each result at once: for
    /// virtual time, and for a test that decides what happens in which order.
    ///
    /// # Errors
    /// As there.
    pub fn drive_in_one_thread(mut self, observer: &mut dyn Observer) -> Result<Driven, RunError> {
        let lobby = Arc::clone(&self.lobby);
        let driven = self
            .take_up(observer)
            .and_then(|last| self.go_on_from(last, Background::none(observer)));
        tell_how_it_stopped(&lobby, &driven);
        driven
    }

    fn go_on_from(
        mut self,
        last: Option<RoundSummary>,
        mut background: Background<'_>,
    ) -> Result<Driven, RunError> {
        if let Some(last) = last {
            self.kept.published(&last);
            background.show(last);
        }
        self.run_to_end(background)
    }

    fn run_to_end(mut self, mut background: Background<'_>) -> Result<Driven, RunError> {
        let gathering = self.config.federation.gather_seconds;
        self.deadline.set(Limited::Gathering, gathering);
        self.finish_last_release(&mut background);
        loop {
            if let Some(halt) = self.lobby.halted()
                && self.may_stop(&halt)
            {
                return self.stop(halt, &mut background);
            }
            if let Some(verdict) = background.poll() {
                self.heed(verdict);
            }
            let mut woken = None;
            self.clock.wait(self.deadline.wait(), &mut |wait| {
                woken = self.lobby.next_action(wait);
                woken.is_some()
            });
            if self.held_at_gate && !self.lobby.is_held() {
                self.wait_at_gate(false);
                self.ask_gate(&mut background)?;
            }
            let Some(Woken::Action(action)) = woken else {
                self.check_silence();
                self.check_deadline();
                continue;
            };
            match action {
                Action::AskGate { round } if self.lobby.is_held() => {
                    tracing::info!(round, "held back before this round by the operator");
                    self.deadline.clear();
                    self.wait_at_gate(true);
                }
                Action::AskGate { .. } => self.ask_gate(&mut background)?,
                Action::Pause { round, missing } => self.pause(round, &missing),
                Action::DrawCohort { round, attempt } => {
                    let clients = &self.config.clients;
                    let cohort = cohort::draw(&self.plan, clients, round, attempt)?;
                    self.lobby.tell(Event::CohortDrawn(cohort));
                }
                Action::Open {
                    round,
                    attempt,
                    cohort,
                } => self.open(round, attempt, cohort)?,
                Action::GrantGrace { round, attempt } => self.grant_grace(round, attempt),
                Action::Count(_) => {}
                Action::RecordSpend { round } => self.pay(round, &mut background)?,
                Action::Release {
                    round,
                    participation,
                } => self.release(round, participation, &mut background)?,
                Action::Finish(ending) => {
                    self.settle(&mut background);
                    return Ok(Driven::Over(Box::new(self.outcome(ending))));
                }
            }
        }
    }

    /// Takes note of what was found in the last round's model.
    fn heed(&mut self, Verdict { round, health }: Verdict) {
        let known = self.kept.diverged().is_some();
        self.kept.judged(round, health);
        self.note_settled(round, health);
        if health == Health::Diverged && !known {
            self.end_diverged(round);
        }
    }

    /// Notes that a round's scores were the last that the run waits for. It ends after the next
    /// round, which sites train for by then, however soon or late the scores were known.
    pub(super) fn note_settled(&mut self, round: u32, health: Health) {
        if health == Health::Settled {
            self.settled.get_or_insert(round);
        }
    }

    pub(super) fn end_diverged(&self, round: u32) {
        tracing::error!("{}", Ending::divergence(round));
        self.lobby.tell(Event::Diverged { round });
    }

    /// Waits until the last round's scores are known; says whether all is well.
    pub(super) fn settle(&mut self, background: &mut Background<'_>) -> bool {
        if let Some(verdict) = background.wait() {
            self.heed(verdict);
        }
        self.kept.diverged().is_none()
    }

    fn ask_gate(&mut self, background: &mut Background<'_>) -> Result<(), RunError> {
        if self.charges.allow_a_round(self.lobby.most_asked())? {
            self.lobby.tell(Event::RoundPermitted);
        } else if self.settle(background) {
            self.lobby.tell(Event::BudgetExhausted);
        }
        Ok(())
    }

    /// Journals an attempt, and offers the round to its cohort.
    fn open(&mut self, round: u32, attempt: u32, cohort: Vec<ClientId>) -> Result<(), RunError> {
        let seconds = self.config.federation.round_seconds;
        let encoded = self.model.encoded();
        let parameters = BlobDigest::of(&encoded);
        self.attempt = attempt;
        let again = self.cut_off.take_if(|cut_off| {
            let opened = &cut_off.opened;
            (opened.round, opened.attempt) == (round, attempt)
        });
        if let Some(again) = again {
            self.check_start(&again, parameters)?;
            self.cut_off = Some(again);
        } else {
            self.store.commit(Change::Opened(RoundOpened {
                round,
                attempt,
                cohort,
                present: self.lobby.present(),
                parameters,
                deadline: self.clock.unix_seconds().saturating_add(seconds),
            }))?;
        }
        self.deadline
            .set(Limited::Attempt { round, attempt }, seconds);
        self.opened = self.clock.elapsed();
        self.lobby.show(Shown {
            epsilon: self.charges.epsilon(),
            closes_at: Some(self.clock.unix_seconds().saturating_add(seconds)),
        });
        self.lobby.offer_round(encoded);
        Ok(())
    }

    /// Writes the round's entry, once it is certain that the round has a sum, and that it
    /// didn't begin with a model that is beyond help.
    fn pay(&mut self, round: u32, background: &mut Background<'_>) -> Result<(), RunError> {
        self.deadline.clear();
        if !self.settle(background) {
            // The engine knows, and this action was queued before.
            return Ok(());
        }
        let sum = match self.lobby.take_sum() {
            Ok(sum) => sum,
            // Whoever goes on with the run makes the sum again from what is stored.
            Err(_) if matches!(self.lobby.halted(), Some(Halt::Store(_))) => return Ok(()),
            Err(lost) => {
                self.lobby.tell(Event::Broken(lost.to_string()));
                return Ok(());
            }
        };
        let spent = match self.close_and_pay(round) {
            Err(RunError::Spending(why)) if why.is_exhausted() => {
                self.lobby.tell(Event::Broken(why.to_string()));
                return Ok(());
            }
            spent => spent?,
        };
        if let Some(spent) = &spent {
            self.store.commit(Change::Spent(spent.hash()))?;
        }
        self.paid = Some(PaidRound { sum, spent });
        self.lobby.tell(Event::SpendRecorded);
        Ok(())
    }

    /// Journals what the round was closed with, and pays for it; if both, or only the first, was
    /// done before the run was cut off, that stands.
    fn close_and_pay(&mut self, round: u32) -> Result<Option<Spent>, RunError> {
        let (asked, now) = (self.lobby.most_asked(), self.clock.unix_seconds());
        let set = self.lobby.closed_set(round, self.attempt);
        let before = self.cut_off.take().filter(|c| c.opened.round == round);
        if let Some(closed) = before.and_then(|cut_off| cut_off.closed) {
            self.check_set(&closed, &set.updates)?;
            let place = (closed.ledger_head, &*self.store);
            return self.charges.pay_again(round, asked, now, place);
        }
        self.store.commit(Change::Closed(RoundClosed {
            round,
            updates: set.updates,
            asked: set.asked,
            ledger_head: self.charges.head_hash(),
        }))?;
        Ok(self.charges.pay(round, asked, now)?)
    }

    fn outcome(mut self, ending: Ending) -> Outcome {
        let (rounds, asked) = (self.lobby.rounds_done(), self.lobby.most_asked());
        let now = self.clock.unix_seconds();
        self.charges.record_unpaid(rounds + 1, asked, now);
        // Where the run ended for another reason while its last model was looked at.
        let diverged = self.kept.diverged();
        let ending = diverged.map_or(ending, |round| Ending::Diverged { round });
        Outcome {
            spent: self.charges.spent(),
            ledger: self.charges.snapshot(),
            rounds,
            ending,
            kept: self.kept.into_model(),
        }
    }
}

/// Clients that wait for a task must not wait for ever.
fn tell_how_it_stopped(lobby: &Lobby, driven: &Result<Driven, RunError>) {
    match driven {
        Ok(_) => {}
        Err(error) if error.is_storage() => lobby.halt(Halt::Store(error.to_string())),
        Err(error) => lobby.tell(Event::Broken(error.to_string())),
    }
}
