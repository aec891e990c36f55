//! Updates, their receipts, and the files that are fetched.

use super::{LONGEST_REASON, WireError, digest, round};
use crate::message::{BlobDigest, Receipt, UpdateAnnouncement};
use crate::printable::printable;
use crate::wire;

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
