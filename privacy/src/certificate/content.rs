//! What a certificate says.
//!
//! Nothing in it comes from private rows but through the ledger's events, which are public
//! settings, and through the hashes of released files.

use serde::{Deserialize, Serialize};

use crate::accountant::Delta;
use crate::accountant::event::{MechanismEvent, NoiseMultiplier};
use crate::certificate::accounting::AccountantName;
use crate::certificate::countersignature::Countersignature;
use crate::certificate::key::PublicKey;
use crate::certificate::lineage::{Ancestor, BaseStatement, Rows};
use crate::clip::ClippingNorm;
use crate::digest::Sha256Digest;
use crate::lattice::LatticeStep;
use crate::ledger::EntryHash;
use crate::poisson::SamplingRate;
use crate::unit::{Adjacency, NoisePlacement, PrivacyUnit};

/// The version of the format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 3;

/// The statement of one run. Its signature stands beside it, in
/// [`super::SignedCertificate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Which run it was, and how it ended.
    pub run: RunStatement,
    /// Whether nobody is protected: there was no privacy unit, or the noise came from a seed.
    pub protects_nobody: bool,
    /// What was promised and what it cost; `None` for unit none.
    pub guarantee: Option<Guarantee>,
    /// The ledger that it rests on. For unit none it holds the mark that the data set was used
    /// so.
    pub ledger: LedgerStatement,
    /// The model that training started from.
    pub base: BaseStatement,
    /// The runs that the base model descends from, the nearest first.
    pub lineage: Vec<Ancestor>,
    /// In how many rounds each client's update counted. `None` where the client itself is
    /// the unit that is protected, since that would say who took part.
    pub participation: Option<Vec<Participant>>,
    /// What each site signed, of those that were there at the end. `None` where the client
    /// itself is the unit: there they stay with the coordinator's operator and with the sites.
    pub sites: Option<Vec<Countersignature>>,
    /// The released files and the run's other documents.
    pub files: Vec<FileStatement>,
    /// The key whose signature stands under this.
    pub public_key: PublicKey,
}

/// Which run it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStatement {
    /// The name of the run's folder, which no other run has.
    pub id: String,
    /// The run's name, as its ledger entries have it.
    pub name: String,
    /// Name and version of the software.
    pub software: String,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// When it ended, in seconds since 1970.
    pub ended: u64,
    /// `complete`, `budget-exhausted`, `failed` or `diverged`.
    pub ending: String,
    /// Rounds that were planned.
    pub rounds_planned: u32,
    /// Rounds whose result was released.
    pub rounds_released: u32,
    /// SHA-256 of the plan that every client was given, the file `plan.json`.
    pub plan_sha256: Sha256Digest,
}

/// What was promised, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// What one neighbouring data set may add or remove.
    pub unit: PrivacyUnit,
    /// Which data sets are neighbours.
    pub adjacency: Adjacency,
    /// Where the noise was added.
    pub placement: NoisePlacement,
    /// Standard deviation of the noise over the clipping norm: σ.
    pub noise_multiplier: NoiseMultiplier,
    /// The sampling rate for which amplification is claimed: q, 1 where none is.
    pub sampling_rate: SamplingRate,
    /// Drawings of noise in one round.
    pub draws_per_round: u32,
    /// What one drawing is to an accountant.
    pub mechanism: MechanismEvent,
    /// The Euclidean norm to which one unit's contribution was clipped: C.
    pub clipping_norm: ClippingNorm,
    /// The grid on which sums and noise lie: γ.
    pub lattice_step: LatticeStep,
    /// Whether the noise came from a seed, so that it can be computed and taken off.
    pub seeded: bool,
    /// What epsilon leaves out: an additive bound on how much likelier any result may be.
    pub delta: Delta,
    /// The epsilon that the run was allowed to reach on the data set.
    pub budget_epsilon: f64,
    /// Who computed the figures below.
    pub accountant: AccountantName,
    /// Of this run alone.
    pub run: Accounted,
    /// Of everything that the ledger has on the same data set.
    pub data_set: Accounted,
    /// Of that and of what the base model's lineage cost besides: what counts.
    pub total: Accounted,
}

/// What some events cost together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounted {
    /// Epsilon at the guarantee's delta; `None` where nothing finite is known.
    pub epsilon: Option<f64>,
    /// What happened, in a form that users of `dp_accounting` recognise. Where noise came from
    /// a seed, that is [`MechanismEvent::NON_PRIVATE`].
    pub events: Vec<MechanismEvent>,
}

/// The ledger at the end of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerStatement {
    /// The data set's key in it.
    pub data_set: String,
    /// Whether a person named the data set, or the run's name stood in.
    pub data_set_named: bool,
    /// Length of `ledger.jsonl` in bytes.
    pub bytes: u64,
    /// SHA-256 of all of these bytes.
    pub sha256: Sha256Digest,
    /// Entries in all.
    pub entries: u64,
    /// The index of this run's first entry. All later ones are its own, too: nobody else
    /// could write while it ran.
    pub first_of_run: u64,
    /// How many entries are this run's.
    pub of_run: u64,
    /// The hash of the last entry.
    pub head: EntryHash,
}

impl LedgerStatement {
    /// The rows that the run trained on, as far as names tell.
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            data_set: &self.data_set,
            named: self.data_set_named,
        }
    }
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// Its name.
    pub client: String,
    /// Rounds in which its update counted.
    pub rounds: u32,
}

/// One file of the run's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileStatement {
    /// Where it is in the run's folder, with `/` between folders. What is in `model/` and
    /// `adapter/` was released.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Sha256Digest,
}

/// The folders of a run of which every file is released: the model, and adapters where
/// they were trained.
pub const RELEASED: [&str; 2] = ["model", "adapter"];

/// Where a copy of the certificate lies with the released model, so that the two stay together.
pub const CERTIFICATE_COPY: &str = "model/umbel_certificate.json";

/// Whether a path, seen from the run's folder, is in one of the [`RELEASED`] folders.
pub fn in_released_folder(path: &str) -> bool {
    path.split_once('/')
        .is_some_and(|(folder, _)| RELEASED.contains(&folder))
}

impl FileStatement {
    /// The statement about a file with this content.
    pub fn of(path: impl Into<String>, content: &[u8]) -> Self {
        Self {
            path: path.into(),
            bytes: content.len() as u64,
            sha256: Sha256Digest::of(content),
        }
    }

    /// Whether the file is part of the released model.
    pub fn is_released(&self) -> bool {
        in_released_folder(&self.path)
    }
}
