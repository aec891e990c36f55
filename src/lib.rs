//! Federated learning with differential privacy.
//!
//! This is the facade: the parts live in crates of their own and are named here, and
//! [`simulation`] runs a whole federation in one process, from the same code that runs it
//! over a network. [`mod@bench`] measures how fast a machine trains. [`commands`] are those of the binary `umbel`, whose
//! [`command_line`] stands here so that tests can read it.
//!
//! | crate | what it owns |
//! |---|---|
//! | [`privacy`] | clipping, the lattice, noise, accounting, the ledger |
//! | [`model`] | the classifier, its data, per-unit private gradients |
//! | [`proto`] | the plan of a run and what travels |
//! | [`client`] | a data site |
//! | [`coordinator`] | rounds, server optimisers, reports, the service |

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod bench;
pub mod command_line;
pub mod commands;
pub mod failure;
mod population;
mod simulated_sites;
mod simulated_tables;
pub mod simulation;
mod virtual_clients;
mod virtual_time;

// The commands name this crate as any other user of it does.
extern crate self as umbel;

pub use umbel_client as client;
pub use umbel_coordinator as coordinator;
pub use umbel_model as model;
pub use umbel_privacy as privacy;
pub use umbel_proto as proto;
