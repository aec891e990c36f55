//! Checked conversions between the wire and the domain.
//!
//! Everything that a peer sends passes through here once, and is a domain type after
//! that. To the wire it always works; from the wire it may not, and a [`WireError`] names
//! the field. Nothing here panics, whatever comes.

use std::collections::BTreeSet;

use umbel_privacy::certificate::{Countersignature, InvalidCountersignature, PublicKey};
use umbel_privacy::ledger::{EntryHash, LedgerPoint};

use super as wire;
use crate::message::{
    BlobDigest, CoordinatorLedger, Ending, Hello, Instance, ModelFile, PROTOCOL_VERSION, Receipt,
    Results, Task, UpdateAnnouncement, Welcome,
};
use crate::printable::printable;

/// Characters of a sentence from the other side that are kept.
const LONGEST_REASON: usize = 4096;
/// Characters of a file's name, at most.
const LONGEST_FILE_NAME: usize = 128;

/// A message that breaks the rules of `umbel.proto`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that must be there isn't, or is of a kind that this version doesn't know.
    #[error(
        "{field} is missing, or of a kind that this version doesn't know; install the same \
         version on both sides"
    )]
    Missing {
        /// Message and field.
        field: &'static str,
    },
    /// A digest that isn't one.
    #[error("{field} has {found} bytes; a SHA-256 digest has 32")]
    Digest {
        /// Message and field.
        field: &'static str,
        /// How many bytes it has.
        found: usize,
    },
    /// Rounds count from 1.
    #[error("{field} is 0; rounds count from 1")]
    Round {
        /// Message and field.
        field: &'static str,
    },
    /// A name under which no file may be stored.
    #[error(
        "{name:?} isn't a plain file name of 1 to 128 letters, digits, `.`, `_` or `-`, not \
         beginning with `.`"
    )]
    FileName {
        /// The name.
        name: String,
    },
    /// A statement that the site didn't sign.
    #[error("CountersignRequest.signed: {0}")]
    Countersignature(#[from] InvalidCountersignature),
    /// Two files of one name.
    #[error("the base model has two files called {name}")]
    SameName {
        /// The name.
        name: String,
    },
}

fn digest(bytes: &[u8], field: &'static str) -> Result<BlobDigest, WireError> {
    <[u8; 32]>::try_from(bytes)
        .map(BlobDigest::from)
        .map_err(|_| WireError::Digest {
            field,
            found: bytes.len(),
        })
}

fn round(round: u32, field: &'static str) -> Result<u32, WireError> {
    if round == 0 {
        return Err(WireError::Round { field });
    }
    Ok(round)
}

impl From<Hello> for wire::JoinRequest {
    fn from(hello: Hello) -> Self {
        Self {
            protocol: hello.protocol,
            software: hello.software,
            labels: hello.labels,
            ledger: Some(hello.ledger.into()),
            instance: hello.instance.0,
        }
    }
}

impl TryFrom<wire::JoinRequest> for Hello {
    type Error = WireError;

    fn try_from(request: wire::JoinRequest) -> Result<Self, WireError> {
        // A client of another version may send other fields: what is told to it is that.
        let ledger = match request.ledger {
            None if request.protocol != PROTOCOL_VERSION => LedgerPoint::START,
            ledger => required(ledger, "JoinRequest.ledger")?,
        };
        Ok(Self {
            protocol: request.protocol,
            software: printable(&request.software, usize::MAX),
            labels: request.labels,
            ledger,
            instance: Instance(request.instance),
        })
    }
}

fn required(
    point: Option<wire::LedgerPoint>,
    field: &'static str,
) -> Result<LedgerPoint, WireError> {
    point.ok_or(WireError::Missing { field })?.try_into()
}

impl From<LedgerPoint> for wire::LedgerPoint {
    fn from(point: LedgerPoint) -> Self {
        Self {
            entries: point.entries,
            head: point.head.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<wire::LedgerPoint> for LedgerPoint {
    type Error = WireError;

    fn try_from(point: wire::LedgerPoint) -> Result<Self, WireError> {
        let head = digest(&point.head, "LedgerPoint.head")?;
        Ok(Self {
            entries: point.entries,
            head: EntryHash::from(*head.as_bytes()),
        })
    }
}

impl From<CoordinatorLedger> for wire::CoordinatorLedger {
    fn from(ledger: CoordinatorLedger) -> Self {
        Self {
            public_key: ledger.public_key.as_bytes().to_vec(),
            point: Some(ledger.point.into()),
            digest: ledger.digest.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<wire::CoordinatorLedger> for CoordinatorLedger {
    type Error = WireError;

    fn try_from(ledger: wire::CoordinatorLedger) -> Result<Self, WireError> {
        let key = digest(&ledger.public_key, "CoordinatorLedger.public_key")?;
        Ok(Self {
            public_key: PublicKey::from(*key.as_bytes()),
            point: required(ledger.point, "CoordinatorLedger.point")?,
            digest: digest(&ledger.digest, "CoordinatorLedger.digest")?,
        })
    }
}

/// What a site signed, to the wire.
///
/// # Errors
/// [`WireError`] where it can't be written, which isn't known to happen.
pub fn countersign_request(
    signed: &Countersignature,
) -> Result<wire::CountersignRequest, WireError> {
    let signed = signed.to_bytes()?;
    Ok(wire::CountersignRequest { signed })
}

impl TryFrom<wire::CountersignRequest> for Countersignature {
    type Error = WireError;

    fn try_from(request: wire::CountersignRequest) -> Result<Self, WireError> {
        Ok(Self::read(&request.signed)?)
    }
}

impl From<Option<LedgerPoint>> for wire::CountersignReply {
    fn from(ledger: Option<LedgerPoint>) -> Self {
        Self {
            ledger: ledger.map(Into::into),
        }
    }
}

impl TryFrom<wire::CountersignReply> for Option<LedgerPoint> {
    type Error = WireError;

    fn try_from(reply: wire::CountersignReply) -> Result<Self, WireError> {
        reply.ledger.map(TryInto::try_into).transpose()
    }
}

impl From<Option<Results>> for wire::ResultsReply {
    fn from(results: Option<Results>) -> Self {
        use wire::results_reply::Results as Reply;
        Self {
            results: Some(match results {
                None => Reply::None(wire::NoTask {}),
                Some(Results::Certified(digest)) => Reply::Certificate(digest.as_bytes().to_vec()),
                Some(Results::NoModel) => Reply::NoModel(wire::NoModel {}),
            }),
        }
    }
}

impl TryFrom<wire::ResultsReply> for Option<Results> {
    type Error = WireError;

    fn try_from(reply: wire::ResultsReply) -> Result<Self, WireError> {
        use wire::results_reply::Results as Reply;
        let field = "ResultsReply.results";
        Ok(match reply.results.ok_or(WireError::Missing { field })? {
            Reply::None(_) => None,
            Reply::Certificate(bytes) => Some(Results::Certified(digest(
                &bytes,
                "ResultsReply.certificate",
            )?)),
            Reply::NoModel(_) => Some(Results::NoModel),
        })
    }
}

impl From<Welcome> for wire::JoinReply {
    fn from(welcome: Welcome) -> Self {
        Self {
            plan: welcome.plan,
            files: welcome.files.into_iter().map(Into::into).collect(),
            coordinator: Some(welcome.coordinator.into()),
            remembered: welcome.remembered.map(Into::into),
        }
    }
}

impl TryFrom<wire::JoinReply> for Welcome {
    type Error = WireError;

    fn try_from(reply: wire::JoinReply) -> Result<Self, WireError> {
        let mut names = BTreeSet::new();
        let mut files = Vec::with_capacity(reply.files.len());
        for file in reply.files {
            let file = ModelFile::try_from(file)?;
            if !names.insert(file.name.clone()) {
                return Err(WireError::SameName { name: file.name });
            }
            files.push(file);
        }
        Ok(Self {
            plan: reply.plan,
            files,
            coordinator: reply
                .coordinator
                .ok_or(WireError::Missing {
                    field: "JoinReply.coordinator",
                })?
                .try_into()?,
            remembered: reply.remembered.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<ModelFile> for wire::ModelFile {
    fn from(file: ModelFile) -> Self {
        Self {
            name: file.name,
            digest: file.digest.as_bytes().to_vec(),
            bytes: file.bytes,
        }
    }
}

impl TryFrom<wire::ModelFile> for ModelFile {
    type Error = WireError;

    fn try_from(file: wire::ModelFile) -> Result<Self, WireError> {
        // A client stores files under these names, so none may lead out of its folder.
        let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let length = (1..=LONGEST_FILE_NAME).contains(&file.name.len());
        if !length || file.name.starts_with('.') || !file.name.chars().all(ordinary) {
            let name = printable(&file.name, LONGEST_FILE_NAME);
            return Err(WireError::FileName { name });
        }
        Ok(Self {
            name: file.name,
            digest: digest(&file.digest, "ModelFile.digest")?,
            bytes: file.bytes,
        })
    }
}

/// `None` is the answer that there is nothing to do yet.
impl From<Option<Task>> for wire::TaskReply {
    fn from(task: Option<Task>) -> Self {
        use wire::task_reply::Task as Wire;
        let task = match task {
            None => Wire::None(wire::NoTask {}),
            Some(Task::Train { round, parameters }) => Wire::Train(wire::Train {
                round,
                parameters: parameters.as_bytes().to_vec(),
            }),
            Some(Task::Finished(ending)) => Wire::Finished(ending.into()),
        };
        Self { task: Some(task) }
    }
}

impl TryFrom<wire::TaskReply> for Option<Task> {
    type Error = WireError;

    fn try_from(reply: wire::TaskReply) -> Result<Self, WireError> {
        use wire::task_reply::Task as Wire;
        match reply.task {
            None => Err(WireError::Missing {
                field: "TaskReply.task",
            }),
            Some(Wire::None(_)) => Ok(None),
            Some(Wire::Train(train)) => Ok(Some(Task::Train {
                round: round(train.round, "Train.round")?,
                parameters: digest(&train.parameters, "Train.parameters")?,
            })),
            Some(Wire::Finished(finished)) => Ok(Some(Task::Finished(finished.try_into()?))),
        }
    }
}

impl From<Ending> for wire::Finished {
    fn from(ending: Ending) -> Self {
        use wire::finished::Ending as Wire;
        let ending = match ending {
            Ending::Complete => Wire::Complete(wire::Complete {}),
            Ending::BudgetExhausted { rounds } => {
                Wire::BudgetExhausted(wire::BudgetExhausted { rounds })
            }
            Ending::Failed { reason } => Wire::Failed(wire::Failed { reason }),
            Ending::Diverged { round } => Wire::Diverged(wire::Diverged { round }),
            Ending::Stopped { rounds } => Wire::Stopped(wire::Stopped { rounds }),
        };
        Self {
            ending: Some(ending),
        }
    }
}

impl TryFrom<wire::Finished> for Ending {
    type Error = WireError;

    fn try_from(finished: wire::Finished) -> Result<Self, WireError> {
        use wire::finished::Ending as Wire;
        match finished.ending {
            None => Err(WireError::Missing {
                field: "Finished.ending",
            }),
            Some(Wire::Complete(_)) => Ok(Self::Complete),
            Some(Wire::BudgetExhausted(ending)) => Ok(Self::BudgetExhausted {
                rounds: ending.rounds,
            }),
            Some(Wire::Failed(ending)) => Ok(Self::Failed {
                reason: printable(&ending.reason, LONGEST_REASON),
            }),
            Some(Wire::Diverged(ending)) => Ok(Self::Diverged {
                round: round(ending.round, "Diverged.round")?,
            }),
            Some(Wire::Stopped(ending)) => Ok(Self::Stopped {
                rounds: ending.rounds,
            }),
        }
    }
}

impl From<Receipt> for wire::SubmitReply {
    fn from(receipt: Receipt) -> Self {
        use wire::submit_reply::Outcome;
        let outcome = match receipt {
            Receipt::Accepted => Outcome::Accepted(wire::Accepted {}),
            Receipt::Duplicate => Outcome::Duplicate(wire::Duplicate {}),
            Receipt::Late { reason } => Outcome::Late(wire::Late { reason }),
            Receipt::Refused { reason } | Receipt::NotNow { reason } => {
                Outcome::Refused(wire::Refused { reason })
            }
        };
        Self {
            outcome: Some(outcome),
        }
    }
}

impl TryFrom<wire::SubmitReply> for Receipt {
    type Error = WireError;

    fn try_from(reply: wire::SubmitReply) -> Result<Self, WireError> {
        use wire::submit_reply::Outcome;
        match reply.outcome {
            None => Err(WireError::Missing {
                field: "SubmitReply.outcome",
            }),
            Some(Outcome::Accepted(_)) => Ok(Self::Accepted),
            Some(Outcome::Duplicate(_)) => Ok(Self::Duplicate),
            Some(Outcome::Late(late)) => Ok(Self::Late {
                reason: printable(&late.reason, LONGEST_REASON),
            }),
            Some(Outcome::Refused(refused)) => Ok(Self::Refused {
                reason: printable(&refused.reason, LONGEST_REASON),
            }),
        }
    }
}

impl From<UpdateAnnouncement> for wire::UpdateHeader {
    fn from(announcement: UpdateAnnouncement) -> Self {
        Self {
            round: announcement.round,
            total_bytes: announcement.bytes,
            digest: announcement.digest.as_bytes().to_vec(),
            offset: announcement.offset,
        }
    }
}

impl TryFrom<wire::UpdateHeader> for UpdateAnnouncement {
    type Error = WireError;

    fn try_from(header: wire::UpdateHeader) -> Result<Self, WireError> {
        Ok(Self {
            round: round(header.round, "UpdateHeader.round")?,
            bytes: header.total_bytes,
            digest: digest(&header.digest, "UpdateHeader.digest")?,
            offset: header.offset,
        })
    }
}

/// Which blob is asked for, from which byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobWish {
    /// The blob.
    pub digest: BlobDigest,
    /// How many bytes of it the client has already.
    pub offset: u64,
}

impl From<BlobWish> for wire::BlobRequest {
    fn from(wish: BlobWish) -> Self {
        Self {
            digest: wish.digest.as_bytes().to_vec(),
            offset: wish.offset,
        }
    }
}

impl TryFrom<wire::BlobRequest> for BlobWish {
    type Error = WireError;

    fn try_from(request: wire::BlobRequest) -> Result<Self, WireError> {
        Ok(Self {
            digest: digest(&request.digest, "BlobRequest.digest")?,
            offset: request.offset,
        })
    }
}
