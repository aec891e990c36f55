//! What a run would be left with if it ended now.

use std::sync::Arc;

use super::observer::Health;
use super::summary::RoundSummary;

/// A round's parameters.
pub(super) type Model = (u32, Arc<[f32]>);

/// The last sound model, and the newest one until its scores are known.
#[derive(Default)]
pub(super) struct Kept {
    sound: Option<Model>,
    unjudged: Option<Model>,
    diverged: Option<u32>,
}

impl Kept {
    /// What a run had that is taken up again.
    pub(super) fn before(sound: Option<Model>) -> Self {
        Self {
            sound,
            ..Self::default()
        }
    }

    /// A round was found to have diverged before the run was taken up again.
    pub(super) fn had_diverged(&mut self, round: u32) {
        self.diverged = Some(round);
    }

    /// A round's parameters are out. Finite ones may be kept, once they are judged.
    pub(super) fn published(&mut self, summary: &RoundSummary) {
        if summary.is_finite() {
            self.unjudged = Some((summary.round, Arc::clone(&summary.parameters)));
        } else {
            self.diverged = Some(summary.round);
        }
    }

    /// The newest model was looked at.
    pub(super) fn judged(&mut self, round: u32, health: Health) {
        let newest = self.unjudged.take();
        match health {
            Health::Sound | Health::Settled => self.sound = newest.or(self.sound.take()),
            Health::Diverged => self.diverged = self.diverged.or(Some(round)),
        }
    }

    /// The round after which the model's numbers weren't finite any more.
    pub(super) fn diverged(&self) -> Option<u32> {
        self.diverged
    }

    /// The last round that was found sound.
    pub(super) fn into_model(self) -> Option<Model> {
        self.sound
    }
}
