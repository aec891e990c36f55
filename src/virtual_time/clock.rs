//! The clock of a run in virtual time.

use std::sync::Arc;
use std::time::Duration;

use umbel_coordinator::run::clock::{Clock, SystemClock};
use umbel_proto::message::ClientId;

use super::{Turns, VirtualTime};

/// Those who run clients.
pub(crate) trait Workers: Send + Sync {
    /// Has these take a turn. Rounds before `round` are over.
    fn run(&self, clients: &[ClientId], round: u32);

    /// Waits until nobody has a turn, or all are on their last one.
    fn settle(&self);
}

/// Goes on when the driver has nothing to do.
pub(crate) struct VirtualClock {
    time: Arc<VirtualTime>,
    workers: Arc<dyn Workers>,
}

impl VirtualClock {
    pub(crate) fn new(time: &Arc<VirtualTime>, workers: Arc<dyn Workers>) -> Self {
        Self {
            time: Arc::clone(time),
            workers,
        }
    }
}

impl Clock for VirtualClock {
    fn elapsed(&self) -> Duration {
        self.time.now()
    }

    /// Ledgers and certificates have the real date.
    fn unix_seconds(&self) -> u64 {
        SystemClock::new().unix_seconds()
    }

    fn wait(&self, longest: Duration, waiting: &mut dyn FnMut(Duration) -> bool) {
        // Nothing happens while somebody is still at what happened before.
        self.workers.settle();
        self.time.call_the_roll();
        if waiting(Duration::ZERO) {
            return;
        }
        if let Some(Turns { clients, round }) = self.time.go_on(longest) {
            self.workers.run(&clients, round);
            self.workers.settle();
            self.time.put_down_begun();
        } else if self.time.is_over() {
            // Clients sign, which takes the machine's time.
            waiting(longest);
            self.time.pass(longest);
        }
    }
}
