//! One baton for many threads. Only its holder runs, and who is next is drawn from a seed, so that a
//! seed decides everything that happens, and in which order. Time stands still unless everybody
//! waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A thread that takes part.
pub type Task = u32;

/// What a killed thread unwinds with.
pub struct Killed;

pub struct Scheduler {
    state: Mutex<State>,
}

struct State {
    rng: ChaCha8Rng,
    now: Duration,
    steps: u64,
    /// Rises with everything that somebody may wait for.
    happened: u64,
    tasks: BTreeMap<Task, Status>,
    wakers: BTreeMap<Task, Arc<Condvar>>,
    killed: BTreeSet<Task>,
    /// Until when tasks stand still, whatever they could do.
    frozen: BTreeMap<Task, Duration>,
    holder: Option<Task>,
}

#[derive(Clone, Copy)]
enum Status {
    Ready,
    /// Sleeps.
    Until(Duration),
    /// Looks again when something happened, or then.
    Waits {
        until: Duration,
        seen: u64,
    },
}

impl Scheduler {
    pub fn seeded(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                rng: ChaCha8Rng::seed_from_u64(seed),
                now: Duration::ZERO,
                steps: 0,
                happened: 0,
                tasks: BTreeMap::new(),
                wakers: BTreeMap::new(),
                killed: BTreeSet::new(),
                frozen: BTreeMap::new(),
                holder: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a thread that is about to be started. The first one holds the baton.
    pub fn enter(&self) -> Task {
        let mut state = self.lock();
        let task = state.wakers.len() as Task;
        state.tasks.insert(task, Status::Ready);
        state.wakers.insert(task, Arc::default());
        state.holder.get_or_insert(task);
        task
    }

    /// The first thing that a thread does.
    pub fn begin(&self, task: Task) {
        let state = self.lock();
        drop(self.until_my_turn(state, task));
    }

    /// The last thing that it does.
    pub fn leave(&self, task: Task) {
        let mut state = self.lock();
        state.tasks.remove(&task);
        state.killed.remove(&task);
        state.happened += 1;
        state.pass_on();
    }

    /// Lets others run, after something was done.
    pub fn step(&self, task: Task) {
        self.pass(task, |state| {
            state.happened += 1;
            Status::Ready
        });
    }

    /// Sleeps.
    pub fn sleep(&self, task: Task, time: Duration) {
        self.pass(task, |state| {
            state.happened += 1;
            Status::Until(state.now + time)
        });
    }

    /// Waits until something happens, after having looked in vain; at most so long.
    pub fn wait(&self, task: Task, longest: Duration) {
        self.pass(task, |state| Status::Waits {
            until: state.now + longest,
            seen: state.happened,
        });
    }

    fn pass(&self, task: Task, status: impl FnOnce(&mut State) -> Status) {
        let mut state = self.lock();
        let status = status(&mut state);
        state.tasks.insert(task, status);
        state.pass_on();
        let mut state = self.until_my_turn(state, task);
        if state.killed.remove(&task) {
            drop(state);
            std::panic::resume_unwind(Box::new(Killed));
        }
    }

    fn until_my_turn<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        task: Task,
    ) -> MutexGuard<'a, State> {
        let waker = Arc::clone(&state.wakers[&task]);
        while state.holder != Some(task) {
            state = waker.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Has a thread stand still for so long, as on a machine that is suspended.
    pub fn freeze(&self, task: Task, time: Duration) {
        let mut state = self.lock();
        let until = state.now + time;
        state.frozen.insert(task, until);
    }

    /// Ends a thread at the place where it waits for the baton.
    pub fn kill(&self, task: Task) {
        let mut state = self.lock();
        if let Some(status) = state.tasks.get_mut(&task) {
            *status = Status::Ready;
            state.killed.insert(task);
            state.frozen.remove(&task);
        }
    }

    /// A number below `below`, from the seed.
    pub fn draw(&self, below: u64) -> u64 {
        self.lock().rng.random_range(0..below)
    }

    /// Whether something happens that does in so many of a thousand cases.
    pub fn chance(&self, per_mille: u64) -> bool {
        self.draw(1000) < per_mille
    }

    pub fn now(&self) -> Duration {
        self.lock().now
    }

    pub fn steps(&self) -> u64 {
        self.lock().steps
    }
}

impl State {
    fn may_run(&self, task: Task, status: Status) -> bool {
        if self
            .frozen
            .get(&task)
            .is_some_and(|until| *until > self.now)
        {
            return false;
        }
        match status {
            Status::Ready => true,
            Status::Until(until) => until <= self.now,
            Status::Waits { until, seen } => until <= self.now || seen < self.happened,
        }
    }

    /// Gives the baton to somebody who may run. If nobody may, time goes on until somebody may.
    fn pass_on(&mut self) {
        self.steps += 1;
        if self.tasks.is_empty() {
            self.holder = None;
            return;
        }
        loop {
            let able = self
                .tasks
                .iter()
                .filter(|(task, status)| self.may_run(**task, **status));
            let able: Vec<Task> = able.map(|(task, _)| *task).collect();
            if able.is_empty() {
                let times = self.tasks.iter().map(|(task, status)| {
                    let thawed = self.frozen.get(task).copied().unwrap_or_default();
                    let awake = match status {
                        Status::Ready => Duration::ZERO,
                        // Something has happened, and it stands still.
                        Status::Waits { seen, .. } if *seen < self.happened => Duration::ZERO,
                        Status::Until(until) | Status::Waits { until, .. } => *until,
                    };
                    awake.max(thawed)
                });
                self.now = times.min().unwrap_or(self.now).max(self.now);
                continue;
            }
            let next = able[self.rng.random_range(0..able.len())];
            self.tasks.insert(next, Status::Ready);
            self.holder = Some(next);
            self.wakers[&next].notify_one();
            return;
        }
    }
}
