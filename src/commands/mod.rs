//! One file a subcommand.

pub mod account;
pub mod account_calibrate;
pub mod account_events;
pub mod account_plot;
pub mod audit;
mod audit_report;
pub mod bench;
pub mod evaluate;
pub mod predict;
pub mod settings;
pub mod simulate;
mod table_options;
pub mod verify;

use serde::Serialize;
use umbel::failure::Failure;

/// Prints a value as one line of JSON on standard output.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::internal)?;
    println!("{text}");
    Ok(())
}
