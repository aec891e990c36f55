//! The driver of a run: carries out what the round engine asks for.
//!
//! One thread runs [`Driver::drive`]; clients meanwhile meet in the [`Hall`]. The order of
//! a round's last act is fixed: ledger entry written and synced, then noise drawn, then the
//! optimiser's step, then the result stored and offered.

use std::sync::Arc;
use std::time::Duration;

use umbel_model::Optimiser;
use umbel_privacy::adaptive_clipping::AdaptiveClipping;
use umbel_privacy::combination::Summed;
use umbel_privacy::lattice::{LatticeStep, LatticeVector};
use umbel_privacy::ledger::{FileLedgerStorage, Spent};
use umbel_privacy::noised::{NoPrivacy, Noised};
use umbel_privacy::poisson::{SamplingRate, poisson_sample};
use umbel_privacy::private_rng::NoiseSource;
use umbel_privacy::release::add_noise;
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_proto::mechanism::{Mechanism, MechanismError};
use umbel_proto::message::{ClientId, Ending};
use umbel_proto::plan::Plan;
use umbel_proto::spending::{LedgerSnapshot, Spending, SpendingError};

use crate::clock::Clock;
use crate::config::RunConfig;
use crate::hall::Hall;
use crate::round::{Action, Event, Participation};
use crate::schedule::learning_rate;

/// What a finished round was like.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundSummary {
    /// The round, from 1.
    pub round: u32,
    /// Epsilon spent on the data set so far, at the plan's delta; `None` without privacy.
    pub epsilon: Option<f64>,
    /// Who took part; `None` where the client is the unit, as this is what the noise hides.
    pub participation: Option<Participation>,
    /// The parameters after the round.
    pub parameters: Arc<[f32]>,
    /// The learning rate of the round's step.
    pub learning_rate: f64,
    /// What adaptive clipping learnt, where clipping adapts.
    pub adaptive: Option<Adapted>,
    /// Hash of the ledger's last entry, the round's; `None` without privacy.
    pub ledger_head: Option<String>,
}

impl RoundSummary {
    /// Whether all that the next round would start from is finite numbers. It is released by
    /// now, so that looking at it costs nothing.
    pub fn is_finite(&self) -> bool {
        let threshold = self.adaptive.map(|adapted| adapted.threshold);
        threshold.is_none_or(f64::is_finite) && self.parameters.iter().all(|w| w.is_finite())
    }
}

/// What became of the model in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its numbers are finite, as far as they were looked at.
    Sound,
    /// Its parameters or its scores on public rows aren't finite: training on would only spend.
    Diverged,
}

/// What a round taught adaptive clipping. Both numbers come from the round's noised sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adapted {
    /// The noisy share of units that weren't clipped.
    pub unclipped: f64,
    /// The threshold of the next round.
    pub threshold: f64,
}

/// Who wants to know how the run goes: progress bars, metrics files, evaluations.
pub trait Observer {
    /// Stores a round's result so that it survives a crash. Nobody has seen it yet, and if
    /// it can't be stored, nobody will: an error ends the run.
    ///
    /// # Errors
    /// A sentence saying what can't be done (the disk is full, say).
    fn store(&mut self, summary: &RoundSummary) -> Result<(), String>;

    /// A round's result is stored and about to be offered: says whether it is worth training
    /// on. An error ends the run.
    ///
    /// # Errors
    /// A sentence saying what can't be done (the disk is full, say).
    fn round_done(&mut self, summary: &RoundSummary) -> Result<Health, String>;
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The ending.
    pub ending: Ending,
    /// Rounds whose result is out.
    pub rounds: u32,
    /// What the run is left with: the parameters of the last round whose numbers are finite,
    /// and that round. `None` where there is no such round.
    pub kept: Option<(u32, Arc<[f32]>)>,
    /// Drawings of noise that this run's entries pay for; 0 without privacy.
    pub draws: u64,
    /// Epsilon spent on the data set, at the plan's delta; `None` without privacy.
    pub epsilon: Option<f64>,
    /// Hash of the ledger's last entry.
    pub ledger_head: Option<String>,
    /// The ledger at the end; `None` without privacy, and where it can't be read any more.
    pub ledger: Option<LedgerSnapshot>,
}

/// Why a run can't be driven at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger.
    #[error(transparent)]
    Spending(#[from] SpendingError),
    /// The plan.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    /// A number that privacy arithmetic refuses.
    #[error("{0}")]
    Privacy(String),
    /// The number of initial parameters isn't the plan's.
    #[error("{found} initial parameters, but the plan says {expected}")]
    Parameters {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}

/// Drives one run.
pub struct Driver<'a> {
    plan: Plan,
    config: RunConfig,
    hall: Arc<Hall>,
    clock: &'a dyn Clock,
    mechanism: Option<Mechanism>,
    step: LatticeStep,
    ledger: Option<Spending<FileLedgerStorage>>,
    /// Rounds' worth of noise that this run's entries pay for.
    paid_rounds: u32,
    /// The ledger's token for the round that is about to be released.
    spent: Option<Spent>,
    /// The sum of the round that is closed, until it is released.
    sum: Option<LatticeVector>,
    optimiser: Optimiser,
    parameters: Vec<f32>,
    /// The last round whose numbers are finite, and its parameters.
    kept: Option<(u32, Arc<[f32]>)>,
    /// The rule of adaptive clipping and the threshold that clients are told.
    adaptive: Option<(AdaptiveClipping, f32)>,
    /// When the present phase's patience ends.
    deadline: Option<Duration>,
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
        hall: Arc<Hall>,
        ledger: Option<Spending<FileLedgerStorage>>,
        parameters: Vec<f32>,
        clock: &'a dyn Clock,
    ) -> Result<Self, RunError> {
        if parameters.len() != plan.classifier.parameters {
            return Err(RunError::Parameters {
                found: parameters.len(),
                expected: plan.classifier.parameters,
            });
        }
        let mechanism = plan.mechanism()?;
        let adaptive = plan
            .adaptive_clipping()?
            .map(|rule| (rule, rule.first_threshold() as f32));
        if mechanism.is_some() != ledger.is_some() {
            return Err(RunError::Privacy(
                "a run with privacy needs a ledger, and one without must not have any".into(),
            ));
        }
        Ok(Self {
            mechanism,
            step: plan.submitted_step()?,
            optimiser: Optimiser::new(config.server.optimiser_config(), parameters.len()),
            plan,
            config,
            hall,
            clock,
            ledger,
            paid_rounds: 0,
            spent: None,
            sum: None,
            parameters,
            kept: None,
            adaptive,
            deadline: None,
        })
    }

    /// Runs to the end, whatever the end is.
    ///
    /// # Errors
    /// [`RunError`] only where the accounting itself fails; an exhausted budget, missing
    /// clients or a full disk are endings.
    pub fn drive(self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        let hall = Arc::clone(&self.hall);
        let outcome = self.run_to_end(observer);
        if let Err(error) = &outcome {
            // Clients that wait for a task must not wait for ever.
            hall.tell(Event::Broken(error.to_string()));
        }
        outcome
    }

    fn run_to_end(mut self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        self.set_deadline(self.config.federation.gather_seconds);
        loop {
            let Some(action) = self.hall.next_action(self.patience()) else {
                self.lose_patience();
                continue;
            };
            match action {
                Action::AskGate { .. } => {
                    let event = self.ask_gate()?;
                    self.hall.tell(event);
                }
                Action::DrawCohort { round, attempt } => {
                    let cohort = self.draw_cohort(round, attempt)?;
                    self.hall.tell(Event::CohortDrawn(cohort));
                }
                Action::Open { .. } => {
                    self.set_deadline(self.config.federation.round_seconds);
                    self.hall.offer_round(self.encoded_parameters());
                }
                Action::Count(_) => {}
                Action::RecordSpend { round } => self.record_spend(round),
                Action::Release {
                    round,
                    participation,
                } => self.release_round(round, participation, observer)?,
                Action::Finish(ending) => return Ok(self.outcome(ending)),
            }
        }
    }

    fn set_deadline(&mut self, seconds: u64) {
        self.deadline = Some(self.clock.elapsed() + Duration::from_secs(seconds));
    }

    /// How long to wait for an action before the deadline, looking up once a second so that a
    /// stalled clock can't hang a run.
    fn patience(&self) -> Duration {
        let second = Duration::from_secs(1);
        self.deadline.map_or(second, |deadline| {
            deadline.saturating_sub(self.clock.elapsed()).min(second)
        })
    }

    fn lose_patience(&mut self) {
        let over = self.deadline.is_some_and(|d| self.clock.elapsed() >= d);
        if over {
            self.deadline = None;
            self.hall.tell(if self.hall.is_gathering() {
                Event::GatheringOver
            } else {
                Event::DeadlinePassed
            });
        }
    }

    fn ask_gate(&self) -> Result<Event, RunError> {
        let Some(ledger) = &self.ledger else {
            return Ok(Event::RoundPermitted);
        };
        match ledger.check(self.draws(self.unpaid_rounds().saturating_add(1))) {
            Ok(()) => Ok(Event::RoundPermitted),
            Err(why) if why.is_exhausted() => {
                tracing::warn!("{why}");
                Ok(Event::BudgetExhausted)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Everybody, or a Poisson draw of clients where the client is the unit.
    fn draw_cohort(&self, round: u32, attempt: u32) -> Result<Vec<ClientId>, RunError> {
        let clients: Vec<ClientId> = self.config.clients.iter().map(|c| c.name.clone()).collect();
        if !self.samples_clients() {
            return Ok(clients);
        }
        let rate = SamplingRate::try_from(self.plan.privacy.sampling_rate)
            .map_err(|e| RunError::Privacy(e.to_string()))?;
        let mut rng = self.randomness(&format!("cohort/{round}/{attempt}"))?;
        let drawn = poisson_sample(clients.len(), rate, &mut rng);
        Ok(drawn.into_iter().map(|i| clients[i].clone()).collect())
    }

    fn samples_clients(&self) -> bool {
        samples_clients(&self.plan)
    }

    /// Writes the round's entry. What it returns is kept: only with it can the sum be released.
    fn record_spend(&mut self, round: u32) {
        self.deadline = None;
        // A round whose sum is lost must not cost anything.
        match self.hall.take_sum() {
            Ok(sum) => self.sum = Some(sum),
            Err(lost) => return self.hall.tell(Event::Broken(lost.to_string())),
        }
        let rounds = self.unpaid_rounds().max(1);
        let (count, now) = (self.draws(rounds), self.clock.unix_seconds());
        if let Some(ledger) = &mut self.ledger {
            let spent = match self.plan.privacy.placement {
                NoisePlacement::Central => ledger.spend(round, count, now),
                NoisePlacement::Local => ledger.record(round, count, now),
            };
            match spent {
                Ok(spent) => self.spent = Some(spent),
                Err(e) => return self.hall.tell(Event::Broken(e.to_string())),
            }
            self.paid_rounds = self.paid_rounds.saturating_add(rounds);
        }
        self.hall.tell(Event::SpendRecorded);
    }

    /// Under local noise a site spends whenever it is asked to train, so that a round which is
    /// tried again costs it again. The run's figure is that of the site that spent most: the
    /// one that was asked most often. This is by how much the entries are behind it.
    fn unpaid_rounds(&self) -> u32 {
        match self.plan.privacy.placement {
            NoisePlacement::Central => 0,
            NoisePlacement::Local => self.hall.most_asked().saturating_sub(self.paid_rounds),
        }
    }

    /// Drawings of noise in so many rounds.
    fn draws(&self, rounds: u32) -> u64 {
        u64::from(rounds) * u64::from(self.plan.events_per_round())
    }

    /// Records what sites spent in a round that came to nothing.
    fn record_unpaid_rounds(&mut self) {
        let (rounds, round) = (self.unpaid_rounds(), self.hall.rounds_done() + 1);
        let (count, now) = (self.draws(rounds), self.clock.unix_seconds());
        if let Some(ledger) = self.ledger.as_mut().filter(|_| rounds > 0) {
            match ledger.record(round, count, now) {
                Ok(_) => self.paid_rounds = self.paid_rounds.saturating_add(rounds),
                Err(e) => tracing::error!("what sites spent in vain can't be recorded: {e}"),
            }
        }
    }

    fn release_round(
        &mut self,
        round: u32,
        participation: Participation,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let noised = self.noised_sum(round)?;
        self.hall.note_missing(&participation.missing);
        let noised = noised.post_process(|sum| self.take_step(round, &sum, participation));
        let health = noised
            .store(|summary| observer.store(summary))
            .and_then(|released| {
                let summary = released.value();
                let health = observer.round_done(summary)?;
                if health == Health::Diverged || !summary.is_finite() {
                    return Ok(Health::Diverged);
                }
                self.kept = Some((round, Arc::clone(&summary.parameters)));
                Ok(Health::Sound)
            });
        self.hall.tell(match health {
            Ok(Health::Sound) => Event::Released,
            Ok(Health::Diverged) => {
                tracing::error!("{}", Ending::divergence(round));
                Event::Diverged { round }
            }
            Err(reason) => Event::Broken(reason),
        });
        Ok(())
    }

    /// The round's sum with its noise, for which the ledger's token is used up.
    fn noised_sum(&mut self, round: u32) -> Result<Noised, RunError> {
        let sum = self.sum.take().ok_or_else(|| {
            RunError::Privacy(format!("round {round} is to be released without a sum"))
        })?;
        let Some(mechanism) = &self.mechanism else {
            return Ok(Noised::unnoised(sum, NoPrivacy));
        };
        let spent = self.spent.take().ok_or_else(|| {
            RunError::Privacy(format!("round {round} is to be released without an entry"))
        })?;
        match self.plan.privacy.placement {
            NoisePlacement::Local => Ok(Noised::by_clients(sum, spent)),
            NoisePlacement::Central => {
                let mut rng = self.randomness(&format!("noise/{round}"))?;
                add_noise(sum, &mechanism.noise, spent, &mut rng)
                    .map_err(|e| RunError::Privacy(e.to_string()))
            }
        }
    }

    /// Takes the optimiser's step on the mean of a noised sum.
    fn take_step(
        &mut self,
        round: u32,
        sum: &LatticeVector,
        participation: Participation,
    ) -> RoundSummary {
        let mut total = sum.to_f64(self.step);
        let adaptive = self.adapt(&mut total);
        let divisor = self.divisor();
        // A sum of differences points where the parameters should go, a gradient away from it.
        let sign = match self.plan.summed {
            Summed::Gradients => 1.0,
            Summed::Deltas => -1.0,
        };
        total.iter_mut().for_each(|x| *x *= sign / divisor);
        let learning_rate = learning_rate(&self.config.server, round, self.plan.rounds);
        self.optimiser
            .step(&mut self.parameters, &total, learning_rate);
        RoundSummary {
            round,
            epsilon: self.epsilon(),
            participation: (self.plan.privacy.unit != PrivacyUnit::Client).then_some(participation),
            parameters: self.parameters.clone().into(),
            learning_rate,
            adaptive,
            ledger_head: self.ledger.as_ref().map(Spending::head),
        }
    }

    /// With adaptive clipping, takes the sum of the units' bits off the noised sum, brings the
    /// rest back to the scale of the gradients, and learns the next threshold.
    fn adapt(&mut self, total: &mut Vec<f64>) -> Option<Adapted> {
        let (rule, threshold) = self.adaptive.as_mut()?;
        let now = f64::from(*threshold);
        let bits = total.pop().unwrap_or_default();
        let scale = rule.scale(now);
        total.iter_mut().for_each(|x| *x /= scale);
        let unclipped = rule.share_found(bits);
        *threshold = rule.next_threshold(now, unclipped) as f32;
        Some(Adapted {
            unclipped,
            threshold: f64::from(*threshold),
        })
    }

    /// The public constant that a sum is divided by: never a count of who came.
    fn divisor(&self) -> f64 {
        let clients = self.config.clients.len() as f64;
        match self.plan.summed {
            Summed::Gradients => self.config.training.expected_batch.unwrap_or(1.0),
            Summed::Deltas if self.samples_clients() => clients * self.plan.privacy.sampling_rate,
            Summed::Deltas => clients,
        }
    }

    fn epsilon(&self) -> Option<f64> {
        self.ledger.as_ref().map(Spending::epsilon)
    }

    fn encoded_parameters(&self) -> Arc<[u8]> {
        let threshold = self.adaptive.as_ref().map(|(_, threshold)| threshold);
        self.parameters
            .iter()
            .chain(threshold)
            .flat_map(|w| w.to_le_bytes())
            .collect()
    }

    fn outcome(mut self, ending: Ending) -> Outcome {
        self.record_unpaid_rounds();
        let ledger = self.ledger.as_mut().map(Spending::snapshot);
        Outcome {
            draws: self.draws(self.paid_rounds),
            ledger: ledger.transpose().unwrap_or_else(|error| {
                tracing::error!("the ledger can't be certified: {error}");
                None
            }),
            rounds: self.hall.rounds_done(),
            epsilon: self.epsilon(),
            ledger_head: self.ledger.as_ref().map(Spending::head),
            ending,
            kept: self.kept,
        }
    }

    /// A generator for one purpose: from the operating system, or, in a seeded run, a stream
    /// that no other purpose has.
    fn randomness(&self, purpose: &str) -> Result<NoiseSource, RunError> {
        match self.plan.seed {
            Some(seed) => Ok(NoiseSource::seeded(seed, &format!("coordinator/{purpose}"))),
            None => NoiseSource::from_os().map_err(|e| RunError::Privacy(e.to_string())),
        }
    }
}

/// Whether cohorts are a Poisson draw of clients: only where the client is the unit.
pub fn samples_clients(plan: &Plan) -> bool {
    plan.privacy.unit == PrivacyUnit::Client && plan.privacy.sampling_rate < 1.0
}
