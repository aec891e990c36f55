//! What is done to a run, drawn from a seed; and less of it, for a run that failed.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A site's process ends.
    Site(usize),
    /// The coordinator's does.
    Coordinator,
    /// All do, at once.
    Everybody,
    /// A site's link is cut for so many seconds.
    Cut(usize, u64),
    /// A message comes late.
    Late,
    /// The coordinator's wall clock jumps by so many seconds.
    Jump(i64),
    /// A machine's disk is full, until the next fault but one.
    Full(Machine),
    /// A machine is suspended for so many seconds.
    Suspended(Machine, u64),
}

/// A machine of the federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    Coordinator,
    Site(usize),
}

/// All that a run suffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Each a while after the one before.
    pub list: Vec<(Duration, Fault)>,
    /// Whether messages are lost and repeated.
    pub messages: bool,
    /// Whether processes end at their writes.
    pub writes: bool,
    /// Whether it may be a machine that goes down where a process ends.
    pub outages: bool,
}

impl Faults {
    pub fn none() -> Self {
        Self {
            list: Vec::new(),
            messages: false,
            writes: false,
            outages: false,
        }
    }

    pub fn drawn(seed: u64, sites: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0066_6175_6c74_7321);
        let count = rng.random_range(0..12);
        let machine = |rng: &mut ChaCha8Rng| match rng.random_range(0..=sites) {
            0 => Machine::Coordinator,
            n => Machine::Site(n - 1),
        };
        let fault = |rng: &mut ChaCha8Rng| match rng.random_range(0..15) {
            0..4 => Fault::Site(rng.random_range(0..sites)),
            4..6 => Fault::Coordinator,
            6 => Fault::Everybody,
            7..9 => Fault::Cut(rng.random_range(0..sites), rng.random_range(2..400)),
            9..11 => Fault::Late,
            11..13 => Fault::Full(machine(rng)),
            13 => Fault::Suspended(machine(rng), rng.random_range(2..900)),
            _ => Fault::Jump([-86_400, 86_400, 3][rng.random_range(0..3)]),
        };
        let list = (0..count).map(|_| {
            let pause = Duration::from_millis(rng.random_range(1..15_000));
            (pause, fault(&mut rng))
        });
        let list = list.collect();
        Self {
            list,
            messages: rng.random_range(0..4) > 0,
            writes: rng.random_range(0..4) > 0,
            outages: rng.random_range(0..4) > 0,
        }
    }

    /// Each way to suffer a little less.
    fn less(&self) -> Vec<Self> {
        let mut less = Vec::new();
        for i in 0..self.list.len() {
            let mut fewer = self.clone();
            fewer.list.remove(i);
            less.push(fewer);
        }
        if self.messages {
            less.push(Self {
                messages: false,
                ..self.clone()
            });
        }
        if self.writes {
            less.push(Self {
                writes: false,
                ..self.clone()
            });
        }
        if self.outages {
            less.push(Self {
                outages: false,
                ..self.clone()
            });
        }
        less
    }

    /// As little as still fails.
    pub fn shrunk(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        while let Some(smaller) = self.less().into_iter().find(&fails) {
            self = smaller;
        }
        self
    }
}
