//! Whom a run waits for, and how long: for the rest of a round, for clients that are missing or silent,
//! and for the operator.

use umbel_proto::message::ClientId;

use super::deadline::Limited;
use super::driver::Driver;
use crate::round::Event;

impl Driver<'_> {
    /// Waits for the rest of a round only for a while, in proportion to how long the others took.
    pub(super) fn grant_grace(&mut self, round: u32, attempt: u32) {
        let took = self.clock.elapsed().saturating_sub(self.opened);
        let grace = self.config.federation.grace.of(took);
        // An action that was queued before the round was closed says nothing any more.
        let open = Limited::Attempt { round, attempt }.is(&self.lobby.phase());
        if open && self.deadline.bring_forward(grace) {
            tracing::info!(
                round,
                seconds = grace.as_secs_f64(),
                "enough updates are here; the others have this long (federation.grace)"
            );
        }
    }

    pub(super) fn check_deadline(&mut self) {
        if let Some(of) = self.deadline.has_passed() {
            let event = match of {
                Limited::Gathering => Event::GatheringOver,
                Limited::Attempt { .. } | Limited::Pause { .. } => Event::DeadlinePassed,
            };
            self.lobby.tell_at(|phase| of.is(phase), event);
        }
    }

    /// Begins or ends waiting before a round for the operator's word.
    pub(super) fn wait_at_gate(&mut self, waits: bool) {
        self.held_at_gate = waits;
        self.lobby.wait_at_gate(waits);
    }

    /// Waits for clients that are missing.
    pub(super) fn pause(&mut self, round: u32, missing: &[ClientId]) {
        let missing: Vec<&str> = missing.iter().map(ClientId::as_str).collect();
        tracing::warn!(
            round,
            missing = missing.join(", "),
            hours = self.patience.pause.as_secs_f64() / 3600.0,
            "too few clients are here, so the run pauses; it goes on as soon as enough are back, \
             and ends if they aren't in time (federation.patience_seconds)"
        );
        let limited = Limited::Pause { round };
        self.deadline.set(limited, self.patience.pause.as_secs());
    }

    /// Goes on without clients of which nothing is heard.
    pub(super) fn check_silence(&mut self) {
        if self.patience.silence.is_none() {
            return;
        }
        let heard = self.lobby.take_heard();
        let (now, present) = (self.clock.elapsed(), self.lobby.present());
        for client in self.silence.check(now, heard, present) {
            self.lobby.note_silent(&client);
        }
    }
}
