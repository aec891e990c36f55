//! How a run stands, for its operator, and what the operator asks of it.

use std::fmt;

use umbel_proto::departure::Departure;
use umbel_proto::message::ClientId;

use super::Lobby;
use super::attendance::Attendance;
use super::state::{Halt, Seat, State};
use crate::round::Phase;

/// How a run stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// What it is doing, in words.
    pub(crate) doing: String,
    /// Rounds whose result is out.
    pub(crate) rounds_done: u32,
    /// Rounds that are planned.
    pub(crate) rounds_planned: u32,
    /// Epsilon spent, as the driver last said.
    pub(crate) epsilon: Option<f64>,
    /// When the open round closes, in seconds since 1970.
    pub(crate) closes_at: Option<u64>,
    /// Whether no further round begins.
    pub(crate) held: bool,
    /// Whether it stops.
    pub(crate) stopping: bool,
    /// Each client.
    pub(crate) clients: Vec<(ClientId, Whereabouts, Attendance)>,
}

/// Where a client is, as far as the coordinator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// It never joined.
    Never,
    /// It joined and isn't ready: it reads its table, say.
    Joining,
    /// It is ready, and nothing is asked of it.
    Ready,
    /// It was given the open round's task.
    Training,
    /// Its update of the open round counts.
    Gave,
    /// Nothing is heard of it.
    Silent,
    /// It left.
    Left(Departure),
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never joined",
            Self::Joining => "joined, and not ready yet",
            Self::Ready => "ready",
            Self::Training => "training",
            Self::Gave => "its update is here",
            Self::Silent => "nothing is heard of it",
            Self::Left(why) => return write!(f, "left: {why}"),
        })
    }
}

/// Why nothing that counts came of a client in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It wasn't there.
    Away(Away),
    /// What it sent was refused.
    Refused,
    /// It was there, and its update wasn't when the round closed.
    Late,
    /// The coordinator was started again since, and doesn't know any more.
    Forgotten,
}

/// How a client wasn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// It never joined.
    Never,
    /// It joined and wasn't ready.
    Joining,
    /// Nothing was heard of it.
    Silent,
    /// It had left.
    Left(Departure),
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Away(Away::Never) => "it never joined",
            Self::Away(Away::Joining) => "it had joined and wasn't ready",
            Self::Away(Away::Silent) => "nothing was heard of it",
            Self::Away(Away::Left(why)) => return write!(f, "it had left: {why}"),
            Self::Refused => "its update was refused",
            Self::Late => "its update wasn't there in time",
            Self::Forgotten => "the coordinator was started again and doesn't know why",
        })
    }
}

impl Whereabouts {
    fn absence(self, refused: bool) -> Absence {
        match self {
            Self::Never => Absence::Away(Away::Never),
            Self::Joining => Absence::Away(Away::Joining),
            Self::Silent => Absence::Away(Away::Silent),
            Self::Left(why) => Absence::Away(Away::Left(why)),
            Self::Ready | Self::Training | Self::Gave if refused => Absence::Refused,
            Self::Ready | Self::Training | Self::Gave => Absence::Late,
        }
    }
}

impl State {
    /// Why a client gave nothing in the round that just closed.
    pub(super) fn why_missing(&self, client: &ClientId, round: u32) -> Absence {
        match self.seats.get(client) {
            Some(seat) => {
                let refused = seat.refused_in == Some(round);
                self.whereabouts(client, seat).absence(refused)
            }
            None => Absence::Away(Away::Never),
        }
    }

    /// Where a client is.
    pub(super) fn whereabouts(&self, client: &ClientId, seat: &Seat) -> Whereabouts {
        if let Some(why) = seat.attendance.left {
            return Whereabouts::Left(why);
        }
        if seat.silent {
            return Whereabouts::Silent;
        }
        if seat.ready.is_none() {
            return match seat.joined {
                Some(_) => Whereabouts::Joining,
                None if seat.attendance.joined => Whereabouts::Silent,
                None => Whereabouts::Never,
            };
        }
        let Phase::Collecting { collection, .. } = self.engine.phase() else {
            return Whereabouts::Ready;
        };
        if self.counted.contains_key(client) {
            Whereabouts::Gave
        } else if collection.lacks(client) {
            Whereabouts::Training
        } else {
            Whereabouts::Ready
        }
    }

    fn doing(&self) -> String {
        match self.engine.phase() {
            Phase::Gathering => "waiting for clients".into(),
            Phase::Paused { round, .. } => {
                format!("too few clients are here for round {round}; waiting for them")
            }
            Phase::Gate { round, .. } | Phase::Draw { round, .. } => {
                let at = match self.waits_at_gate {
                    true => "waits before",
                    false => "about to begin",
                };
                format!("{at} round {round}")
            }
            Phase::Collecting { round, .. } => {
                format!(
                    "taking updates of round {round}: {} are here",
                    self.counted.len()
                )
            }
            Phase::Spending { round, .. } => format!("paying for round {round}"),
            Phase::Releasing { round } => format!("releasing round {round}"),
            Phase::Done(_) => "over; its report is being written".into(),
        }
    }
}

impl Lobby {
    /// How the run stands.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.lock();
        let clients = state.seats.iter();
        Standing {
            doing: state.doing(),
            rounds_done: state.engine.rounds_done(),
            rounds_planned: state.engine.settings().rounds,
            epsilon: state.shown.epsilon,
            closes_at: state
                .shown
                .closes_at
                .filter(|_| matches!(state.engine.phase(), Phase::Collecting { .. })),
            held: state.held,
            stopping: state.halted.is_some(),
            clients: clients
                .map(|(client, seat)| {
                    let whereabouts = state.whereabouts(client, seat);
                    (client.clone(), whereabouts, seat.attendance.clone())
                })
                .collect(),
        }
    }

    /// Has no further round begin, or lets rounds begin again.
    pub(crate) fn hold(&self, held: bool) {
        self.lock().held = held;
        self.nudge();
    }

    /// Whether no further round is to begin.
    pub(crate) fn is_held(&self) -> bool {
        self.lock().held
    }

    /// Notes whether the driver waits before a round for as long as none is to begin.
    pub(crate) fn wait_at_gate(&self, waits: bool) {
        self.lock().waits_at_gate = waits;
    }

    /// Has the run stop before its next round, to be gone on with.
    pub(crate) fn stop_after_round(&self) {
        self.halt(Halt::AfterRound);
    }

    /// Notes what the driver knows of how the run stands.
    pub(crate) fn show(&self, shown: Shown) {
        self.lock().shown = shown;
    }
}

/// What the driver knows of how a run stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    /// Epsilon spent.
    pub(crate) epsilon: Option<f64>,
    /// When the open round closes, in seconds since 1970.
    pub(crate) closes_at: Option<u64>,
}
