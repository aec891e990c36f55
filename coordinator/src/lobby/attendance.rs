//! What a run keeps about its clients, for its report.

use umbel_proto::departure::Departure;

/// What became of one client's updates over the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attendance {
    /// Updates that count.
    pub counted: u32,
    /// Tasks to train that it was given: attempts at a round, however often it asked for each.
    /// It may have spent for one update in each, whatever became of it.
    pub asked: u32,
    /// Updates that were refused.
    pub refused: u32,
    /// The last refusal.
    pub last_refusal: Option<String>,
    /// Rounds in whose cohort it was without sending anything that counts.
    pub missed: u32,
    /// Whether it ever joined.
    pub joined: bool,
    /// Why it left before the end, if it did.
    pub left: Option<Departure>,
}

impl Attendance {
    pub(super) fn refuse(&mut self, reason: &str) {
        self.refused += 1;
        self.last_refusal = Some(reason.to_owned());
    }
}

/// Payload bytes that crossed between coordinator and clients, not counting framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent by clients.
    pub up: u64,
    /// Sent to clients.
    pub down: u64,
}
