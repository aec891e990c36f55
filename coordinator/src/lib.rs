//! The coordinator of a federated run.
//!
//! | module | what it is for |
//! |---|---|
//! | [`config`] | the run's configuration, and the plan that follows from it |
//! | [`round`] | the round engine: a pure state machine |
//! | [`hall`] | where clients' calls meet the engine |
//! | [`run`] | the driver: ledger, noise, optimiser, in that order; scores in the background |
//! | [`strategy`] | what the server makes of a round's mean, one file a strategy |
//! | [`accumulator`] | what an update must be |
//! | [`evaluation`] | accuracy and loss on public files |
//! | [`run_folder`] | what a run leaves on disk |
//! | [`latest_round`] | a round's result on disk, before anybody gets it |
//! | [`recorder`], [`conduct`](mod@conduct) | metrics, evaluation and report of a run, around its driver |
//! | [`report`] | the report for people |
//! | [`certify`] | the run's signed certificate |
//! | [`witness`] | what coordinator and sites show each other of their ledgers, and sign |
//! | [`verify`](mod@verify) | checking a run's folder against its certificate |
//! | [`prepare`] | from a configuration file to a run ready to be driven |
//! | [`grpc`] | the service, for runs over the network |
//! | [`serve`](mod@serve) | a run over the network |
//! | [`init`] | certificates and configurations for a new federation |

#![forbid(unsafe_code)]

pub mod accumulator;
pub mod base_model;
mod books;
pub mod certify;
pub mod clock;
pub mod conduct;
pub mod config;
pub mod evaluation;
pub mod grpc;
pub mod hall;
pub mod init;
pub mod latest_round;
pub mod prepare;
pub mod recorder;
pub mod report;
pub mod round;
pub mod run;
pub mod run_folder;
pub mod run_report;
mod schedule;
pub mod serve;
pub mod strategy;
pub mod verify;
pub mod witness;
