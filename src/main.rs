//! The `umbel` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use umbel::command_line::{Arguments, Command};
use umbel::commands::{account, audit, bench, evaluate, predict, settings, simulate, verify};

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
        Command::Settings(command) => settings::run(&command),
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
