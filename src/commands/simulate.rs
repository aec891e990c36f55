//! `umbel simulate`: a whole federation in this process.

use std::io::IsTerminal;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use umbel::failure::Failure;
use umbel::simulation::{SimulationOptions, SimulationProgress, Stop, simulate};
use umbel_client::signals::on_each_stop;
use umbel_coordinator::config;
use umbel_coordinator::observe::recorder::Metric;
use umbel_coordinator::report::run_report::RunReport;
use umbel_model::{ComputePrecision, DeviceChoice};
use umbel_proto::console;
use umbel_proto::exit_code::ExitKind;

use super::{bar_of, print, print_json};

/// Simulate all clients of a run in this process
///
/// Reads a run's configuration, lets every client train on its own file, and leaves a run
/// folder: the model (Hugging Face layout), metrics.jsonl, ledger.jsonl and report.html.
/// Ends with a table, or with one JSON object. Ctrl-C ends it after the round that is open, with
/// model, report and certificate, and exit code 13; a second one ends it at once.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel simulate examples/sentiment/run.toml
  umbel simulate run.toml --set privacy.epsilon=3 --seed 7
  umbel simulate run.toml --set run.rounds=20 --json | jq .accuracy
  umbel simulate run.toml --resume runs/demo-20260131-101500")]
pub struct Simulate {
    /// The run's configuration (TOML).
    config: PathBuf,
    /// Override a key of the configuration, e.g. privacy.epsilon=3. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Make the run reproducible. Its noise can then be predicted: it protects nobody.
    #[arg(long)]
    seed: Option<u64>,
    /// Where to train: auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// The format in which training multiplies matrices there: f32, or f16 or bf16 on a GPU that
    /// computes in it.
    #[arg(long, default_value_t)]
    precision: ComputePrecision,
    /// Clients that train at a time [default: one a core].
    #[arg(long)]
    parallel: Option<NonZero<usize>>,
    /// Memory that the clients that train at a time may take together, e.g. 4GB or 512MiB:
    /// fewer rows pass through the model at once. The rows of the others come on top.
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Go on with a run that was cut off, in its folder, by the same configuration and seed.
    #[arg(long, value_name = "RUN_DIR")]
    resume: Option<PathBuf>,
    /// `privacy.data_set` is other data than any that `privacy.ledger` knows, so its spending begins
    /// at 0.
    #[arg(long)]
    new_data_set: bool,
    /// Folder in which the run's folder is made [default: run.out].
    #[arg(long)]
    out: Option<PathBuf>,
    /// End with one JSON object on standard output, and show no progress bar.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: &Simulate) -> Result<ExitKind, Failure> {
    let mut loaded = config::load(&command.config, &command.overrides, command.seed)?;
    // What a run needs besides its folder lies beside that.
    let beside = command.resume.as_deref().and_then(Path::parent);
    if let Some(out) = command.out.as_deref().or(beside) {
        loaded.config.run.out = out.to_owned();
    }
    let options = SimulationOptions {
        device: command.device.clone(),
        precision: command.precision,
        parallel: command.parallel,
        memory: command.memory.map(|size| size.as_u64()),
        resume: command.resume.clone(),
        new_data_set: command.new_data_set,
    };
    let mut watcher = Watcher::new(loaded.config.run.rounds.get(), command.json);
    let report = simulate(&loaded.config, &options, &mut |progress| {
        watcher.show(&progress);
    });
    watcher.end();
    if let (
        true,
        Err(Failure {
            report: Some(of), ..
        }),
    ) = (command.json, &report)
    {
        print_json(&of.as_json())?;
    }
    let report = report?;
    if command.json {
        print_json(&report.as_json())?;
    } else {
        print(report.table())?;
    }
    Ok(exit_kind(&report))
}

fn exit_kind(report: &RunReport) -> ExitKind {
    report.exit_kind()
}

/// Shows how a run goes: a bar on a terminal, a line now and then elsewhere.
struct Watcher {
    bar: ProgressBar,
    lines: bool,
    rounds: u32,
    loss: Option<f64>,
}

impl Watcher {
    fn new(rounds: u32, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(u64::from(rounds));
        bar.set_draw_target(if quiet || !terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        });
        if let Ok(style) = ProgressStyle::with_template(&bar_of(
            "round {pos}/{len} {bar} {msg}  {elapsed_precise} gone, {eta_precise} left",
        )) {
            bar.set_style(style);
        }
        Self {
            bar,
            lines: !terminal && !quiet,
            rounds,
            loss: None,
        }
    }

    fn show(&mut self, progress: &SimulationProgress<'_>) {
        match progress {
            // Whoever reads JSON on standard output is told on standard error, too.
            SimulationProgress::Warning(warning) => {
                self.bar
                    .suspend(|| console::remark(format_args!("warning: {warning}")));
            }
            SimulationProgress::Ready {
                folder,
                base,
                device,
                noise_multiplier,
                stop,
            } => {
                self.heed_signals(stop.clone(), folder.clone());
                // Whatever is shown: a head that begins anew, or a text that is cut, is no progress.
                self.bar
                    .suspend(|| console::remark(format_args!("base model: {base}")));
                let noise = noise_multiplier
                    .map_or_else(|| "no noise".into(), |s| format!("noise multiplier {s:.4}"));
                self.say(&format!(
                    "{noise}, device {device}, into {}",
                    folder.display()
                ));
                self.bar.reset();
            }
            SimulationProgress::Round(metric) => self.round(metric),
        }
    }

    /// The first Ctrl-C ends the run after the round that is open, the second one at once.
    fn heed_signals(&self, stop: Stop, folder: PathBuf) {
        let bar = self.bar.clone();
        let heeded = on_each_stop(move |count| {
            if count == 1 {
                bar.suspend(|| {
                    console::remark(
                        "stopping after this round, with model, report and certificate; Ctrl-C \
                         again ends at once, without them",
                    );
                });
                stop.stop();
                return;
            }
            bar.finish_and_clear();
            console::remark(format_args!(
                "stopped at once; --resume {} goes on after the last round that was done",
                folder.display()
            ));
            std::process::exit(ExitKind::RunFailed.code().into());
        });
        if let Err(error) = heeded {
            tracing::warn!("signals can't be heeded: {error}");
        }
    }

    fn round(&mut self, metric: &Metric) {
        self.loss = metric.loss.or(self.loss);
        let loss = self.loss.map_or_else(|| "-".into(), |l| format!("{l:.4}"));
        let epsilon = metric
            .epsilon
            .map_or_else(|| "none".into(), |e| format!("{e:.3}"));
        self.bar
            .set_message(format!("loss {loss}  epsilon {epsilon}"));
        self.bar.set_position(u64::from(metric.round));
        // Where nobody can see a bar, a line whenever there is a new loss.
        if self.lines && metric.loss.is_some() {
            let each = metric.seconds / f64::from(metric.round);
            let left = each * f64::from(self.rounds.saturating_sub(metric.round));
            // How long the machine takes says nothing about virtual time, nor does that about it.
            let time = match &metric.virtual_time {
                Some(_) => format!("after {:.0} s of virtual time", metric.seconds),
                None => format!("about {left:.0} s left"),
            };
            console::remark(format_args!(
                "round {}/{} loss {loss} epsilon {epsilon} {time}",
                metric.round, self.rounds
            ));
        }
    }

    fn say(&self, line: &str) {
        if self.lines {
            console::remark(line);
        } else {
            self.bar.println(line);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
