//! The command line of `umbel-client`, in the library so that tests can hold documents against it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use umbel_proto::exit_code::ExitKind;

/// A data site of a federated run: trains on its own table and sends nothing but what its
/// own ledger has paid for.
#[derive(Parser)]
#[command(
    version,
    after_help = ExitKind::help()
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
#[expect(
    missing_docs,
    reason = "clap would show them in place of each command's own"
)]
pub enum Command {
    Run(Run),
    Check(Check),
    Key(Key),
}

/// Look whether this site could take part, without taking part
///
/// Table, labels and units by count, ledger and budget, certificate; and, with the coordinator in
/// reach, its plan, policy, memory, speed and the clocks. No row leaves, nothing is charged, and no
/// file is made or changed. The exit code is the one with which `run` would end, or 0.
#[derive(Args)]
pub struct Check {
    /// The site's configuration (client.toml).
    pub config: PathBuf,
    /// Don't ask the coordinator.
    #[arg(long)]
    pub offline: bool,
    /// `policy.data_set` is other data than any that the ledger knows.
    #[arg(long)]
    pub new_data_set: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Print the public half of the key with which this site signs
///
/// Makes the key if there is none. Tell the digits to whoever verifies runs, by a way that
/// the coordinator doesn't control: `umbel verify RUN_DIR --site NAME=DIGITS`.
#[derive(Args)]
pub struct Key {
    /// The site's configuration (client.toml).
    pub config: PathBuf,
}

/// Take part in a run until it ends
///
/// Dials out to the coordinator; nothing needs to reach this machine. May be started again
/// at any time: the ledger remembers what was spent, and an update that was paid for is sent
/// again unchanged. It joins a coordinator that was started again. On SIGTERM or SIGINT it tells
/// the coordinator that it is leaving, and ends.
#[derive(Args)]
pub struct Run {
    /// The site's configuration (client.toml).
    pub config: PathBuf,
    /// `policy.data_set` is other data than any that the ledger knows, so its spending
    /// begins at 0. Not needed for a new ledger.
    #[arg(long)]
    pub new_data_set: bool,
    /// Write logs as JSON, one object a line.
    #[arg(long)]
    pub log_json: bool,
}
