//! `umbel account`: what mechanisms cost, and how much noise a target takes.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use umbel::failure::Failure;
use umbel_privacy::accountant::event::{MechanismEvent, NoiseMultiplier};
use umbel_privacy::accountant::{
    Accountant, Delta, GdpAccountant, PldAccountant, RdpAccountant, ZcdpAccountant,
};
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::Adjacency;
use umbel_proto::exit_code::ExitKind;

use super::account_calibrate::{self, CalibrateQuestion};
use super::account_events::{self, EventsQuestion};
use super::account_plot::{self, PlotQuestion};
use super::{print, print_json};

/// Compute epsilon, or the noise that a target epsilon takes
///
/// Needs no run and no data: a privacy officer can check with it what a report claims.
#[derive(Args)]
pub struct Account {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    Epsilon(EpsilonQuestion),
    Calibrate(CalibrateQuestion),
    Events(EventsQuestion),
    Plot(PlotQuestion),
}

/// Which accountant computes.
#[derive(Clone, Copy, ValueEnum)]
enum AccountantName {
    /// Privacy-loss distributions: the tightest, as a certified interval.
    Pld,
    /// Rényi differential privacy; closed form where nothing is sampled.
    Rdp,
    /// Zero-concentrated differential privacy; nothing sampled.
    Zcdp,
    /// Gaussian differential privacy, exact; nothing sampled.
    Gdp,
}

impl AccountantName {
    fn word(self) -> &'static str {
        match self {
            Self::Pld => "pld",
            Self::Rdp => "rdp",
            Self::Zcdp => "zcdp",
            Self::Gdp => "gdp",
        }
    }
}

/// What `--delta` is, and how to choose it, wherever it is asked for.
pub(super) const DELTA: &str = "\
What epsilon leaves out: by up to this much, any result may be more probable than e^epsilon times \
what it was without the unit. Publishing one whole unit with this probability would be within it, so \
choose it well below 1 / (number of units): for 10,000 units 1e-6, say";

/// What neighbouring data sets are.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum AdjacencyName {
    /// One unit more or less.
    AddRemove,
    /// The same, as configurations and ledgers write it.
    AddOrRemove,
    /// One unit in another's place: twice the sensitivity.
    ReplaceOne,
    /// One unit replaced by one that contributes nothing.
    ZeroOut,
}

impl From<AdjacencyName> for Adjacency {
    fn from(name: AdjacencyName) -> Self {
        match name {
            AdjacencyName::AddRemove | AdjacencyName::AddOrRemove => Self::AddOrRemove,
            AdjacencyName::ReplaceOne => Self::ReplaceOne,
            AdjacencyName::ZeroOut => Self::ZeroOut,
        }
    }
}

/// Epsilon of a (sampled) Gaussian mechanism repeated, or of a list of events
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel account epsilon --noise-multiplier 1.1 --sampling-rate 0.01 --steps 1000 --delta 1e-5
  umbel account epsilon --events events.json --delta 1e-5 --json

events.json is a JSON list such as
  [{\"type\": \"poisson_gaussian\", \"noise_multiplier\": 1.1, \"sampling_probability\": 0.01, \"count\": 1000}]")]
struct EpsilonQuestion {
    /// Standard deviation of the noise over the clipping norm.
    #[arg(long, required_unless_present = "events")]
    noise_multiplier: Option<f64>,
    /// Poisson sampling rate; 1 for none.
    #[arg(long, default_value_t = 1.0, conflicts_with = "events")]
    sampling_rate: f64,
    /// How often the mechanism runs.
    #[arg(long, default_value_t = 1, conflicts_with = "events")]
    steps: u64,
    #[arg(long, help = DELTA)]
    delta: f64,
    /// A file with a JSON list of events.
    #[arg(long, conflicts_with = "noise_multiplier")]
    events: Option<PathBuf>,
    /// Which accountant computes.
    #[arg(long, value_enum, default_value = "pld")]
    accountant: AccountantName,
    /// What neighbouring data sets are.
    #[arg(long, value_enum, default_value = "add-remove")]
    adjacency: AdjacencyName,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct EpsilonAnswer {
    epsilon: f64,
    /// The truth is no less; null where the accountant has no lower bound.
    epsilon_lower: Option<f64>,
    delta: f64,
    accountant: &'static str,
    adjacency: Adjacency,
    elapsed_ms: f64,
}

/// Runs the command.
pub fn run(command: &Account) -> Result<ExitKind, Failure> {
    match &command.question {
        Question::Epsilon(question) => epsilon(question)?,
        Question::Calibrate(question) => account_calibrate::run(question)?,
        Question::Events(question) => account_events::run(question)?,
        Question::Plot(question) => account_plot::plot(question)?,
    }
    Ok(ExitKind::Success)
}

pub(super) fn wrong(reason: impl ToString) -> Failure {
    Failure::new(ExitKind::Configuration, reason)
}

fn epsilon(question: &EpsilonQuestion) -> Result<(), Failure> {
    let delta = Delta::try_from(question.delta).map_err(wrong)?;
    let adjacency = question.adjacency.into();
    let events = events(question)?;
    let start = Instant::now();
    let (epsilon, epsilon_lower) = match question.accountant {
        AccountantName::Pld => {
            let accountant = composed(PldAccountant::new(adjacency), &events)?;
            let interval = accountant.interval(delta);
            (interval.upper(), Some(interval.lower()))
        }
        AccountantName::Rdp => (bound(RdpAccountant::new(adjacency), &events, delta)?, None),
        AccountantName::Zcdp => (bound(ZcdpAccountant::new(adjacency), &events, delta)?, None),
        AccountantName::Gdp => {
            let exact = bound(GdpAccountant::new(adjacency), &events, delta)?;
            (exact, Some(exact * (1.0 - 1e-11)))
        }
    };
    let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
    let accountant = question.accountant.word();
    if question.json {
        return print_json(&EpsilonAnswer {
            epsilon,
            epsilon_lower,
            delta: delta.get(),
            accountant,
            adjacency,
            elapsed_ms,
        });
    }
    let certified = epsilon_lower.map_or(String::new(), |lower| {
        format!(", certainly above {lower:.6}")
    });
    print(format_args!(
        "epsilon {:.6} at delta {delta}{certified} (accountant {accountant}, adjacency \
         {adjacency}{})",
        rounded_up(epsilon),
        doubled(adjacency)
    ))
}

/// To the six digits that are printed, never down.
pub(super) fn rounded_up(epsilon: f64) -> f64 {
    (epsilon * 1e6).ceil() / 1e6
}

/// What replacing one unit means for the noise, said beside every figure.
pub(super) fn doubled(adjacency: Adjacency) -> &'static str {
    match adjacency {
        Adjacency::ReplaceOne => ": the sensitivity is twice the clipping norm",
        Adjacency::AddOrRemove | Adjacency::ZeroOut => "",
    }
}

/// Everything composed.
fn composed<A: Accountant>(mut accountant: A, events: &[MechanismEvent]) -> Result<A, Failure> {
    for event in events {
        accountant.compose(event, 1).map_err(wrong)?;
    }
    Ok(accountant)
}

fn bound<A: Accountant>(
    accountant: A,
    events: &[MechanismEvent],
    delta: Delta,
) -> Result<f64, Failure> {
    Ok(composed(accountant, events)?.epsilon(delta).get())
}

fn events(question: &EpsilonQuestion) -> Result<Vec<MechanismEvent>, Failure> {
    if let Some(path) = &question.events {
        let place = |e: String| wrong(format!("{}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| place(e.to_string()))?;
        return serde_json::from_str(&text).map_err(|e| place(e.to_string()));
    }
    let sigma = question.noise_multiplier.unwrap_or_default();
    let sigma = NoiseMultiplier::try_from(sigma).map_err(wrong)?;
    let rate = SamplingRate::try_from(question.sampling_rate).map_err(wrong)?;
    Ok(vec![
        MechanismEvent::poisson_gaussian(rate, sigma).times(question.steps),
    ])
}
