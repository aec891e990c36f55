//! How many updates a round needs, and when it stops waiting for more.

use super::engine::Engine;
use super::event::Action;
use super::phase::Phase;

impl Engine {
    /// Says that enough updates are here, where `enough` of those given and those needed holds.
    pub(super) fn quorum_reached(&self, enough: fn(usize, usize) -> bool) -> Option<Action> {
        let Phase::Collecting {
            round,
            attempt,
            collection,
        } = &self.phase
        else {
            return None;
        };
        let percent = self
            .settings
            .quorum
            .filter(|_| !self.settings.independent)?;
        let share = (collection.cohort().len() * usize::from(percent)).div_ceil(100);
        enough(collection.given(), share.max(self.needed()).max(1)).then_some(Action::GrantGrace {
            round: *round,
            attempt: *attempt,
        })
    }

    /// Updates that a round needs.
    pub(super) fn needed(&self) -> usize {
        if self.settings.independent {
            0
        } else {
            self.settings.minimum
        }
    }

    /// Whether a round ends when its time is over, and never before.
    pub(super) fn takes_its_time(&self) -> bool {
        self.waits_for_all() && !self.settings.closes_early
    }

    /// Whether a round waits for those, too, who aren't here.
    pub(super) fn waits_for_all(&self) -> bool {
        self.settings.independent && self.settings.patient
    }
}
