//! How long the present phase may take.

use std::time::Duration;

use crate::round::Phase;
use crate::run::clock::Clock;

/// A moment of the run's clock, or none.
pub(super) struct Deadline<'a> {
    clock: &'a dyn Clock,
    at: Option<Duration>,
    of: Limited,
}

/// What a deadline limits. When it has passed the run may be at something else: on a machine that
/// was suspended, much happens at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    Gathering,
    Attempt { round: u32, attempt: u32 },
    Pause { round: u32 },
}

impl Limited {
    /// Whether that is what the run is at.
    pub(super) fn is(self, phase: &Phase) -> bool {
        match (self, phase) {
            (Self::Gathering, Phase::Gathering) => true,
            (
                Self::Attempt { round, attempt },
                Phase::Collecting {
                    round: r,
                    attempt: a,
                    ..
                },
            ) => (round, attempt) == (*r, *a),
            (Self::Pause { round }, Phase::Paused { round: r, .. }) => round == *r,
            _ => false,
        }
    }
}

impl<'a> Deadline<'a> {
    pub(super) fn none(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            at: None,
            of: Limited::Gathering,
        }
    }

    pub(super) fn set(&mut self, of: Limited, seconds: u64) {
        self.of = of;
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

    /// What it limited, if it has passed; once for each that was set.
    pub(super) fn has_passed(&mut self) -> Option<Limited> {
        let passed = self.at.take_if(|at| self.clock.elapsed() >= *at);
        passed.map(|_| self.of)
    }
}
