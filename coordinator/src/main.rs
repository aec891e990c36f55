//! The `umbel-coordinator` command.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use umbel_coordinator::init::{CoordinatorAddress, InitError, InitOptions, init};
use umbel_coordinator::run::conduct::Conducted;
use umbel_coordinator::run::place::Beginning;
use umbel_coordinator::run::serve::{ServeOptions, serve};
use umbel_model::DeviceChoice;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::ClientId;

/// The coordinator of a federated run: sums what sites send, adds the noise, keeps the
/// ledger.
#[derive(Parser)]
#[command(
    version,
    after_help = ExitKind::help()
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Write logs as JSON, one object a line.
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Subcommand)]
enum Command {
    Serve(Serve),
    Init(Init),
}

/// Conduct a run over the network
///
/// Waits for clients, trains, and leaves a run folder, as `umbel simulate` does. Ends when
/// the run ends. A run that was cut off is gone on with where it stood, by the same command.
/// On SIGTERM or SIGINT it finishes the result in hand and stops; a second one ends it at once.
#[derive(Args)]
struct Serve {
    /// The run's configuration (coordinator.toml).
    config: PathBuf,
    /// Override a key of the configuration, e.g. run.rounds=20. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Make the run reproducible. Its noise can then be predicted: it protects nobody.
    #[arg(long)]
    seed: Option<u64>,
    /// Begin a new run even if one of this name was cut off. What that one cost stays charged.
    #[arg(long)]
    new: bool,
    /// `privacy.data_set` is other data than any that the ledger knows, so that its spending
    /// begins at 0. Not needed for a new ledger.
    #[arg(long)]
    new_data_set: bool,
    /// Where to evaluate: auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// End with one JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
}

/// Make certificates and example configurations for a new federation
///
/// Writes a new folder with an authority, a certificate for the coordinator and one for
/// each site, and a configuration for each of them. Nothing is ever overwritten.
#[derive(Args)]
#[command(after_help = "\
Example:
  umbel-coordinator init federation --site berlin --site oslo --address https://umbel.example.org:7700")]
struct Init {
    /// The folder to make.
    folder: PathBuf,
    /// A site's name. Repeat it for each site.
    #[arg(long = "site", value_name = "NAME", required = true)]
    sites: Vec<ClientId>,
    /// How sites reach the coordinator.
    #[arg(long, default_value = "https://localhost:7700")]
    address: CoordinatorAddress,
    /// Another host name or IP address of the coordinator. May be repeated.
    #[arg(long = "also", value_name = "NAME")]
    other_names: Vec<String>,
    /// For how many days the certificates are good.
    #[arg(long, default_value_t = 365)]
    days: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(arguments.log_json);
    let outcome = match arguments.command {
        Command::Serve(command) => run_serve(&command),
        Command::Init(command) => run_init(&command),
    };
    match outcome {
        Ok(kind) => kind.into(),
        Err((kind, message)) => {
            eprintln!("error: {message}");
            kind.into()
        }
    }
}

fn start_log(json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,umbel_coordinator=info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json {
        log.json().init();
    } else {
        log.init();
    }
}

fn run_serve(command: &Serve) -> Result<ExitKind, (ExitKind, String)> {
    let options = ServeOptions {
        config: command.config.clone(),
        overrides: command.overrides.clone(),
        seed: command.seed,
        beginning: match command.new {
            true => Beginning::Anew,
            false => Beginning::GoOn,
        },
        new_data_set: command.new_data_set,
        device: command.device.clone(),
    };
    let conducted = serve(&options).map_err(|e| (e.exit_kind(), e.to_string()))?;
    let report = match conducted {
        Conducted::Ended(report) => report,
        Conducted::Paused {
            folder,
            rounds,
            planned,
        } => {
            eprintln!(
                "stopped after round {rounds} of {planned}; start the same command again to go on \
                 in {}",
                folder.display()
            );
            return Ok(ExitKind::Success);
        }
    };
    if command.json {
        println!("{}", report.as_json());
    } else {
        println!("{}", report.table());
    }
    Ok(report.exit_kind())
}

fn run_init(command: &Init) -> Result<ExitKind, (ExitKind, String)> {
    let mut options = InitOptions::new(command.address.clone(), SystemTime::now());
    options.other_names.clone_from(&command.other_names);
    options.days = command.days;
    let failed = |e: InitError| (ExitKind::Configuration, e.to_string());
    let report = init(&command.folder, &command.sites, &options).map_err(failed)?;
    println!("{report}");
    Ok(ExitKind::Success)
}
