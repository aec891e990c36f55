//! The command line of `umbel-coordinator`, in the library so that tests can hold documents
//! against it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use umbel_model::DeviceChoice;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::ClientId;

use crate::init::CoordinatorAddress;

/// The coordinator of a federated run: sums what sites send, adds the noise, keeps the
/// ledger.
#[derive(Parser)]
#[command(
    version,
    after_help = ExitKind::help()
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Write logs as JSON, one object a line.
    #[arg(long, global = true)]
    pub log_json: bool,
}

#[derive(Subcommand)]
#[expect(
    missing_docs,
    reason = "clap would show them in place of each command's own"
)]
pub enum Command {
    Serve(Serve),
    Check(Check),
    Status(Ask),
    Stop(Stop),
    Pause(Ask),
    Resume(Ask),
    Init(Init),
}

/// Conduct a run over the network
///
/// Waits for clients, trains, and leaves a run folder, as `umbel simulate` does. Ends when
/// the run ends. The same command goes on with a run that was cut off, from where it stood.
/// On SIGTERM or SIGINT it finishes the result in hand and stops; a second one ends it at once.
#[derive(Args)]
pub struct Serve {
    /// The run's configuration (coordinator.toml).
    pub config: PathBuf,
    /// Override a key of the configuration, e.g. run.rounds=20. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Make the run reproducible. Its noise can then be predicted: it protects nobody.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Rehearse the run: three rounds in which every site trains on rows that it makes up. Sites
    /// start `umbel-client run` as for the run itself, and are checked as for it. Nothing is spent,
    /// nothing is learnt, nothing is kept.
    #[arg(long, conflicts_with_all = ["new", "new_data_set"])]
    pub rehearse: bool,
    /// Begin a new run even if one of this name was cut off. What that one cost stays charged.
    #[arg(long)]
    pub new: bool,
    /// `privacy.data_set` is other data than any that the ledger knows, so its spending
    /// begins at 0. Not needed for a new ledger.
    #[arg(long)]
    pub new_data_set: bool,
    /// Where to evaluate: auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// End with one JSON object on standard output instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Look at everything that a run needs, and make nothing
///
/// Configuration, certificates, connections and port, the base model, the plan with its noise
/// calibrated, its cost against the ledger's budget, and the disk. The exit code is the one with
/// which `serve` would end at once, or 0.
#[derive(Args)]
pub struct Check {
    /// The run's configuration (coordinator.toml).
    pub config: PathBuf,
    /// Override a key of the configuration, e.g. run.rounds=20. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// `privacy.data_set` is other data than any that the ledger knows.
    #[arg(long)]
    pub new_data_set: bool,
    /// Where `serve` will evaluate: auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// How the run stands that this machine conducts
///
/// `status` prints what the run is doing, what is spent, and each client. `pause` has no further
/// round begin once the open one is done; clients wait, and nothing is charged. `resume` has rounds
/// begin again. All three print how the run stands then. They ask the coordinator itself, through a
/// socket that only its user can open.
#[derive(Args)]
pub struct Ask {
    /// The configuration with which `serve` was started (coordinator.toml).
    pub config: PathBuf,
    /// The overrides with which it was started, as far as they name the run or its folder.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Stop the run that this machine conducts, to go on with it later
///
/// As SIGTERM does: the result in hand is finished and stored, and clients are told to wait.
/// `umbel-coordinator serve` with the same configuration goes on from there.
#[derive(Args)]
pub struct Stop {
    /// Finish the round that is open first. What its clients train for it then counts.
    #[arg(long)]
    pub after_round: bool,
    /// What to ask, and how to answer.
    #[command(flatten)]
    pub ask: Ask,
}

/// Make certificates and example configurations for a new federation
///
/// Writes a new folder with an authority, a certificate for the coordinator and one for
/// each site, and a configuration for each of them. Nothing is ever overwritten.
#[derive(Args)]
#[command(after_help = "\
Example:
  umbel-coordinator init federation --site berlin --site oslo --address https://umbel.example.org:7700")]
pub struct Init {
    /// The folder to make.
    pub folder: PathBuf,
    /// A site's name. Repeat it for each site.
    #[arg(long = "site", value_name = "NAME", required = true)]
    pub sites: Vec<ClientId>,
    /// How sites reach the coordinator.
    #[arg(long, default_value = "https://localhost:7700")]
    pub address: CoordinatorAddress,
    /// Another host name or IP address of the coordinator. May be repeated.
    #[arg(long = "also", value_name = "NAME")]
    pub other_names: Vec<String>,
    /// For how many days the certificates are good.
    #[arg(long, default_value_t = 365)]
    pub days: u32,
}
