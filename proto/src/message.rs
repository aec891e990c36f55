//! The things that travel between coordinator and client, as domain types.

use serde::{Deserialize, Serialize};
use umbel_privacy::certificate::PublicKey;
use umbel_privacy::ledger::LedgerPoint;

pub use crate::name::ClientId;

/// The version of the protocol that this crate speaks. Both sides must agree exactly.
pub const PROTOCOL_VERSION: u32 = 5;

/// The SHA-256 of a blob: the name by which models and parameters are asked for.
pub use umbel_privacy::Sha256Digest as BlobDigest;

/// One process of a client, told from others with the same name: a number that it draws when it
/// begins. If there are two, the one that was ready last is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance(pub u64);

/// How a client introduces itself. It holds nothing about the client's data: not even a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The client's [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Name and version of the client's software, for the coordinator's log.
    pub software: String,
    /// The label set of the site's own configuration; empty where the site takes the run's.
    pub labels: Vec<String>,
    /// Where the site's ledger stands, so that one that got shorter is noticed.
    pub ledger: LedgerPoint,
    /// Which process this is.
    pub instance: Instance,
}

/// What an admitted client is told: the plan, and the blobs that it will need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The plan ([`crate::plan::Plan`]) as the exact JSON bytes whose digest the ledgers name.
    pub plan: Vec<u8>,
    /// The files of the base model.
    pub files: Vec<ModelFile>,
    /// The coordinator's key and its ledger before the run.
    pub coordinator: CoordinatorLedger,
    /// Where the site's ledger stood when the coordinator last saw it, if it ever did. A site
    /// whose ledger didn't go on from there has an old copy of it.
    pub remembered: Option<LedgerPoint>,
}

/// The coordinator's ledger as it was before the run. A site that knows it from before fetches
/// it, to see that it went on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoordinatorLedger {
    /// The key that signs the coordinator's certificates.
    pub public_key: PublicKey,
    /// Where the ledger stands.
    pub point: LedgerPoint,
    /// The blob with its bytes.
    pub digest: BlobDigest,
}

/// One file of the base model, to be fetched by its digest unless the site has it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// `config.json`, `tokenizer.json` or `model.safetensors`.
    pub name: String,
    /// What the file must hash to.
    pub digest: BlobDigest,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What a client is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Train in this round from these parameters (little-endian f32, in layout order).
    Train {
        /// The round, from 1.
        round: u32,
        /// The current trainable parameters, and what else a round begins with.
        parameters: BlobDigest,
        /// This client's last update that is in the model: what a client with a memory of its own
        /// goes on from. `None` where none is.
        counted: Option<BlobDigest>,
    },
    /// The run is over.
    Finished(Ending),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "kebab-case")]
pub enum Ending {
    /// All rounds were done.
    Complete,
    /// The next round would have cost more than the budget.
    BudgetExhausted {
        /// Rounds done before.
        rounds: u32,
    },
    /// The run could not go on.
    Failed {
        /// Why.
        reason: String,
    },
    /// The model's numbers stopped being finite, so that more rounds would only have spent.
    Diverged {
        /// The round after which that was found. It is released and paid for.
        round: u32,
    },
    /// Whoever conducts the run ended it early; what was released by then stands.
    Stopped {
        /// Rounds done before.
        rounds: u32,
    },
}

impl Ending {
    /// What people are told about a run that diverged in this round: what happened, what it
    /// cost and what to do.
    pub fn divergence(round: u32) -> String {
        format!(
            "the run diverged in round {round}: after it the model's parameters or its scores \
             aren't finite numbers, so nothing more was charged; what was charged stays charged. \
             Start anew with a lower learning rate (server.learning_rate, or \
             training.local.learning_rate where clients take steps of their own)"
        )
    }
}

/// What came of a run, for its sites to take home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// Its certificate, which names the released files.
    Certified(BlobDigest),
    /// It left no model.
    NoModel,
}

/// A client's contribution to one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The round that it belongs to.
    pub round: u32,
    /// An encoded lattice vector.
    pub values: Vec<u8>,
}

/// What an upload announces before its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateAnnouncement {
    /// The round that the update belongs to.
    pub round: u32,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it must hash to.
    pub digest: BlobDigest,
    /// From which byte on it is sent: those before are at the coordinator.
    pub offset: u64,
}

impl UpdateAnnouncement {
    /// What to announce before sending this update.
    pub fn of(update: &Update) -> Self {
        Self {
            round: update.round,
            bytes: update.values.len() as u64,
            digest: BlobDigest::of(&update.values),
            offset: 0,
        }
    }
}

/// What became of a submitted update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It counts.
    Accepted,
    /// The very same update was here already, and counts once.
    Duplicate,
    /// Its round isn't open (any more). Nothing is wrong with it: if the round is tried again, the
    /// same update may count.
    Late {
        /// Which round, and what to do.
        reason: String,
    },
    /// The coordinator can't take it now, through no fault of the client's: it is to be sent again.
    /// Over a network this is no answer but a failed call.
    NotNow {
        /// Why.
        reason: String,
    },
    /// It doesn't count.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}
