//! Workers that run clients in turn.
//!
//! A client is in the queue, with a worker, at rest, or gone. Whoever is asked for while a worker has
//! it gets another turn, so that no question is lost between its last look and its rest.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use umbel_proto::message::ClientId;

/// A client that does what there is to do, and comes back.
pub(super) trait TakesTurns: Send {
    /// Its name.
    fn name(&self) -> &ClientId;

    /// Does all that is asked of it now.
    fn take_turn(&mut self) -> Turn;

    /// A turn of it panicked: it takes no other one.
    fn give_up(&mut self);
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Another one, when it is asked.
    Rest,
    /// Nothing.
    Gone,
}

/// What a panic leaves.
pub(super) type Panic = Box<dyn Any + Send>;

/// Clients and their queue.
pub(super) struct Pool<C> {
    state: Mutex<State<C>>,
    changed: Condvar,
}

struct State<C> {
    seats: BTreeMap<ClientId, Seat<C>>,
    queue: VecDeque<ClientId>,
    /// Clients that aren't gone.
    left: usize,
    /// Whether nobody rests any more.
    closing: bool,
    panic: Option<Panic>,
}

enum Seat<C> {
    Queued(C),
    AtWork { asked: bool },
    AtRest(C),
    Gone,
}

impl<C: TakesTurns> Pool<C> {
    /// Has each of these take a turn first.
    pub(super) fn of(clients: impl IntoIterator<Item = C>) -> Self {
        let (mut seats, mut queue) = (BTreeMap::new(), VecDeque::new());
        for client in clients {
            queue.push_back(client.name().clone());
            seats.insert(client.name().clone(), Seat::Queued(client));
        }
        Self {
            state: Mutex::new(State {
                left: seats.len(),
                seats,
                queue,
                closing: false,
                panic: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Has these take another turn.
    pub(super) fn ask<'a>(&self, clients: impl IntoIterator<Item = &'a ClientId>) {
        let mut state = self.lock();
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

    /// Whether all clients are gone.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().left == 0
    }

    /// Runs clients until all are gone. To be called by each worker.
    pub(super) fn work(&self) {
        while let Some(mut client) = self.next() {
            match catch_unwind(AssertUnwindSafe(|| client.take_turn())) {
                Ok(turn) => self.put_back(client, turn),
                Err(panic) => {
                    // What it holds is as it was left, so that it is only told to go.
                    let _ = catch_unwind(AssertUnwindSafe(|| client.give_up()));
                    self.lock().panic.get_or_insert(panic);
                    self.put_back(client, Turn::Gone);
                }
            }
        }
    }

    /// The first panic of a turn.
    pub(super) fn take_panic(&self) -> Option<Panic> {
        self.lock().panic.take()
    }

    fn next(&self) -> Option<C> {
        let nothing = |state: &mut State<C>| state.left > 0 && state.queue.is_empty();
        let mut state = self
            .changed
            .wait_while(self.lock(), nothing)
            .unwrap_or_else(PoisonError::into_inner);
        while let Some(name) = state.queue.pop_front() {
            if let Some(seat) = state.seats.get_mut(&name)
                && let Seat::Queued(client) =
                    std::mem::replace(seat, Seat::AtWork { asked: false })
            {
                return Some(client);
            }
        }
        None
    }

    fn put_back(&self, client: C, turn: Turn) {
        let name = client.name().clone();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(seat) = state.seats.get_mut(&name) else {
            return;
        };
        let asked = matches!(seat, Seat::AtWork { asked: true });
        let (now, gone) = match turn {
            Turn::Rest if asked => {
                state.queue.push_back(name);
                (Seat::Queued(client), None)
            }
            Turn::Rest if !state.closing => (Seat::AtRest(client), None),
            Turn::Rest | Turn::Gone => (Seat::Gone, Some(client)),
        };
        *seat = now;
        state.left -= usize::from(gone.is_some());
        let wake = asked || state.left == 0;
        drop(guard);
        // It may have much to give back.
        drop(gone);
        if wake {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Seats and queue are changed together, by code that doesn't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    fn ask(&mut self, client: &ClientId) {
        let Some(seat) = self.seats.get_mut(client) else {
            return;
        };
        match std::mem::replace(seat, Seat::Gone) {
            Seat::AtRest(resting) => {
                *seat = Seat::Queued(resting);
                self.queue.push_back(client.clone());
            }
            Seat::AtWork { .. } => *seat = Seat::AtWork { asked: true },
            unchanged => *seat = unchanged,
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
