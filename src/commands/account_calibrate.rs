//! `umbel account calibrate`: what keeps a mechanism within a target epsilon.

use std::time::Instant;

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_privacy::accountant::event::{MechanismEvent, NoiseMultiplier};
use umbel_privacy::accountant::{Accountant, PldAccountant, calibrate};
use umbel_privacy::budget::Budget;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::Adjacency;

use super::account::{AdjacencyName, DELTA, doubled, rounded_up, wrong};
use super::{print, print_json};

/// The noise, the steps, or the sampling rate that stay within epsilon
///
/// Of noise multiplier, steps and sampling rate, the one that is left out is found: the least
/// noise, the most steps, or the largest rate. Without a noise multiplier, the sampling rate is 1
/// unless it is given.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel account calibrate --epsilon 8 --delta 1e-5 --sampling-rate 0.01 --steps 1000
  umbel account calibrate --epsilon 8 --delta 1e-5 --sampling-rate 0.01 --noise-multiplier 0.8
  umbel account calibrate --epsilon 8 --delta 1e-5 --steps 1000 --noise-multiplier 0.8")]
pub struct CalibrateQuestion {
    /// The target, never overshot.
    #[arg(long)]
    epsilon: f64,
    #[arg(long, help = DELTA)]
    delta: f64,
    /// Standard deviation of the noise over the clipping norm.
    #[arg(long)]
    noise_multiplier: Option<f64>,
    /// Poisson sampling rate; 1 for none.
    #[arg(long)]
    sampling_rate: Option<f64>,
    /// How often the mechanism runs.
    #[arg(long)]
    steps: Option<u64>,
    /// What neighbouring data sets are.
    #[arg(long, value_enum, default_value = "add-remove")]
    adjacency: AdjacencyName,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    noise_multiplier: f64,
    sampling_rate: f64,
    steps: u64,
    epsilon: f64,
    epsilon_lower: f64,
    delta: f64,
    accountant: &'static str,
    adjacency: Adjacency,
    elapsed_ms: f64,
}

/// What was found, in words, beside the two numbers that were given.
struct Found {
    noise_multiplier: NoiseMultiplier,
    sampling_rate: SamplingRate,
    steps: u64,
    words: String,
}

/// Runs the command.
pub fn run(question: &CalibrateQuestion) -> Result<(), Failure> {
    let budget = Budget::new(question.epsilon, question.delta).map_err(wrong)?;
    let adjacency = question.adjacency.into();
    let start = Instant::now();
    let found = find(question, &budget, adjacency)?;
    let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
    let event = MechanismEvent::poisson_gaussian(found.sampling_rate, found.noise_multiplier);
    let mut accountant = PldAccountant::new(adjacency);
    accountant.compose(&event, found.steps).map_err(wrong)?;
    let epsilon = accountant.epsilon(budget.delta()).get();
    let epsilon_lower = accountant.interval(budget.delta()).lower().min(epsilon);
    if question.json {
        return print_json(&Answer {
            noise_multiplier: found.noise_multiplier.get(),
            sampling_rate: found.sampling_rate.get(),
            steps: found.steps,
            epsilon,
            epsilon_lower,
            delta: question.delta,
            accountant: "pld",
            adjacency,
            elapsed_ms,
        });
    }
    print(format_args!(
        "{} gives epsilon {:.6} at delta {} (accountant pld, adjacency {adjacency}{})",
        found.words,
        rounded_up(epsilon),
        budget.delta(),
        doubled(adjacency)
    ))
}

fn find(
    question: &CalibrateQuestion,
    budget: &Budget,
    adjacency: Adjacency,
) -> Result<Found, Failure> {
    let rate_of = |rate: f64| SamplingRate::try_from(rate).map_err(wrong);
    let sigma_of = |sigma: f64| NoiseMultiplier::try_from(sigma).map_err(wrong);
    match (
        question.noise_multiplier,
        question.sampling_rate,
        question.steps,
    ) {
        (None, rate, Some(steps)) => {
            let rate = rate_of(rate.unwrap_or(1.0))?;
            let sigma =
                calibrate::noise_multiplier(budget, rate, steps, adjacency).map_err(wrong)?;
            let words = format!("noise multiplier {:.6}", rounded_up(sigma.get()));
            Ok(Found {
                noise_multiplier: sigma,
                sampling_rate: rate,
                steps,
                words,
            })
        }
        (Some(sigma), Some(rate), None) => {
            let (sigma, rate) = (sigma_of(sigma)?, rate_of(rate)?);
            let event = MechanismEvent::poisson_gaussian(rate, sigma);
            let steps = calibrate::rounds_within(budget, &event, adjacency).map_err(wrong)?;
            Ok(Found {
                noise_multiplier: sigma,
                sampling_rate: rate,
                steps,
                words: format!("{steps} steps"),
            })
        }
        (Some(sigma), None, Some(steps)) => {
            let sigma = sigma_of(sigma)?;
            let rate = calibrate::sampling_rate(budget, sigma, steps, adjacency).map_err(wrong)?;
            // To the digits that are printed, never up.
            let digits = 10f64.powi(6 - rate.get().log10().floor() as i32);
            let shown = (rate.get() * digits).floor() / digits;
            Ok(Found {
                noise_multiplier: sigma,
                sampling_rate: rate,
                steps,
                words: format!("sampling rate {shown}"),
            })
        }
        (Some(_), Some(_), Some(_)) => Err(wrong(
            "--noise-multiplier, --sampling-rate and --steps are all given, so nothing is left to \
             find; leave one out, or ask `umbel account epsilon` what they cost",
        )),
        (None, _, None) | (Some(_), None, None) => Err(wrong(
            "too little is given: of --noise-multiplier, --sampling-rate and --steps, leave out \
             only the one to be found",
        )),
    }
}
