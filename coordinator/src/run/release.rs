//! A round's result: noise, step, store, publish.

use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::noised::{NoPrivacy, Noised};
use umbel_privacy::release::add_noise;
use umbel_privacy::unit::NoisePlacement;
use umbel_proto::message::ClientId;

use super::RunError;
use super::background::Background;
use super::cohort;
use super::driver::{Driver, PaidRound};
use super::summary::{RoundSummary, TookPart};
use crate::lobby::{Absence, Shown};
use crate::round::{Event, Participation};
use crate::store::{Change, Checkpoint, Told};

impl Driver<'_> {
    /// Noise, step, store, publish. The result is scored after that.
    pub(super) fn release(
        &mut self,
        round: u32,
        participation: Participation,
        background: &mut Background<'_>,
    ) -> Result<(), RunError> {
        let began = self.clock.elapsed();
        let noised = self.noised_sum(round)?;
        let noised_after = self.clock.elapsed();
        let absences = self.lobby.note_missing(round, &participation.missing);
        let why = |client: &ClientId| absences.get(client).copied().unwrap_or(Absence::Late);
        let took_part = self.published(participation, why);
        let noised = noised.post_process(|sum| self.step(round, sum, took_part));
        let stepped_after = self.clock.elapsed();
        let released = noised.store(|(_, checkpoint)| {
            let stored = self.store.commit(Change::Released(checkpoint));
            stored.map_err(RunError::from)
        })?;
        let (summary, _) = released.into_value();
        tracing::debug!(
            round,
            noise = ?noised_after.saturating_sub(began),
            step = ?stepped_after.saturating_sub(noised_after),
            store = ?self.clock.elapsed().saturating_sub(stepped_after),
            "the times that a sum's last stages took"
        );
        self.lobby.show(Shown {
            epsilon: summary.epsilon,
            closes_at: None,
        });
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
        if self.settled.is_some_and(|settled| settled < round) {
            tracing::info!(
                round,
                "scores on public rows don't get better any more, so the run ends here \
                 (evaluation.stop_after)"
            );
            self.lobby.tell(Event::Stop);
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
        sum: LatticeVector,
        took_part: Option<TookPart>,
    ) -> (RoundSummary, Checkpoint) {
        let came = took_part.as_ref().map_or(0, |part| part.gave.len());
        let stepped = self.model.step(round, sum, came);
        let summary = RoundSummary {
            round,
            epsilon: self.charges.epsilon(),
            took_part,
            parameters: stepped.released,
            learning_rate: stepped.learning_rate,
            adaptive: stepped.adaptive,
            ledger_head: self.charges.head(),
            at: self.clock.elapsed().saturating_add(self.before),
        };
        let checkpoint = Checkpoint {
            round,
            parameters: stepped.parameters,
            optimiser: self.model.optimiser(),
            threshold: self.model.threshold(),
            entry: self.charges.head_hash(),
            told: Told {
                epsilon: summary.epsilon,
                learning_rate: summary.learning_rate,
                unclipped: summary.adaptive.map(|adapted| adapted.unclipped),
                seconds: summary.at.as_secs_f64(),
            },
        };
        (summary, checkpoint)
    }

    /// What may be said of who took part: nothing where the client is the unit.
    pub(super) fn published(
        &self,
        participation: Participation,
        why: impl Fn(&ClientId) -> Absence,
    ) -> Option<TookPart> {
        (!self.plan.hides_clients()).then(|| TookPart::of(participation, why))
    }
}
