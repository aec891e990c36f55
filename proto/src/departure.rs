//! Why a client leaves, by class. A sentence may quote a row, and stays at the site.

use std::fmt;

use crate::message::Instance;
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
    /// The run is over, and it has what it came for.
    Done,
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
            Self::Done => "it has what it came for",
        })
    }
}

/// What `instance` says when it leaves.
pub fn leave_request(why: Departure, instance: Instance) -> wire::LeaveRequest {
    wire::LeaveRequest {
        why: wire::Departure::from(why).into(),
        instance: instance.0,
    }
}

impl From<Departure> for wire::Departure {
    fn from(why: Departure) -> Self {
        match why {
            Departure::Unsaid => Self::Unsaid,
            Departure::Shutdown => Self::Shutdown,
            Departure::Budget => Self::Budget,
            Departure::Policy => Self::Policy,
            Departure::Ledger => Self::Ledger,
            Departure::Model => Self::Model,
            Departure::Done => Self::Done,
        }
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
            wire::Departure::Done => Self::Done,
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
            Departure::Done,
        ];
        for why in all {
            let said = leave_request(why, Instance(7));
            assert_eq!((said.instance, Departure::from(said)), (7, why));
        }
        let unknown = wire::LeaveRequest {
            why: 99,
            instance: 7,
        };
        assert_eq!(Departure::from(unknown), Departure::Unsaid);
    }
}
