//! Who is asked for an update, for a process that runs many clients and would rather not wait for
//! each of them.

use std::sync::PoisonError;
use std::time::Duration;

use umbel_proto::message::ClientId;

use super::Lobby;
use super::state::{Attempt, State};

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
}
