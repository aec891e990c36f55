//! The `umbel` command.

#![forbid(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use umbel::command_line::{Arguments, Command};
use umbel::commands::{
    account, audit, bench, compare, completions, evaluate, man, predict, settings, simulate, verify,
};
use umbel_proto::console;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            let words = told.render();
            let coloured = words.ansi().to_string();
            return console::end_with_help(&words.to_string(), &coloured, told.use_stderr());
        }
    };
    log_to_stderr(arguments.verbose);
    let outcome = match arguments.command {
        Command::Simulate(command) => simulate::run(&command),
        Command::Compare(command) => compare::run(&command),
        Command::Evaluate(command) => evaluate::run(&command),
        Command::Predict(command) => predict::run(&command),
        Command::Account(command) => account::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Verify(command) => verify::run(&command),
        Command::Settings(command) => settings::run(&command),
        Command::Bench(command) => bench::run(&command),
        Command::Completions(command) => completions::run(&command),
        Command::Man(command) => man::run(&command),
    };
    match outcome {
        Ok(kind) => kind.into(),
        Err(failure) => console::fail(failure.kind, &failure),
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
        .with_ansi(console::is_coloured())
        // It would be told of by a panic.
        .log_internal_errors(false)
        .init();
}
