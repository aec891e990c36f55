//! What a run's journal holds, record by record.
//!
//! The order of a round: [`Record::Opened`], any number of [`Record::Accepted`],
//! [`Record::Closed`], the ledger's entry, [`Record::Spent`], the stored result,
//! [`Record::Released`]. An attempt that came to nothing is followed by the next
//! [`Record::Opened`].

use serde::{Deserialize, Serialize};
use umbel_privacy::ledger::{EntryHash, LedgerPoint};
use umbel_proto::message::{BlobDigest, ClientId};

/// The version of the journal's format that this program writes. There is no earlier one; the
/// first that changes anything must bring what reads this one.
pub const FORMAT_VERSION: u32 = 1;

/// Something that happened to a run, and is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The run began.
    Begun(RunBegun),
    /// An attempt at a round was opened.
    Opened(RoundOpened),
    /// An update is stored. It counts if its attempt is open, and isn't closed without it.
    Accepted {
        /// The round that it is for.
        round: u32,
        /// The attempt at it.
        attempt: u32,
        /// Whose.
        client: ClientId,
        /// SHA-256 of its bytes.
        update: BlobDigest,
    },
    /// The open attempt takes no more updates, and is about to be paid for.
    Closed(RoundClosed),
    /// The ledger has the closed round's entry.
    Spent {
        /// Its hash.
        entry: EntryHash,
    },
    /// The closed round's result is stored, and may be published.
    Released(RoundReleased),
    /// The run is over, however it ended, and its folder is complete.
    Ended,
    /// A person began another run in its place.
    Abandoned,
}

/// What is fixed for all of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBegun {
    /// 128 random bits, in hexadecimal digits.
    pub id: String,
    /// The run's name.
    pub run: String,
    /// SHA-256 of its plan.
    pub plan: BlobDigest,
    /// SHA-256 of what isn't in the plan and moves the model all the same: the server's
    /// optimiser, the divisor and who takes part.
    pub conditions: BlobDigest,
    /// Seconds since 1970.
    pub unix_time: u64,
    /// Where the coordinator's ledger stood.
    pub ledger: LedgerPoint,
}

/// How an attempt at a round began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundOpened {
    /// The round, from 1.
    pub round: u32,
    /// Tries before this one.
    pub attempt: u32,
    /// Who is to train.
    pub cohort: Vec<ClientId>,
    /// Who was here.
    pub present: Vec<ClientId>,
    /// SHA-256 of the parameters as clients get them.
    pub parameters: BlobDigest,
    /// When the attempt's time is over, in seconds since 1970.
    pub deadline: u64,
}

/// How a round was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundClosed {
    /// The round.
    pub round: u32,
    /// What is in its sum, in the order of the clients' names.
    pub updates: Vec<CountedUpdate>,
    /// Who was given the task.
    pub asked: Vec<ClientId>,
    /// The ledger's last entry then; `None` without privacy.
    pub ledger_head: Option<EntryHash>,
}

/// An update that counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedUpdate {
    /// Whose.
    pub client: ClientId,
    /// SHA-256 of its bytes.
    pub update: BlobDigest,
}

/// What a round came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundReleased {
    /// The round.
    pub round: u32,
    /// The entry that paid for it; `None` without privacy.
    pub entry: Option<EntryHash>,
    /// SHA-256 of the stored parameters.
    pub parameters: BlobDigest,
    /// SHA-256 of the stored state of the server's optimiser.
    pub optimiser: BlobDigest,
    /// The next round's clipping threshold, its 32 bits, with adaptive clipping.
    pub threshold: Option<u32>,
}
