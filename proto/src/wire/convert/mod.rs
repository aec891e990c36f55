//! Checked conversions between the wire and the domain.
//!
//! Everything that a peer sends passes through here once, and is a domain type after
//! that. To the wire it always works; from the wire it may not, and a [`WireError`] names
//! the field. Nothing here panics, whatever comes.

mod ending;
mod join;
mod task;
mod update;

pub use ending::countersign_request;
pub use update::BlobWish;

use umbel_privacy::certificate::{InvalidCountersignature, PublicKey};
use umbel_privacy::ledger::{EntryHash, LedgerPoint};

use crate::message::{BlobDigest, CoordinatorLedger};
use crate::wire;

/// Characters of a sentence from the other side that are kept.
const LONGEST_REASON: usize = 4096;

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
