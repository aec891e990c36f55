//! The `umbel-coordinator` command.

#![forbid(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use umbel_coordinator::command_line::{Arguments, Ask, Check, Command, Init, Serve};
use umbel_coordinator::config;
use umbel_coordinator::control::{Request, ask};
use umbel_coordinator::init::{InitError, InitOptions, init};
use umbel_coordinator::run::clock::SystemClock;
use umbel_coordinator::run::conduct::Conducted;
use umbel_coordinator::run::place::{Beginning, journals_of};
use umbel_coordinator::run::serve::{ServeOptions, Served, serve};
use umbel_coordinator::startup::check::{CheckOptions, check};
use umbel_proto::console::{self, last_answer};
use umbel_proto::exit_code::ExitKind;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            let words = told.render();
            let coloured = words.ansi().to_string();
            return console::end_with_help(&words.to_string(), &coloured, told.use_stderr());
        }
    };
    start_log(arguments.log_json);
    let outcome = match arguments.command {
        Command::Serve(command) => run_serve(&command),
        Command::Check(command) => run_check(&command),
        Command::Status(command) => run_ask(&command, Request::Status),
        Command::Pause(command) => run_ask(&command, Request::Pause),
        Command::Resume(command) => run_ask(&command, Request::Resume),
        Command::Stop(command) => {
            let after_round = command.after_round;
            run_ask(&command.ask, Request::Stop { after_round })
        }
        Command::Init(command) => run_init(&command),
    };
    match outcome {
        Ok(kind) => kind.into(),
        Err((kind, message)) => console::fail(kind, message),
    }
}

fn start_log(json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,umbel_coordinator=info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(console::is_coloured())
        // It would be told of by a panic.
        .log_internal_errors(false);
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
        rehearse: command.rehearse,
        new_data_set: command.new_data_set,
        device: command.device.clone(),
    };
    let served = serve(&options).map_err(|e| (e.exit_kind(), e.to_string()))?;
    let conducted = match served {
        Served::Run(conducted) => conducted,
        Served::Rehearsed(rehearsed) => {
            last_answer(match command.json {
                true => rehearsed.as_json().to_string(),
                false => rehearsed.to_string(),
            })?;
            return Ok(rehearsed.exit_kind());
        }
    };
    let report = match conducted {
        Conducted::Ended(report) => report,
        Conducted::Paused {
            folder,
            rounds,
            planned,
        } => {
            console::remark(format_args!(
                "stopped after round {rounds} of {planned}; start the same command again to go on \
                 in {}",
                folder.display()
            ));
            return Ok(ExitKind::Success);
        }
    };
    last_answer(match command.json {
        true => report.as_json().to_string(),
        false => report.table(),
    })?;
    Ok(report.exit_kind())
}

fn run_check(command: &Check) -> Result<ExitKind, (ExitKind, String)> {
    let options = CheckOptions {
        config: command.config.clone(),
        overrides: command.overrides.clone(),
        new_data_set: command.new_data_set,
        device: command.device.clone(),
    };
    let found = check(&options, &SystemClock::new());
    last_answer(match command.json {
        true => found.as_json().to_string(),
        false => found.to_string(),
    })?;
    Ok(found.exit_kind())
}

fn run_ask(command: &Ask, request: Request) -> Result<ExitKind, (ExitKind, String)> {
    let configuration = |e: String| (ExitKind::Configuration, e);
    let loaded = config::load(&command.config, &command.overrides, None);
    let config = loaded.map_err(|e| configuration(e.to_string()))?.config;
    let journals = journals_of(&config).map_err(|e| configuration(e.to_string()))?;
    let status = ask(&config.run.out, &journals, request)
        .map_err(|e| (ExitKind::RunFailed, e.to_string()))?;
    let text = match command.json {
        true => serde_json::to_string(&status),
        false => Ok(status.to_string()),
    };
    last_answer(text.map_err(|e| (ExitKind::RunFailed, e.to_string()))?)?;
    Ok(ExitKind::Success)
}

fn run_init(command: &Init) -> Result<ExitKind, (ExitKind, String)> {
    let mut options = InitOptions::new(command.address.clone(), SystemTime::now());
    options.other_names.clone_from(&command.other_names);
    options.days = command.days;
    let failed = |e: InitError| (ExitKind::Configuration, e.to_string());
    let report = init(&command.folder, &command.sites, &options).map_err(failed)?;
    last_answer(report)?;
    Ok(ExitKind::Success)
}
