//! The states of a run.

use umbel_proto::message::Ending;

use super::collection::Collection;
use super::event::Participation;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for clients.
    Gathering,
    /// Too few clients are here, so nobody trains. The run goes on when enough are back.
    Paused {
        /// The round that is to begin then.
        round: u32,
        /// Tries before it.
        attempt: u32,
    },
    /// Waiting for the budget gate's word on this round.
    Gate {
        /// The round.
        round: u32,
        /// Tries before this one. Each is asked for: where sites add the noise, each costs.
        attempt: u32,
    },
    /// Waiting for the cohort.
    Draw {
        /// The round.
        round: u32,
        /// Tries before this one.
        attempt: u32,
    },
    /// Taking updates.
    Collecting {
        /// The round.
        round: u32,
        /// Tries before this one.
        attempt: u32,
        /// Who may send one, and who has.
        collection: Collection,
    },
    /// The round takes no more updates; waiting for the ledger.
    Spending {
        /// The round.
        round: u32,
        /// Who took part.
        participation: Participation,
    },
    /// The round is paid for; waiting for its result.
    Releasing {
        /// The round.
        round: u32,
    },
    /// Over.
    Done(Ending),
}
