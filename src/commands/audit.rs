//! `umbel audit`: a lower bound on epsilon, measured on the private path itself.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use umbel::failure::Failure;
use umbel_coordinator::config::{self, ModelFacts, RunConfig};
use umbel_privacy::accountant::Delta;
use umbel_privacy::accountant::event::NoiseMultiplier;
use umbel_privacy::audit::{
    AuditFinding, AuditSettings, AuditedMechanism, ClientEstimate, Confidence, PrivatePath, audit,
    client_estimate,
};
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::private_rng::NoiseSource;
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_privacy::unit_word::UnitWord;
use umbel_proto::console;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::BasePlan;
use umbel_proto::task::Task;

use super::account::{AdjacencyName, DELTA, wrong};
use super::audit_report::{Answer, conclusion, table};
use super::{bar_of, print, print_json};

/// Measure how much privacy a mechanism loses at least
///
/// Runs clipping, lattice, Poisson sampling, sum, noise and divisor as a run does, on made-up
/// units (canaries) of which each is in or out by a fair coin, and guesses the coins from what
/// is released. Guesses that are better than epsilon allows bound epsilon from below (Steinke,
/// Nasr and Jagielski 2023). The bound stands beside the accountant's epsilon; if it is above
/// that, the command ends with exit code 10.
///
/// No table is read, and no model: an audit of rows would have to be charged like training.
/// So it tests the mechanism with its noise, and not how gradients are computed. Nothing is
/// spent.
///
/// A bound from one run is never tight, and stays below about ln(canaries / 3). The output says
/// which bound a right mechanism is expected to give, and whether halved noise would be
/// noticed. Where it wouldn't, audit more canaries, or fewer rounds with more noise: the code
/// is the same. For the unit client there is also an estimate (Andrew et al. 2023), which proves
/// nothing and decides nothing.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel audit run.toml
  umbel audit run.toml --set privacy.epsilon=3 --canaries 1000000 --json
  umbel audit --noise-multiplier 1 --delta 1e-6 --canaries 400000
  umbel audit --noise-multiplier 4 --rounds 16 --unit client --delta 1e-5 --confidence 0.99")]
pub struct Audit {
    /// A run's configuration (TOML), to audit its mechanism. Without one, give the mechanism
    /// itself.
    config: Option<PathBuf>,
    /// Override a key of the configuration, e.g. privacy.epsilon=3. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    overrides: Vec<String>,
    /// Standard deviation of the noise over the clipping norm.
    #[arg(long, conflicts_with = "config")]
    noise_multiplier: Option<f64>,
    /// Poisson sampling rate; 1 for none.
    #[arg(long, default_value_t = 1.0, conflicts_with = "config")]
    sampling_rate: f64,
    /// How many noisy sums are released.
    #[arg(long, default_value_t = 1, conflicts_with = "config")]
    rounds: u64,
    /// The clipping norm.
    #[arg(long, default_value_t = 1.0, conflicts_with = "config")]
    clipping_norm: f64,
    /// Whom it protects, which decides how updates are clipped: record, group or client.
    #[arg(long, default_value = "record", conflicts_with = "config")]
    unit: UnitWord,
    /// Who adds the noise: central or local.
    #[arg(long, default_value = "central", conflicts_with = "config")]
    noise: NoisePlacement,
    /// What neighbouring data sets are.
    #[arg(
        long,
        value_enum,
        default_value = "add-remove",
        conflicts_with = "config"
    )]
    adjacency: AdjacencyName,
    #[arg(long, help = DELTA, conflicts_with = "config")]
    delta: Option<f64>,
    /// Canaries: the more, the higher the bound can get. 100 to 1,000,000.
    #[arg(long, default_value_t = 100_000)]
    canaries: usize,
    /// The probability with which the lower bound holds, 0.75 to below 1.
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// Make the audit repeatable. Canaries are nobody, so this endangers nobody.
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object, and show no progress bar.
    #[arg(long)]
    json: bool,
}

/// What is audited, and the public number that its sums are divided by.
struct Subject {
    settings: AuditSettings,
    divisor: f64,
}

/// Runs the command.
pub fn run(command: &Audit) -> Result<ExitKind, Failure> {
    let start = Instant::now();
    let subject = match (&command.config, command.noise_multiplier, command.delta) {
        (Some(path), _, _) => configured(command, path)?,
        (None, Some(sigma), Some(delta)) => given(command, sigma, delta)?,
        (None, _, _) => {
            return Err(wrong(
                "nothing to audit: give a run's configuration, or a mechanism by \
                 --noise-multiplier and --delta",
            ));
        }
    };
    let settings = &subject.settings;
    settings.check().map_err(wrong)?;
    let is_client = settings.mechanism.unit == PrivacyUnit::Client;
    let runs = if is_client { 2 } else { 1 };
    let progress = Progress::new(runs * settings.mechanism.rounds, command.json);
    let finding = bounded(&subject, command.seed, &progress)?;
    let estimate = match is_client {
        true => Some(estimated(&subject, command.seed, &progress)?),
        false => None,
    };
    progress.end();
    if command.json {
        let seconds = start.elapsed().as_secs_f64();
        print_json(&Answer::new(
            settings,
            &finding,
            estimate,
            command.seed,
            seconds,
        ))?;
    } else {
        print(table(settings, &finding, estimate))?;
    }
    let sentence = conclusion(settings, &finding)?;
    if !command.json {
        print(format_args!("\n{sentence}"))?;
    }
    Ok(ExitKind::Success)
}

/// The mechanism of a configuration, as its plan has it.
fn configured(command: &Audit, path: &std::path::Path) -> Result<Subject, Failure> {
    let config = config::load(path, &command.overrides, None)?.config;
    protected(config.privacy.unit)?;
    // Of the model, the mechanism needs nothing but the number of parameters, and that is as
    // many as there are canaries.
    let labels = vec!["in".into(), "out".into()];
    let facts = ModelFacts {
        options: config
            .model
            .options(Task::SingleLabel, labels, None, None)?,
        parameters: command.canaries,
        layout: BlobDigest::of(b"canaries"),
        base: BasePlan {
            weights: BlobDigest::of(b"canaries"),
            certificate: None,
        },
    };
    let plan = config::plan(&config, facts)?;
    let promise = plan
        .protection
        .ok_or_else(|| wrong("the plan promises nothing"))?;
    let mechanism = AuditedMechanism {
        noise_multiplier: promise.noise_multiplier,
        sampling_rate: plan.accounted_sampling_rate(),
        rounds: plan.draws(),
        clipping_norm: promise.clipping_norm,
        unit: promise.unit,
        placement: promise.placement,
        adjacency: promise.adjacency,
    };
    let divisor = divisor(&config, command.canaries, mechanism.sampling_rate);
    let settings = settings(command, mechanism, promise.budget.delta().get())?;
    Ok(Subject { settings, divisor })
}

/// The public divisor of a configuration: canaries stand in for the units that it expects.
fn divisor(config: &RunConfig, canaries: usize, rate: SamplingRate) -> f64 {
    let expected = config.training.expected_batch.map(|batch| batch.get());
    expected.unwrap_or_else(|| AuditSettings::public_divisor(canaries, rate))
}

/// A mechanism from the command line.
fn given(command: &Audit, noise_multiplier: f64, delta: f64) -> Result<Subject, Failure> {
    let unit = protected(command.unit.0)?;
    let claimed_rate = match (unit, command.noise) {
        // The coordinator, which draws the clients, is whom local noise protects from.
        (PrivacyUnit::Client, NoisePlacement::Local) => 1.0,
        _ => command.sampling_rate,
    };
    let mechanism = AuditedMechanism {
        noise_multiplier: sigma(noise_multiplier)?,
        sampling_rate: rate(command.sampling_rate).and(rate(claimed_rate))?,
        rounds: command.rounds,
        clipping_norm: norm(command.clipping_norm)?,
        unit,
        placement: command.noise,
        adjacency: command.adjacency.into(),
    };
    let divisor = AuditSettings::public_divisor(command.canaries, mechanism.sampling_rate);
    let settings = settings(command, mechanism, delta)?;
    Ok(Subject { settings, divisor })
}

fn settings(
    command: &Audit,
    mechanism: AuditedMechanism,
    delta: f64,
) -> Result<AuditSettings, Failure> {
    Ok(AuditSettings {
        mechanism,
        delta: Delta::try_from(delta).map_err(wrong)?,
        canaries: command.canaries,
        confidence: Confidence::try_from(command.confidence).map_err(wrong)?,
    })
}

/// What is protected: without that there is nothing to audit.
fn protected(unit: Option<PrivacyUnit>) -> Result<PrivacyUnit, Failure> {
    unit.ok_or_else(|| {
        wrong(
            "unit none protects nobody, so there is no epsilon to audit; audit unit record, group \
             or client",
        )
    })
}

fn sigma(value: f64) -> Result<NoiseMultiplier, Failure> {
    NoiseMultiplier::try_from(value).map_err(wrong)
}

fn rate(value: f64) -> Result<SamplingRate, Failure> {
    SamplingRate::try_from(value).map_err(wrong)
}

fn norm(value: f64) -> Result<ClippingNorm, Failure> {
    ClippingNorm::try_from(value).map_err(wrong)
}

/// A generator for one purpose.
fn randomness(seed: Option<u64>, purpose: &str) -> Result<NoiseSource, Failure> {
    match seed {
        Some(seed) => Ok(NoiseSource::seeded(seed, &format!("audit/{purpose}"))),
        None => NoiseSource::from_os().map_err(Failure::internal),
    }
}

fn path(
    subject: &Subject,
    dimension: usize,
    rng: NoiseSource,
) -> Result<PrivatePath<NoiseSource>, Failure> {
    let settings = &subject.settings;
    let mechanism = settings.mechanism.clone();
    PrivatePath::new(mechanism, settings.delta, dimension, subject.divisor, rng).map_err(wrong)
}

fn bounded(
    subject: &Subject,
    seed: Option<u64>,
    progress: &Progress,
) -> Result<AuditFinding, Failure> {
    let settings = &subject.settings;
    let mut path = path(subject, settings.canaries, randomness(seed, "path")?)?;
    let mut chance = randomness(seed, "canaries")?;
    audit(settings, &mut path, &mut chance, &mut |_| progress.step()).map_err(Failure::internal)
}

fn estimated(
    subject: &Subject,
    seed: Option<u64>,
    progress: &Progress,
) -> Result<ClientEstimate, Failure> {
    let settings = &subject.settings;
    let dimension = client_estimate::PARAMETERS;
    let mut path = path(subject, dimension, randomness(seed, "client path")?)?;
    client_estimate::estimate(
        &settings.mechanism,
        settings.delta,
        &mut path,
        &mut randomness(seed, "clients")?,
        &mut |_| progress.step(),
    )
    .map_err(Failure::internal)
}

/// A bar on a terminal, a line for each tenth elsewhere.
struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    /// Rounds in which nobody needs to be told how far it is.
    const SHORT: u64 = 100;

    fn new(rounds: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(rounds);
        bar.set_draw_target(if quiet || !terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        });
        if let Ok(style) = ProgressStyle::with_template(&bar_of(
            "round {pos}/{len} {bar}  {elapsed_precise} gone, {eta_precise} left",
        )) {
            bar.set_style(style);
        }
        // Planning comes first, and takes a while where there are many rounds.
        bar.tick();
        Self {
            bar,
            lines: !terminal && !quiet && rounds >= Self::SHORT,
        }
    }

    fn step(&self) {
        self.bar.inc(1);
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        if self.lines && done % (all / 10).max(1) == 0 {
            console::remark(format_args!("round {done}/{all}"));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
