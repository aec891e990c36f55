//! The coordinator of a federated run.
//!
//! | module | what it is for |
//! |---|---|
//! | [`config`] | the run's configuration, and the plan that follows from it |
//! | [`round`] | the round engine: a pure state machine |
//! | [`lobby`] | where clients' calls meet the engine |
//! | [`aggregate`] | what an update must be, and the sum |
//! | [`run`] | from a configuration to a report: preparation, driver, service |
//! | [`strategy`] | what the server makes of a round's mean, one file a strategy |
//! | [`store`] | what a run keeps on disk |
//! | [`observe`] | scores and metrics, beside the run's path |
//! | [`report`] | the report for people |
//! | [`certificate`] | the run's certificate: made, countersigned, checked |
//! | [`control`] | what the operator can ask of a run while it goes on |
//! | [`startup`] | what is looked at before the port opens |
//! | [`grpc`] | the service, for runs over the network |
//! | [`init`] | certificates and configurations for a new federation |
//! | [`command_line`] | what `umbel-coordinator` can be asked to do |

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod aggregate;
pub mod certificate;
pub mod command_line;
pub mod config;
pub mod control;
pub mod grpc;
pub mod init;
pub mod lobby;
pub mod observe;
pub mod report;
pub mod round;
pub mod run;
pub mod startup;
pub mod store;
pub mod strategy;
