//! The model at the coordinator: its parameters, and the step that a noised sum moves them by.

use std::iter::repeat_n;
use std::sync::Arc;

use rayon::prelude::*;
use umbel_privacy::adaptive_clipping::AdaptiveClipping;
use umbel_privacy::combination::Summed;
use umbel_privacy::lattice::{LatticeStep, LatticeVector};
use umbel_proto::control_variates;
use umbel_proto::plan::Plan;

use super::RunError;
use super::summary::Adapted;
use crate::config::{RunConfig, ServerSection};
use crate::store::Checkpoint;
use crate::strategy::average::Average;
use crate::strategy::schedule::learning_rate;
use crate::strategy::{STRETCH, State, Step, Strategy, in_stretches};

/// Parameters between rounds.
pub(super) struct ServerModel {
    parameters: Vec<f32>,
    strategy: Box<dyn Strategy>,
    /// What is released instead of the parameters, with `server.average`.
    average: Option<Average>,
    schedule: ServerSection,
    rounds: u32,
    summed: Summed,
    lattice: LatticeStep,
    /// The public constant that a sum is divided by: never a count of who came.
    divisor: f64,
    /// Clients of the run; `None` under privacy, where how many took part is nobody's business.
    clients: Option<usize>,
    /// How far the clients' own steps go down a gradient of length one.
    reach: Option<f64>,
    /// The rule of adaptive clipping and the threshold that clients are told.
    adaptive: Option<(AdaptiveClipping, f32)>,
}

/// What a step was like.
pub(super) struct Stepped {
    /// What the next round begins with.
    pub(super) parameters: Arc<[f32]>,
    /// The model that the run would be left with.
    pub(super) released: Arc<[f32]>,
    pub(super) learning_rate: f64,
    pub(super) adaptive: Option<Adapted>,
}

impl ServerModel {
    pub(super) fn new(
        plan: &Plan,
        config: &RunConfig,
        parameters: Vec<f32>,
    ) -> Result<Self, RunError> {
        if parameters.len() != plan.classifier.parameters {
            return Err(RunError::Parameters {
                found: parameters.len(),
                expected: plan.classifier.parameters,
            });
        }
        let adaptive = plan.adaptive_clipping().copied();
        let server = &config.server;
        Ok(Self {
            strategy: server.optimiser.make(server.given(), parameters.len()),
            average: server.average.map(|decay| Average::new(decay, &parameters)),
            parameters,
            schedule: server.clone(),
            rounds: plan.rounds.get(),
            summed: plan.summed(),
            lattice: plan.submitted_step(),
            divisor: server
                .aggregate
                .divisor(plan.divisor.get(), config.clients.len()),
            clients: (!plan.is_private()).then_some(config.clients.len()),
            reach: plan.local_steps().map(control_variates::reach),
            adaptive: adaptive.map(|rule| (rule, rule.first_threshold() as f32)),
        })
    }

    /// Goes on from a round's result.
    pub(super) fn restore(&mut self, stored: &Checkpoint) -> Result<(), RunError> {
        if stored.parameters.len() != self.parameters.len() {
            return Err(RunError::Parameters {
                found: stored.parameters.len(),
                expected: self.parameters.len(),
            });
        }
        self.parameters = stored.parameters.to_vec();
        let mut remembered = stored.optimiser.clone();
        if let Some(average) = &mut self.average {
            average.take_from(&mut remembered)?;
        }
        self.strategy.restore(remembered)?;
        match (&mut self.adaptive, stored.threshold) {
            (Some((_, threshold)), Some(stored)) => *threshold = stored,
            (None, None) => {}
            _ => {
                let reason = "the stored result and the plan disagree on adaptive clipping";
                return Err(RunError::Privacy(reason.into()));
            }
        }
        Ok(())
    }

    /// What the server's optimiser remembers, with the average where there is one.
    pub(super) fn optimiser(&self) -> State {
        let mut state = self.strategy.state();
        if let Some(average) = &self.average {
            average.remember_in(&mut state);
        }
        state
    }

    /// The model of a round's result, as it was released then.
    ///
    /// # Errors
    /// [`RunError`] where the result isn't this run's.
    pub(super) fn released(&self, stored: &Checkpoint) -> Result<Arc<[f32]>, RunError> {
        let Some(average) = &self.average else {
            return Ok(Arc::clone(&stored.parameters));
        };
        let mut average = average.clone();
        average.take_from(&mut stored.optimiser.clone())?;
        Ok(average.parameters())
    }

    /// The threshold that clients are told next, with adaptive clipping.
    pub(super) fn threshold(&self) -> Option<f32> {
        self.adaptive.as_ref().map(|(_, threshold)| *threshold)
    }

    /// What a round begins with, as clients get it.
    pub(super) fn encoded(&self) -> Arc<[u8]> {
        let variate = self.strategy.variate().unwrap_or_default();
        let told = self.threshold().into_iter();
        let told = told.chain(variate.iter().map(|c| *c as f32));
        let numbers = self.parameters.len() + told.clone().count();
        // Written where it stays, by all threads: a large model isn't copied once more.
        let mut bytes: Arc<[u8]> = repeat_n(0, numbers * size_of::<f32>()).collect();
        let places = Arc::make_mut(&mut bytes).as_chunks_mut().0;
        let (of_parameters, of_told) = places.split_at_mut(self.parameters.len());
        in_stretches(of_parameters, &self.parameters, [], |to, w, []| {
            for (to, w) in to.iter_mut().zip(w) {
                *to = w.to_le_bytes();
            }
        });
        for (to, number) in of_told.iter_mut().zip(told) {
            *to = number.to_le_bytes();
        }
        bytes
    }

    /// Takes the strategy's step on the mean of a noised sum, in which so many clients took part.
    pub(super) fn step(&mut self, round: u32, sum: LatticeVector, came: usize) -> Stepped {
        let mut total = sum.into_f64(self.lattice);
        let adaptive = self.adapt(&mut total);
        // A sum of differences points where the parameters should go, a gradient away from it.
        let sign = match self.summed {
            Summed::Gradients => 1.0,
            Summed::Deltas => -1.0,
        };
        let scale = sign / self.divisor;
        let stretches = total.par_chunks_mut(STRETCH);
        stretches.for_each(|stretch| stretch.iter_mut().for_each(|x| *x *= scale));
        let learning_rate = learning_rate(&self.schedule, round, self.rounds);
        let of = Step {
            learning_rate,
            share: self.clients.map(|all| came as f64 / all.max(1) as f64),
            reach: self.reach,
        };
        self.strategy.step(&mut self.parameters, &total, of);
        let parameters: Arc<[f32]> = Arc::from(self.parameters.as_slice());
        let released = match &mut self.average {
            Some(average) => {
                average.add(u64::from(round), &self.parameters);
                average.parameters()
            }
            None => Arc::clone(&parameters),
        };
        Stepped {
            parameters,
            released,
            learning_rate,
            adaptive,
        }
    }

    /// With adaptive clipping, takes the sum of the units' bits off the noised sum, brings the
    /// rest back to the scale of the gradients, and learns the next threshold.
    fn adapt(&mut self, total: &mut Vec<f64>) -> Option<Adapted> {
        let (rule, threshold) = self.adaptive.as_mut()?;
        let now = f64::from(*threshold);
        let bits = total.pop().unwrap_or_default();
        let scale = rule.scale(now);
        let stretches = total.par_chunks_mut(STRETCH);
        stretches.for_each(|stretch| stretch.iter_mut().for_each(|x| *x /= scale));
        let unclipped = rule.share_found(bits);
        *threshold = rule.next_threshold(now, unclipped) as f32;
        Some(Adapted {
            unclipped,
            threshold: f64::from(*threshold),
        })
    }
}
