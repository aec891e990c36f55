//! How a run ends for a client: what it signs, and what it takes home.

use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;

use super::{WireError, digest};
use crate::message::Results;
use crate::wire;

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
