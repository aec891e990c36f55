//! Telling failures that pass from failures that stay.

use std::error::Error;

use tonic::{Code, Status};
use umbel_proto::federation::RefusalKind;
use umbel_proto::printable::printable;

use crate::transport::TransportError;

/// Characters of a coordinator's sentence that are kept.
const LONGEST_SENTENCE: usize = 4096;

/// How one attempt at a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Trying again can't help.
    Final(TransportError),
    /// Trying again may help.
    Passing {
        /// What happened.
        reason: String,
        /// Whether this attempt got further than the one before.
        progressed: bool,
    },
}

impl Failure {
    /// A failure that may pass, after an attempt that got nowhere.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing {
            reason: reason.into(),
            progressed: false,
        }
    }

    /// An answer that isn't what was asked for.
    pub(super) fn garbled(reason: impl ToString) -> Self {
        Self::Final(TransportError::Garbled {
            reason: reason.to_string(),
        })
    }

    /// What a call's status means.
    pub(super) fn of(status: &Status) -> Self {
        // A status with a cause was made on this side, out of an error on the way.
        if let Some(cause) = status.source() {
            return Self::passing(chain(cause));
        }
        // It goes into this site's log and onto its operator's terminal.
        let said = printable(status.message(), LONGEST_SENTENCE);
        let refused = |kind| {
            let reason = said.clone();
            Self::Final(TransportError::Refused { kind, reason })
        };
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => refused(RefusalKind::Foreign),
            Code::FailedPrecondition => refused(RefusalKind::Mismatch),
            Code::NotFound => refused(RefusalKind::Missing),
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::AlreadyExists
            | Code::DataLoss => Self::garbled(format!(
                "{}: {}; coordinator and client must be of one version",
                status.code(),
                said
            )),
            code => Self::passing(format!("{code}: {said}")),
        }
    }
}

/// An error with all that caused it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
