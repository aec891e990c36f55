//! What a client is asked to do.

use super::{LONGEST_REASON, WireError, digest, round};
use crate::message::{Ending, Task};
use crate::printable::printable;
use crate::wire;

/// `None` is the answer that there is nothing to do yet.
impl From<Option<Task>> for wire::TaskReply {
    fn from(task: Option<Task>) -> Self {
        use wire::task_reply::Task as Wire;
        let task = match task {
            None => Wire::None(wire::NoTask {}),
            Some(Task::Train {
                round,
                parameters,
                counted,
            }) => Wire::Train(wire::Train {
                round,
                parameters: parameters.as_bytes().to_vec(),
                counted: counted.map(|update| update.as_bytes().to_vec()),
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
                counted: match &train.counted {
                    Some(update) => Some(digest(update, "Train.counted")?),
                    None => None,
                },
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
