//! The command line of `umbel`, in the library so that tests can hold documents against it.

use clap::{Parser, Subcommand};
use umbel_proto::exit_code::ExitKind;

use crate::commands::{
    account, audit, bench, compare, completions, evaluate, man, predict, settings, simulate, verify,
};

/// Federated learning with differential privacy: many sites fine-tune one text classifier
/// together, and none of them shows its texts.
///
/// `simulate` runs a whole federation in this process, to choose settings before any site
/// is asked. The binaries umbel-coordinator and umbel-client run the same federation over
/// a network.
#[derive(Parser)]
#[command(version, after_help = ExitKind::help())]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more on standard error; twice for everything. (RUST_LOG is heeded, too.)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

#[derive(Subcommand)]
#[expect(
    missing_docs,
    reason = "clap would show them in place of each command's own"
)]
pub enum Command {
    Simulate(simulate::Simulate),
    Compare(compare::Compare),
    Evaluate(evaluate::Evaluate),
    Predict(predict::Predict),
    Account(account::Account),
    Audit(audit::Audit),
    Verify(verify::Verify),
    Settings(settings::Settings),
    Bench(bench::BenchCommand),
    Completions(completions::Completions),
    Man(man::Man),
}
