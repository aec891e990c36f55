//! Workers that run clients in turn, in waves.
//!
//! A client is in the queue, in the wave, at rest, or gone. A wave is all clients that were queued when
//! it began. They all prepare; then what they wrote into their ledgers becomes durable, together; and
//! only then they act. Whoever is asked for while it is in a wave is in the next one, too, so that no
//! question is lost between its last look and its rest.
//!
//! While there is a client for every worker, each trains its own on one thread. The last clients of a wave are
//! trained by all threads together.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};
use umbel_privacy::ledger::book::{Batch, Committed};
use umbel_proto::message::ClientId;

/// A client that does what there is to do, and comes back.
pub(super) trait TakesTurns: Send {
    /// Its name.
    fn name(&self) -> &ClientId;

    /// Does what goes before training: it joins, or pays for what it is asked. Rounds before
    /// `round` are over. [`Turn::Again`] if it wants to act.
    fn prepare(&mut self, round: u32) -> Turn;

    /// Whether what it prepared takes long, so that it is worth a thread of its own.
    fn computes(&self) -> bool;

    /// Does what it prepared, now that it is durable. [`Turn::Again`] if there is more.
    fn act(&mut self, durable: &Committed) -> Turn;

    /// What it prepared couldn't be made durable: it takes no other turn.
    fn spoil(&mut self, why: &io::Error);

    /// A turn of it panicked: it takes no other one.
    fn give_up(&mut self);
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Another one.
    Again,
    /// Another one, when it is asked.
    Rest,
    /// Nothing.
    Gone,
}

/// What a panic leaves.
pub(super) type Panic = Box<dyn Any + Send>;

/// Begins what becomes durable together.
pub(super) type Begin = Box<dyn Fn() -> io::Result<Batch> + Send + Sync>;

/// Clients and their queue.
pub(super) struct Pool<C> {
    begin: Begin,
    state: Mutex<State<C>>,
    changed: Condvar,
}

struct State<C> {
    seats: BTreeMap<ClientId, Seat<C>>,
    /// Who is in the next wave.
    queue: Vec<ClientId>,
    stage: Stage,
    /// Who is yet to take its turn in this stage, with what it prepared.
    waiting: VecDeque<Box<C>>,
    /// Who wants to act in this wave.
    prepared: VecDeque<Box<C>>,
    /// Turns that are being taken.
    running: usize,
    /// Clients that aren't gone.
    left: usize,
    /// Rounds before this one are over.
    round: u32,
    /// Whether nobody rests any more.
    closing: bool,
    panic: Option<Panic>,
}

enum Stage {
    /// There is no wave.
    Between,
    Preparing(io::Result<Batch>),
    Committing,
    Acting(Arc<io::Result<Committed>>),
}

/// Boxed, since thousands of clients go from one place to another in each wave.
enum Seat<C> {
    Queued(Box<C>),
    InWave { asked: bool },
    AtRest(Box<C>),
    Gone,
}

/// A turn of a client.
enum Job {
    Prepare { round: u32 },
    Act(Arc<io::Result<Committed>>),
}

impl<C: TakesTurns> Pool<C> {
    /// Has all of these in the first wave.
    pub(super) fn of(clients: impl IntoIterator<Item = C>, begin: Begin) -> Self {
        let (mut seats, mut queue) = (BTreeMap::new(), Vec::new());
        for client in clients {
            queue.push(client.name().clone());
            seats.insert(client.name().clone(), Seat::Queued(Box::new(client)));
        }
        Self {
            begin,
            state: Mutex::new(State {
                left: seats.len(),
                seats,
                queue,
                stage: Stage::Between,
                waiting: VecDeque::new(),
                prepared: VecDeque::new(),
                running: 0,
                round: 0,
                closing: false,
                panic: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Has these take another turn. Rounds before `round` are over.
    pub(super) fn ask<'a>(&self, clients: impl IntoIterator<Item = &'a ClientId>, round: u32) {
        let mut state = self.lock();
        state.round = round;
        clients.into_iter().for_each(|client| state.ask(client));
        drop(state);
        self.changed.notify_all();
    }

    /// Has everybody take a last turn.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        let everybody: Vec<ClientId> = state.seats.keys().cloned().collect();
        everybody.iter().for_each(|client| state.ask(client));
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until nobody is queued or at work, or everybody takes a last turn.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        while !state.closing && !state.is_settled() {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether all clients are gone.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().left == 0
    }

    /// Runs clients until all are gone. To be called by each of so many workers.
    pub(super) fn work(&self, workers: NonZero<usize>) {
        // Without a thread of its own a worker computes as the last clients of a wave do.
        let own = ThreadPoolBuilder::new().num_threads(1).build().ok();
        while let Some((mut client, job, others)) = self.next() {
            let prepared = matches!(job, Job::Prepare { .. });
            let crowded = !prepared && others + 1 >= workers.get();
            let own = own.as_ref().filter(|_| crowded && client.computes());
            let turn = catch_unwind(AssertUnwindSafe(|| job.run_on(own, &mut *client)));
            match turn {
                Ok(turn) => self.put_back(client, turn, prepared),
                Err(panic) => {
                    // What it holds is as it was left, so that it is only told to go.
                    let _ = catch_unwind(AssertUnwindSafe(|| client.give_up()));
                    self.lock().panic.get_or_insert(panic);
                    self.put_back(client, Turn::Gone, prepared);
                }
            }
        }
    }

    /// The first panic of a turn.
    pub(super) fn take_panic(&self) -> Option<Panic> {
        self.lock().panic.take()
    }

    /// Waits for a turn that somebody may take, and tells how many others wait for theirs.
    fn next(&self) -> Option<(Box<C>, Job, usize)> {
        let mut state = self.lock();
        loop {
            if let Some(client) = state.waiting.pop_front() {
                state.running += 1;
                return Some((client, state.job(), state.waiting.len()));
            }
            let idle = state.running == 0;
            match &state.stage {
                Stage::Preparing(_) if idle => state = self.commit(state),
                Stage::Acting(_) if idle => {
                    state.stage = Stage::Between;
                    self.changed.notify_all();
                }
                Stage::Between if state.left == 0 => return None,
                Stage::Between if !state.queue.is_empty() => {
                    state.begin((self.begin)());
                    self.changed.notify_all();
                }
                _ => {
                    let woken = self.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Makes durable what the wave has prepared, and lets it act.
    fn commit<'a>(&'a self, mut state: MutexGuard<'a, State<C>>) -> MutexGuard<'a, State<C>> {
        let Stage::Preparing(batch) = std::mem::replace(&mut state.stage, Stage::Committing) else {
            return state;
        };
        drop(state);
        let committed = batch.and_then(Batch::commit);
        let mut state = self.lock();
        state.stage = Stage::Acting(Arc::new(committed));
        state.waiting = std::mem::take(&mut state.prepared);
        self.changed.notify_all();
        state
    }

    fn put_back(&self, client: Box<C>, turn: Turn, was_preparing: bool) {
        let name = client.name().clone();
        let mut guard = self.lock();
        let state = &mut *guard;
        state.running -= 1;
        let mut gone = None;
        if let Some(seat) = state.seats.get_mut(&name) {
            let asked = matches!(seat, Seat::InWave { asked: true });
            match turn {
                Turn::Again if was_preparing => state.prepared.push_back(client),
                Turn::Again => {
                    *seat = Seat::Queued(client);
                    state.queue.push(name);
                }
                Turn::Rest if asked => {
                    *seat = Seat::Queued(client);
                    state.queue.push(name);
                }
                Turn::Rest if !state.closing => *seat = Seat::AtRest(client),
                Turn::Rest | Turn::Gone => {
                    *seat = Seat::Gone;
                    state.left -= 1;
                    gone = Some(client);
                }
            }
        }
        let stage_over = state.running == 0 && state.waiting.is_empty();
        drop(guard);
        // It may have much to give back.
        drop(gone);
        if stage_over {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Seats and queue are changed together, by code that doesn't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    fn is_settled(&self) -> bool {
        let at_work = self.running > 0 || !self.waiting.is_empty();
        matches!(self.stage, Stage::Between) && self.queue.is_empty() && !at_work
    }

    fn ask(&mut self, client: &ClientId) {
        let Some(seat) = self.seats.get_mut(client) else {
            return;
        };
        match std::mem::replace(seat, Seat::Gone) {
            Seat::AtRest(resting) => {
                *seat = Seat::Queued(resting);
                self.queue.push(client.clone());
            }
            Seat::InWave { .. } => *seat = Seat::InWave { asked: true },
            unchanged => *seat = unchanged,
        }
    }

    /// Begins a wave of all that are queued.
    fn begin(&mut self, batch: io::Result<Batch>) {
        for name in std::mem::take(&mut self.queue) {
            if let Some(seat) = self.seats.get_mut(&name)
                && let Seat::Queued(client) = std::mem::replace(seat, Seat::InWave { asked: false })
            {
                self.waiting.push_back(client);
            }
        }
        self.stage = Stage::Preparing(batch);
    }

    /// What a client does in this stage.
    fn job(&self) -> Job {
        match &self.stage {
            Stage::Acting(committed) => Job::Act(Arc::clone(committed)),
            _ => Job::Prepare { round: self.round },
        }
    }
}

impl Job {
    /// Runs it by these threads, or by those that all workers share.
    fn run_on(&self, own: Option<&ThreadPool>, client: &mut impl TakesTurns) -> Turn {
        match own {
            Some(own) => own.install(|| self.run(client)),
            None => self.run(client),
        }
    }

    fn run(&self, client: &mut impl TakesTurns) -> Turn {
        match self {
            Self::Prepare { round } => client.prepare(*round),
            Self::Act(committed) => match &**committed {
                Ok(durable) => client.act(durable),
                Err(why) => {
                    client.spoil(why);
                    Turn::Gone
                }
            },
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
