//! `umbel account events`: what happened, for other people's accountants.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_privacy::accountant::event::MechanismEvent;
use umbel_privacy::accountant::mechanisms::Mechanism;
use umbel_privacy::certificate::accounting::merged;
use umbel_privacy::certificate::examine::unprotected_uses;
use umbel_privacy::ledger::LedgerEntry;
use umbel_privacy::ledger::chain::{self, VerifiedChain};
use umbel_privacy::unit_word::UnitWord;
use umbel_proto::exit_code::ExitKind;

use super::{print, print_json};

/// The events of a ledger, as other accountants read them
///
/// Checks the ledger's chain and lists what was spent on a data set, in the order in which
/// it happened, with the names of Google's dp_accounting. What protected nobody, noise from a
/// known seed included, is "non_private". With --json it is a list that
/// `umbel account epsilon --events` and examples/recompute_epsilon.py read.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel account events runs/sentiment-20260101-120000
  umbel account events ledger.jsonl --data-set visits --json > events.json
  umbel account epsilon --events events.json --delta 1e-5")]
pub struct EventsQuestion {
    /// The folder of a run, or a ledger file.
    ledger: PathBuf,
    /// Which data set's events; needed where the ledger has several.
    #[arg(long)]
    data_set: Option<String>,
    /// Print one JSON list of events.
    #[arg(long)]
    json: bool,
}

/// Answers the question.
pub fn run(question: &EventsQuestion) -> Result<(), Failure> {
    let path = match question.ledger.is_dir() {
        true => question.ledger.join("ledger.jsonl"),
        false => question.ledger.clone(),
    };
    let chain = read(&path)?;
    let data_set = data_set(&path, &chain, question.data_set.as_deref())?;
    let entries = || {
        let ours = |entry: &&_| of(entry) == data_set;
        chain.entries.iter().filter(ours)
    };
    let events = merged(entries().map(LedgerEntry::cost));
    if question.json {
        return print_json(&events);
    }
    let mut lines: Vec<String> = unprotected_uses(&chain.entries, data_set)
        .into_iter()
        .map(|used| format!("NO PROTECTION: {used}"))
        .collect();
    if let Some(last) = entries().next_back() {
        lines.push(format!(
            "data set {data_set}: {} entries, unit {}, adjacency {}, noise {}{}",
            entries().count(),
            UnitWord(last.unit()),
            last.adjacency,
            last.placement,
            last.protection
                .map_or(String::new(), |kept| format!(", delta {}", kept.delta))
        ));
    }
    for event in &events {
        lines.push(described(event)?);
    }
    print(lines.join("\n"))
}

fn of(entry: &LedgerEntry) -> &str {
    &entry.data_set
}

/// A ledger is read without locking it: this must work while a run goes on, and with a copy
/// that nobody may write.
fn read(path: &Path) -> Result<VerifiedChain, Failure> {
    let wrong = |e: String| Failure::new(ExitKind::Ledger, format!("{}: {e}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| {
        let reason = format!("{}: {e}; name a run's folder or a ledger", path.display());
        Failure::new(ExitKind::Configuration, reason)
    })?;
    chain::verify(&bytes).map_err(|e| wrong(e.to_string()))
}

/// The data set that is meant: the one that was named, or the only one.
fn data_set<'a>(
    path: &Path,
    chain: &'a VerifiedChain,
    named: Option<&str>,
) -> Result<&'a str, Failure> {
    let mut names: Vec<&str> = chain.entries.iter().map(of).collect();
    names.sort_unstable();
    names.dedup();
    let place = path.display();
    let wrong = |reason: String| Err(Failure::new(ExitKind::Configuration, reason));
    match (names.as_slice(), named) {
        ([], _) => wrong(format!("{place}: nothing was spent in this ledger")),
        (names, Some(named)) => match names.iter().find(|name| **name == named) {
            Some(name) => Ok(name),
            None => wrong(format!(
                "{place}: there is no data set \"{named}\"; there is {}",
                names.join(", ")
            )),
        },
        ([only], None) => Ok(only),
        (names, None) => wrong(format!(
            "{place}: name one data set with --data-set: {}",
            names.join(", ")
        )),
    }
}

/// One event as a line for people.
fn described(event: &MechanismEvent) -> Result<String, Failure> {
    Ok(match event {
        MechanismEvent::Single(Mechanism::Gaussian(gaussian)) => {
            format!("Gaussian, noise multiplier {}", gaussian.noise_multiplier)
        }
        MechanismEvent::Single(Mechanism::PoissonSampledGaussian(sampled)) => format!(
            "Poisson-sampled Gaussian, noise multiplier {}, sampling rate {}",
            sampled.noise_multiplier, sampled.sampling_probability
        ),
        MechanismEvent::Single(Mechanism::NonPrivate(_)) => {
            "without protection: no finite epsilon".into()
        }
        MechanismEvent::SelfComposed { event, count } => {
            format!("{count} times: {}", described(event)?)
        }
        other => written(other)?,
    })
}

fn written(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::internal)
}
