//! The loop that carries out a run's actions, one after the other.

use std::sync::Arc;
use std::thread;

use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::{FileLedgerStorage, Spent};
use umbel_privacy::noised::{NoPrivacy, Noised};
use umbel_privacy::release::add_noise;
use umbel_privacy::unit::NoisePlacement;
use umbel_proto::message::{ClientId, Ending};
use umbel_proto::plan::Plan;
use umbel_proto::plan::mechanism::Mechanism;
use umbel_proto::spending::Spending;

use super::RunError;
use super::background::{Background, Verdict};
use super::charges::Charges;
use super::cohort;
use super::deadline::Deadline;
use super::kept::Kept;
use super::observer::{Health, Observer, RoundStore};
use super::server_model::ServerModel;
use super::summary::{Outcome, RoundSummary};
use crate::config::RunConfig;
use crate::lobby::Lobby;
use crate::round::{Action, Event, Participation};
use crate::run::clock::Clock;

/// Drives one run.
pub struct Driver<'a> {
    plan: Plan,
    config: RunConfig,
    lobby: Arc<Lobby>,
    clock: &'a dyn Clock,
    deadline: Deadline<'a>,
    mechanism: Option<Mechanism>,
    charges: Charges,
    paid: Option<PaidRound>,
    model: ServerModel,
    kept: Kept,
}

/// A round between its payment and its release.
struct PaidRound {
    sum: LatticeVector,
    /// The ledger's token; `None` without privacy.
    spent: Option<Spent>,
}

impl<'a> Driver<'a> {
    /// Prepares a run from its initial parameters. `ledger` is needed unless the plan is
    /// without privacy.
    ///
    /// # Errors
    /// [`RunError`] where plan, ledger and parameters don't fit together.
    pub fn new(
        plan: Plan,
        config: RunConfig,
        lobby: Arc<Lobby>,
        ledger: Option<Spending<FileLedgerStorage>>,
        parameters: Vec<f32>,
        clock: &'a dyn Clock,
    ) -> Result<Self, RunError> {
        Ok(Self {
            model: ServerModel::new(&plan, &config, parameters)?,
            mechanism: plan.mechanism().cloned(),
            charges: Charges::of(&plan, ledger)?,
            paid: None,
            kept: Kept::default(),
            deadline: Deadline::none(clock),
            plan,
            config,
            lobby,
            clock,
        })
    }

    /// Runs to the end, whatever the end is. Results go into `store` before they are
    /// published; `observer` looks at them afterwards, in a thread of its own.
    ///
    /// # Errors
    /// [`RunError`] only where the accounting itself fails; an exhausted budget, missing
    /// clients or a full disk are endings.
    pub fn drive(
        self,
        store: &mut dyn RoundStore,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let lobby = Arc::clone(&self.lobby);
        let outcome = thread::scope(|scope| {
            let background = Background::start(scope, observer, Arc::clone(&lobby));
            self.run_to_end(store, background)
        });
        if let Err(error) = &outcome {
            // Clients that wait for a task must not wait for ever.
            lobby.tell(Event::Broken(error.to_string()));
        }
        outcome
    }

    fn run_to_end(
        mut self,
        store: &mut dyn RoundStore,
        mut background: Background,
    ) -> Result<Outcome, RunError> {
        self.deadline.set(self.config.federation.gather_seconds);
        loop {
            if let Some(verdict) = background.poll() {
                self.heed(verdict);
            }
            let Some(action) = self.lobby.next_action(self.deadline.wait()) else {
                self.check_deadline();
                continue;
            };
            match action {
                Action::AskGate { .. } => self.ask_gate(&mut background)?,
                Action::DrawCohort { round, attempt } => {
                    let clients = self.config.clients.iter();
                    let clients: Vec<ClientId> = clients.map(|c| c.name.clone()).collect();
                    let cohort = cohort::draw(&self.plan, clients, round, attempt)?;
                    self.lobby.tell(Event::CohortDrawn(cohort));
                }
                Action::Open { .. } => {
                    self.deadline.set(self.config.federation.round_seconds);
                    self.lobby.offer_round(self.model.encoded());
                }
                Action::Count(_) => {}
                Action::RecordSpend { round } => self.pay(round, &mut background),
                Action::Release {
                    round,
                    participation,
                } => self.release(round, participation, store, &mut background)?,
                Action::Finish(ending) => {
                    self.settle(&mut background);
                    return Ok(self.outcome(ending));
                }
            }
        }
    }

    fn check_deadline(&mut self) {
        if self.deadline.has_passed() {
            self.lobby.tell(if self.lobby.is_gathering() {
                Event::GatheringOver
            } else {
                Event::DeadlinePassed
            });
        }
    }

    /// Takes note of what was found in the last round's model.
    fn heed(&mut self, Verdict { round, health }: Verdict) {
        let known = self.kept.diverged().is_some();
        self.kept.judged(round, health);
        if health == Health::Diverged && !known {
            self.end_diverged(round);
        }
    }

    fn end_diverged(&self, round: u32) {
        tracing::error!("{}", Ending::divergence(round));
        self.lobby.tell(Event::Diverged { round });
    }

    /// Waits until the last round's scores are known; says whether all is well.
    fn settle(&mut self, background: &mut Background) -> bool {
        if let Some(verdict) = background.wait() {
            self.heed(verdict);
        }
        self.kept.diverged().is_none()
    }

    fn ask_gate(&mut self, background: &mut Background) -> Result<(), RunError> {
        if self.charges.allow_a_round(self.lobby.most_asked())? {
            self.lobby.tell(Event::RoundPermitted);
        } else if self.settle(background) {
            self.lobby.tell(Event::BudgetExhausted);
        }
        Ok(())
    }

    /// Writes the round's entry, once it is certain that the round has a sum, and that it
    /// didn't begin with a model that is beyond help.
    fn pay(&mut self, round: u32, background: &mut Background) {
        self.deadline.clear();
        if !self.settle(background) {
            // The engine knows, and this action was queued before.
            return;
        }
        let sum = match self.lobby.take_sum() {
            Ok(sum) => sum,
            Err(lost) => return self.lobby.tell(Event::Broken(lost.to_string())),
        };
        let (asked, now) = (self.lobby.most_asked(), self.clock.unix_seconds());
        match self.charges.pay(round, asked, now) {
            Ok(spent) => {
                self.paid = Some(PaidRound { sum, spent });
                self.lobby.tell(Event::SpendRecorded);
            }
            Err(e) => self.lobby.tell(Event::Broken(e.to_string())),
        }
    }

    /// Noise, step, store, publish. The result is scored after that.
    fn release(
        &mut self,
        round: u32,
        participation: Participation,
        store: &mut dyn RoundStore,
        background: &mut Background,
    ) -> Result<(), RunError> {
        let noised = self.noised_sum(round)?;
        self.lobby.note_missing(&participation.missing);
        let noised = noised.post_process(|sum| self.step(round, &sum, participation));
        let summary = match noised.store(|summary| store.store(summary)) {
            Ok(released) => released.into_value(),
            Err(reason) => {
                self.lobby.tell(Event::Broken(reason));
                return Ok(());
            }
        };
        self.kept.published(&summary);
        background.show(summary);
        if self.kept.diverged().is_some() {
            self.end_diverged(round);
            return Ok(());
        }
        // Nothing trains while the last round is scored, and clients are to hear how the run
        // really ended. If it diverged, the engine knows by now.
        if round == self.plan.rounds.get() {
            self.settle(background);
        }
        self.lobby.tell(Event::Released);
        Ok(())
    }

    /// The round's sum with its noise, for which the ledger's token is used up.
    fn noised_sum(&mut self, round: u32) -> Result<Noised, RunError> {
        let unpaid = || RunError::Privacy(format!("round {round} is to be released unpaid"));
        let PaidRound { sum, spent } = self.paid.take().ok_or_else(unpaid)?;
        let Some(mechanism) = &self.mechanism else {
            return Ok(Noised::unnoised(sum, NoPrivacy));
        };
        let spent = spent.ok_or_else(unpaid)?;
        match mechanism.protection.placement {
            NoisePlacement::Local => Ok(Noised::by_clients(sum, spent)),
            NoisePlacement::Central => {
                let mut rng = cohort::randomness(&self.plan, &format!("noise/{round}"))?;
                add_noise(sum, &mechanism.noise, spent, &mut rng)
                    .map_err(|e| RunError::Privacy(e.to_string()))
            }
        }
    }

    fn step(
        &mut self,
        round: u32,
        sum: &LatticeVector,
        participation: Participation,
    ) -> RoundSummary {
        let stepped = self.model.step(round, sum);
        RoundSummary {
            round,
            epsilon: self.charges.epsilon(),
            participation: (!self.plan.hides_clients()).then_some(participation),
            parameters: stepped.parameters,
            learning_rate: stepped.learning_rate,
            adaptive: stepped.adaptive,
            ledger_head: self.charges.head(),
            at: self.clock.elapsed(),
        }
    }

    fn outcome(mut self, ending: Ending) -> Outcome {
        let (rounds, asked) = (self.lobby.rounds_done(), self.lobby.most_asked());
        let now = self.clock.unix_seconds();
        self.charges.record_unpaid(rounds + 1, asked, now);
        // Where the run ended for another reason while its last model was looked at.
        let diverged = self.kept.diverged();
        let ending = diverged.map_or(ending, |round| Ending::Diverged { round });
        Outcome {
            draws: self.charges.paid_draws(),
            ledger: self.charges.snapshot(),
            rounds,
            epsilon: self.charges.epsilon(),
            spans_runs: self.charges.spans_runs(),
            ledger_head: self.charges.head(),
            ending,
            kept: self.kept.into_model(),
        }
    }
}
