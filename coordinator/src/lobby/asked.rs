//! Who is asked for an update, for a process that runs many clients and would rather not wait for
//! each of them.

use std::sync::PoisonError;
use std::time::Duration;

use umbel_proto::message::ClientId;

use super::Lobby;
use super::state::{Attempt, State};
use crate::round::Phase;

/// What a run asks of its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An update of each of these. They get the task when they ask for it.
    Train {
        /// For which this is.
        attempt: Attempt,
        /// By name.
        clients: Vec<ClientId>,
    },
    /// No update any more. Clients are told why when they ask for a task.
    NoMore,
}

impl Lobby {
    /// Waits until clients are asked for updates of another attempt than `after`, or for none any
    /// more; at most `wait`. Gives nobody a task.
    pub fn wait_for_asked(&self, after: Option<Attempt>, wait: Duration) -> Option<Asked> {
        let nothing = |state: &mut State| state.asked_after(after).is_none();
        let (state, _) = self
            .for_clients
            .wait_timeout_while(self.lock(), wait, nothing)
            .unwrap_or_else(PoisonError::into_inner);
        state.asked_after(after)
    }

    /// The round and the attempt that is about to be opened, and whether the run pauses before it.
    pub fn about_to_open(&self) -> Option<(u32, u32, bool)> {
        match *self.lock().engine.phase() {
            Phase::Gate { round, attempt } | Phase::Draw { round, attempt } => {
                Some((round, attempt, false))
            }
            Phase::Paused { round, attempt } => Some((round, attempt, true)),
            _ => None,
        }
    }

    /// Has a client that is ready be heard of or be silent from now on, as heartbeats would, for a
    /// process whose clients send none.
    pub fn presume(&self, client: &ClientId, is_there: bool) {
        let mut state = self.lock();
        let Some(seat) = state.seats.get_mut(client) else {
            return;
        };
        if seat.ready.is_none() {
            return;
        }
        if is_there {
            state.note_alive(client, None);
        } else {
            seat.heard = false;
            state.note_silent(client);
        }
        self.wake(state);
    }
}
