//! One file a subcommand.

pub mod account;
pub mod account_calibrate;
pub mod account_events;
pub mod account_plot;
pub mod audit;
mod audit_report;
pub mod bench;
pub mod compare;
pub mod completions;
pub mod evaluate;
pub mod man;
pub mod predict;
pub mod settings;
pub mod simulate;
mod table_options;
pub mod verify;

use std::fmt::Display;

use serde::Serialize;
use umbel::failure::Failure;
use umbel_proto::console;

/// A progress bar's template, `{bar}` with colours where standard error may have them.
fn bar_of(template: &str) -> String {
    let bar = match console::is_coloured() {
        true => "{bar:30.cyan/dim}",
        false => "{bar:30}",
    };
    template.replace("{bar}", bar)
}

/// A value as one line of JSON.
fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::internal)
}

/// Prints a value as one line of JSON on standard output: the whole answer.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(json(value)?)
}

/// Prints a command's whole answer on standard output.
fn print(answer: impl Display) -> Result<(), Failure> {
    // Nothing comes after it, so that it is all one whether somebody still reads.
    let _ = console::answer(answer)?;
    Ok(())
}
