//! How long the present phase may take.

use std::time::Duration;

use crate::run::clock::Clock;

/// A moment of the run's clock, or none.
pub(super) struct Deadline<'a> {
    clock: &'a dyn Clock,
    at: Option<Duration>,
}

impl<'a> Deadline<'a> {
    pub(super) fn none(clock: &'a dyn Clock) -> Self {
        Self { clock, at: None }
    }

    pub(super) fn set(&mut self, seconds: u64) {
        self.at = Some(self.clock.elapsed() + Duration::from_secs(seconds));
    }

    /// Has it pass after so much time, unless it passes sooner. Says whether that is a change.
    pub(super) fn bring_forward(&mut self, after: Duration) -> bool {
        let at = self.clock.elapsed().saturating_add(after);
        let sooner = self.at.is_none_or(|set| at < set);
        if sooner {
            self.at = Some(at);
        }
        sooner
    }

    pub(super) fn clear(&mut self) {
        self.at = None;
    }

    /// How long to wait before looking at it again: once a second at least, so that a stalled
    /// clock can't hang a run.
    pub(super) fn wait(&self) -> Duration {
        let second = Duration::from_secs(1);
        self.at.map_or(second, |at| {
            at.saturating_sub(self.clock.elapsed()).min(second)
        })
    }

    /// Whether it has passed; true once for each that was set.
    pub(super) fn has_passed(&mut self) -> bool {
        self.at.take_if(|at| self.clock.elapsed() >= *at).is_some()
    }
}
