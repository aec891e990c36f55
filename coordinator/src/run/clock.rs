//! Time, handed in: nothing else in this crate asks what time it is.

use std::time::{Duration, Instant, SystemTime};

/// Where a run's times come from.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// Seconds since 1970, for entries that people read.
    fn unix_seconds(&self) -> u64;

    /// Waits by `waiting`, which returns after the time that it is given, or sooner if there is
    /// something to do, and says whether there is. A clock that stands still has it look only.
    fn wait(&self, longest: Duration, waiting: &mut dyn FnMut(Duration) -> bool) {
        waiting(longest);
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[allow(clippy::new_without_default, reason = "reading the time is no default")]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_seconds(&self) -> u64 {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}
