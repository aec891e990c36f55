//! Where a run stood when it was cut off, as far as the engine is concerned.

use std::collections::{BTreeMap, BTreeSet};

use umbel_proto::message::{BlobDigest, ClientId};

/// Where a run stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stood {
    /// Rounds whose result is stored.
    pub done: u32,
    /// Who was here. They are expected back, so that a round is open for them and waits for
    /// them until its deadline.
    pub present: BTreeSet<ClientId>,
    /// The attempt that was open.
    pub open: Option<OpenRound>,
}

/// An attempt at a round that was open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRound {
    /// The round.
    pub round: u32,
    /// Tries before this one.
    pub attempt: u32,
    /// Who was to train.
    pub cohort: BTreeSet<ClientId>,
    /// The updates that are in the sum, by their digests.
    pub given: BTreeMap<ClientId, BlobDigest>,
    /// If it was closed already: with whose updates. Nobody else's count any more.
    pub closed: Option<BTreeSet<ClientId>>,
}
