//! The `umbel` command.

#![forbid(unsafe_code)]

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use umbel_proto::exit_code::ExitKind;

use commands::{account, audit, bench, evaluate, predict, simulate, verify};

/// Federated learning with differential privacy: many sites fine-tune one text classifier
/// together, and none of them shows its texts.
///
/// `simulate` runs a whole federation in this process, to choose settings before any site
/// is asked. The binaries umbel-coordinator and umbel-client run the same federation over
/// a network.
#[derive(Parser)]
#[command(version, after_help = ExitKind::help())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Say more on standard error; twice for everything. (RUST_LOG is heeded, too.)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    Simulate(simulate::Simulate),
    Evaluate(evaluate::Evaluate),
    Predict(predict::Predict),
    Account(account::Account),
    Audit(audit::Audit),
    Verify(verify::Verify),
    Bench(bench::BenchCommand),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(arguments.verbose);
    let outcome = match arguments.command {
        Command::Simulate(command) => simulate::run(&command),
        Command::Evaluate(command) => evaluate::run(&command),
        Command::Predict(command) => predict::run(&command),
        Command::Account(command) => account::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Verify(command) => verify::run(&command),
        Command::Bench(command) => bench::run(&command),
    };
    match outcome {
        Ok(kind) => kind.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.kind.into()
        }
    }
}

fn log_to_stderr(verbose: u8) {
    let default = match verbose {
        0 => "error",
        1 => "umbel=info,umbel_client=info,umbel_coordinator=info,umbel_model=info,warn",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
