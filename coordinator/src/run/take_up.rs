//! Going on with a run that was cut off, and stopping one so that it can be gone on with.

use std::time::Duration;

use umbel_proto::message::BlobDigest;

use super::RunError;
use super::background::Background;
use super::driver::Driver;
use super::kept::Kept;
use super::observer::{Health, Observer};
use super::summary::{Adapted, Driven, RoundSummary};
use crate::lobby::{Absence, Halt};
use crate::round::{Event, Phase};
use crate::store::{Checkpoint, CountedUpdate, History, OpenAttempt, RoundClosed};

impl Driver<'_> {
    /// Goes on from what is stored. Returns the last round's result if it has to be looked at
    /// (again).
    pub(super) fn take_up(
        &mut self,
        observer: &dyn Observer,
    ) -> Result<Option<RoundSummary>, RunError> {
        let begun = || RunError::Stored("the run's store doesn't say that it began".into());
        let history = self.store.load()?.ok_or_else(begun)?;
        self.cut_off.clone_from(&history.open);
        if history.done() == 0 {
            return Ok(None);
        }
        let last = self.stored(history.done())?;
        self.model.restore(&last)?;
        self.before = Duration::try_from_secs_f64(last.told.seconds).unwrap_or_default();
        match observer.found(last.round) {
            Some(found @ (Health::Sound | Health::Settled)) => {
                self.note_settled(last.round, found);
                self.kept = Kept::before(Some((last.round, self.model.released(&last)?)));
                Ok(None)
            }
            found => {
                let sound = match last.round {
                    1 => None,
                    round => {
                        let before = self.stored(round - 1)?;
                        Some((round - 1, self.model.released(&before)?))
                    }
                };
                self.kept = Kept::before(sound);
                if found == Some(Health::Diverged) {
                    self.kept.had_diverged(last.round);
                    return Ok(None);
                }
                self.summary_of(&last, &history).map(Some)
            }
        }
    }

    fn stored(&self, round: u32) -> Result<Checkpoint, RunError> {
        let missing = || {
            RunError::Stored(format!(
                "the result of round {round} isn't in the run's journal any more; put it back, or \
                 begin anew with --new, which is charged anew"
            ))
        };
        self.store.checkpoint(round)?.ok_or_else(missing)
    }

    /// A stored round as it was when it was released.
    fn summary_of(&self, stored: &Checkpoint, history: &History) -> Result<RoundSummary, RunError> {
        let seconds = Duration::try_from_secs_f64(stored.told.seconds).unwrap_or_default();
        let unclipped = stored.told.unclipped;
        Ok(RoundSummary {
            round: stored.round,
            epsilon: stored.told.epsilon,
            took_part: self.published(history.participation.clone(), |_| Absence::Forgotten),
            parameters: self.model.released(stored)?,
            learning_rate: stored.told.learning_rate,
            adaptive: unclipped
                .zip(stored.threshold)
                .map(|(unclipped, threshold)| Adapted {
                    unclipped,
                    threshold: f64::from(threshold),
                }),
            ledger_head: stored.entry.map(|entry| entry.to_string()),
            at: self.clock.elapsed().saturating_add(seconds),
        })
    }

    /// If the last round's result was stored and the run cut off before anybody heard of its
    /// end: looks at the result, and ends the run. A run that had diverged ends so.
    pub(super) fn finish_last_release(&mut self, background: &mut Background<'_>) {
        if let Some(round) = self.kept.diverged() {
            return self.end_diverged(round);
        }
        if matches!(self.lobby.phase(), Phase::Releasing { .. }) && self.settle(background) {
            self.lobby.tell(Event::Released);
        }
    }

    /// The parameters that clients are offered must be those that they were offered before.
    pub(super) fn check_start(
        &self,
        cut_off: &OpenAttempt,
        parameters: BlobDigest,
    ) -> Result<(), RunError> {
        if cut_off.opened.parameters == parameters {
            return Ok(());
        }
        let round = cut_off.opened.round;
        Err(RunError::Stored(format!(
            "round {round} began with other parameters than this program now comes to; go on with the \
             program and the base model that began the run, or begin anew with --new, which is charged \
             anew"
        )))
    }

    /// An entry pays for one sum: that of the set which was closed.
    pub(super) fn check_set(
        &self,
        closed: &RoundClosed,
        found: &[CountedUpdate],
    ) -> Result<(), RunError> {
        if closed.updates == found || self.mechanism.is_none() {
            return Ok(());
        }
        let lacks = closed
            .updates
            .iter()
            .filter(|update| !found.contains(update));
        let lacks: Vec<&str> = lacks.map(|update| update.client.as_str()).collect();
        Err(RunError::Stored(format!(
            "round {} was closed with updates that can't be had any more, of {}; start again when \
             these clients are back, or begin anew with --new, which is charged anew",
            closed.round,
            lacks.join(", ")
        )))
    }

    /// Whether the run can stop here: not with a result in hand, unless it can't be stored.
    pub(super) fn may_stop(&self, halt: &Halt) -> bool {
        let phase = self.lobby.phase();
        let in_hand = matches!(
            phase,
            Phase::Spending { .. } | Phase::Releasing { .. } | Phase::Done(_)
        );
        match halt {
            Halt::Store(_) => true,
            Halt::Shutdown => !in_hand,
            Halt::AfterRound => !in_hand && !matches!(phase, Phase::Collecting { .. }),
        }
    }

    /// Stops, once the last result was looked at.
    pub(super) fn stop(
        &mut self,
        halt: Halt,
        background: &mut Background<'_>,
    ) -> Result<Driven, RunError> {
        // Clients hear now that the coordinator goes, whatever it waited for.
        self.lobby.shut_down();
        self.settle(background);
        match halt {
            Halt::Shutdown | Halt::AfterRound => Ok(Driven::Paused {
                rounds: self.lobby.rounds_done(),
            }),
            Halt::Store(reason) => Err(RunError::Stored(reason)),
        }
    }
}
