//! What the operator of a coordinator can ask of it while it runs, on the same machine.
//!
//! A coordinator listens on a socket in its run's journal, which nobody but its user can open. A
//! line of JSON goes in, a line of JSON comes out. So `umbel-coordinator status` works beside the
//! run, needs no port and no password, and never touches the run's files.
//!
//! | module | what it is for |
//! |---|---|
//! | [`status`] | what is told of a run |
//! | `listen` | the coordinator's end |
//! | `ask` | the operator's end |

mod ask;
mod listen;
pub mod status;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use ask::{AskError, ask};
pub use listen::Listening;
use status::Status;

use crate::lobby::Lobby;

/// The socket's name in a run's journal.
const SOCKET: &str = "control.sock";

/// The longest line that is read from either side, in bytes: ten thousand clients fit.
const LONGEST_LINE: u64 = 4 << 20;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do", deny_unknown_fields)]
pub enum Request {
    /// Say how the run stands.
    Status,
    /// Stop, to be gone on with: as soon as no result is in hand, or once the open round is done.
    Stop {
        /// Whether the round that is open is finished first.
        after_round: bool,
    },
    /// Begin no further round until [`Request::Resume`].
    Pause,
    /// Begin rounds again.
    Resume,
}

/// The answer: how the run stands, after what was asked is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Done(Box<Status>),
    /// It wasn't understood.
    Refused(String),
}

/// Does what is asked, and says how the run stands then.
fn answer(request: Request, lobby: &Lobby) -> Answer {
    match request {
        Request::Status => {}
        Request::Stop { after_round: false } => lobby.shut_down(),
        Request::Stop { after_round: true } => lobby.stop_after_round(),
        Request::Pause => lobby.hold(true),
        Request::Resume => lobby.hold(false),
    }
    Answer::Done(Box::new(Status::of(lobby)))
}

/// Where the socket of the run in this folder is.
fn socket(journal: &Path) -> PathBuf {
    journal.join(SOCKET)
}
