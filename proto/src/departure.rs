//! Why a client leaves, by class. A sentence may quote a row, and stays at the site.

use std::fmt;

use crate::wire;

/// What a client tells of its reason to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Departure {
    /// Nothing: what is wrong with its data, for one, is its own operator's to know.
    #[default]
    Unsaid,
    /// It was asked to stop, and may be started again.
    Shutdown,
    /// Its budget doesn't allow more.
    Budget,
    /// Its policy forbids the run.
    Policy,
    /// Its ledger can't be used.
    Ledger,
    /// It can't use the model.
    Model,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsaid => "it doesn't say why",
            Self::Shutdown => "it was asked to stop",
            Self::Budget => "its budget doesn't allow more",
            Self::Policy => "its policy forbids the run",
            Self::Ledger => "its ledger can't be used",
            Self::Model => "it can't use the model",
        })
    }
}

impl From<Departure> for wire::LeaveRequest {
    fn from(why: Departure) -> Self {
        let why = match why {
            Departure::Unsaid => wire::Departure::Unsaid,
            Departure::Shutdown => wire::Departure::Shutdown,
            Departure::Budget => wire::Departure::Budget,
            Departure::Policy => wire::Departure::Policy,
            Departure::Ledger => wire::Departure::Ledger,
            Departure::Model => wire::Departure::Model,
        };
        Self { why: why.into() }
    }
}

impl From<wire::LeaveRequest> for Departure {
    fn from(request: wire::LeaveRequest) -> Self {
        match request.why() {
            wire::Departure::Unsaid => Self::Unsaid,
            wire::Departure::Shutdown => Self::Shutdown,
            wire::Departure::Budget => Self::Budget,
            wire::Departure::Policy => Self::Policy,
            wire::Departure::Ledger => Self::Ledger,
            wire::Departure::Model => Self::Model,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_travels_and_an_unknown_one_says_nothing() {
        let all = [
            Departure::Unsaid,
            Departure::Shutdown,
            Departure::Budget,
            Departure::Policy,
            Departure::Ledger,
            Departure::Model,
        ];
        for why in all {
            assert_eq!(Departure::from(wire::LeaveRequest::from(why)), why);
        }
        let unknown = wire::LeaveRequest { why: 99 };
        assert_eq!(Departure::from(unknown), Departure::Unsaid);
    }
}
