//! `umbel bench`: how fast this machine trains.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use umbel::bench::{Bench, BenchModel, BenchRow, Mode, named_set, named_size, peak_gflops};
use umbel::failure::Failure;
use umbel_model::families::TransformerSpec;
use umbel_model::{ComputePrecision, DeviceChoice, ModelError, ModelFiles, Pooling, TrainableSet};
use umbel_proto::exit_code::ExitKind;

use super::{print, print_json};

/// Measure how fast this machine trains
///
/// Examples a second, plain and private (each example's gradient clipped by itself), by
/// trainable set and device, beside the rate of the device's matrix products. Plain and private
/// steps take turns, and the median counts. GFLOP/s are those that an ordinary training step
/// needs. Memory is the most that the process had resident during the steps, the model included,
/// measured in a process of its own (Linux, CPU).
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel bench
  umbel bench --size minilm --train encoder,lora --batch 32 --tokens 64
  umbel bench --model models/bert-tiny --clients 2 --json | jq '.[].examples_per_s'")]
pub struct BenchCommand {
    /// A model's folder (Hugging Face layout), in place of random weights.
    #[arg(long, conflicts_with = "size")]
    model: Option<PathBuf>,
    /// Random weights in the sizes of a known model.
    #[arg(long, default_value = "tiny")]
    size: Size,
    /// Examples of a step.
    #[arg(long, default_value = "32")]
    batch: NonZero<usize>,
    /// Examples that pass through the network at a time, at most.
    #[arg(long, default_value = "64")]
    micro_batch: NonZero<usize>,
    /// Tokens of every example.
    #[arg(long, default_value = "64")]
    tokens: NonZero<usize>,
    /// How an example becomes one vector: mean, cls or pooler. With cls and pooler, the last layer
    /// computes only keys and values for tokens that nobody reads.
    #[arg(long, default_value = "mean")]
    pooling: Pooling,
    /// What is trained: full, encoder, lora, bias, head. Several with commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "full,encoder,lora,bias,head"
    )]
    train: Vec<String>,
    /// Clients that train at the same time, each a batch of its own.
    #[arg(long, default_value = "1")]
    clients: NonZero<usize>,
    /// Memory that training may take, e.g. 2GB or 512MiB: fewer rows pass through the network at
    /// a time.
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Where to train: auto, cpu, gpu or gpu:N [default: the CPU, and every GPU that isn't a
    /// software one].
    #[arg(long)]
    device: Option<DeviceChoice>,
    /// In what training multiplies matrices: f32, or on a GPU that computes in them f16 or bf16.
    #[arg(long, default_value_t)]
    precision: ComputePrecision,
    /// The least time, in seconds, for which each row is measured.
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// Print a JSON list, and show no progress bar.
    #[arg(long)]
    json: bool,
    /// Take two steps in this mode, and print the most memory that they took, in MB.
    #[arg(long, hide = true)]
    memory_of: Option<MemoryOf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    /// 2 layers of width 128, as BERT-tiny.
    Tiny,
    /// 6 layers of width 384, as MiniLM-L6.
    Minilm,
    /// 12 layers of width 768, as BERT-base.
    Base,
}

#[derive(Clone, Copy, ValueEnum)]
enum MemoryOf {
    Plain,
    Private,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} isn't a time in seconds from 0 to 3600");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if !(0.0..=3600.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

impl Size {
    fn config(self) -> Option<TransformerSpec> {
        named_size(match self {
            Self::Tiny => "tiny",
            Self::Minilm => "minilm",
            Self::Base => "base",
        })
    }
}

/// Runs the command.
pub fn run(command: &BenchCommand) -> Result<ExitKind, Failure> {
    let bench = bench_of(command)?;
    let sets = command
        .train
        .iter()
        .map(|name| named_set(name.trim()).map_err(|e| Failure::new(ExitKind::Configuration, e)));
    let sets: Vec<TrainableSet> = sets.collect::<Result<_, _>>()?;
    let devices = match &command.device {
        Some(device) => vec![device.clone()],
        None => devices_of(command.precision)?,
    };
    if let Some(mode) = command.memory_of {
        return print_memory(&bench, &sets, &devices, mode);
    }
    let bar = progress(command, devices.len() * sets.len());
    let mut rows = Vec::new();
    for choice in &devices {
        let (device, name) = choice.resolve()?;
        bench.precision.check(&device)?;
        let name = bench.precision.of_device(name);
        let peak = peak_gflops(&device, bench.least.min(Duration::from_secs(1)));
        for (set, word) in sets.iter().zip(&command.train) {
            bar.set_message(format!("{word} on {name}"));
            let memory = |mode| memory_in_own_process(command, choice, word, mode);
            rows.extend(bench.rows((&device, &name), *set, peak, memory)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if command.json {
        print_json(&rows)?;
    } else {
        print(table(&rows))?;
    }
    Ok(ExitKind::Success)
}

/// All devices, or those that may compute in a reduced precision.
fn devices_of(precision: ComputePrecision) -> Result<Vec<DeviceChoice>, Failure> {
    let mut devices = DeviceChoice::found();
    if precision != ComputePrecision::F32 {
        devices.retain(|device| *device != DeviceChoice::Cpu);
    }
    if devices.is_empty() {
        let reason = format!("no GPU was found, and the CPU doesn't compute in {precision}");
        return Err(ModelError::Device(reason).into());
    }
    Ok(devices)
}

fn bench_of(command: &BenchCommand) -> Result<Bench, Failure> {
    let model = match (&command.model, command.size.config()) {
        (Some(folder), _) => BenchModel::Files(Box::new(ModelFiles::read(folder)?)),
        (None, Some(config)) => BenchModel::Random(Box::new(config)),
        (None, None) => return Err(Failure::internal("a size without a configuration")),
    };
    /// Beyond this a slip of the finger asks for more memory than any machine has.
    const MOST: usize = 1 << 20;
    let counts = [command.batch, command.tokens, command.clients];
    if counts.into_iter().any(|count| count.get() > MOST) {
        let reason = format!("--batch, --tokens and --clients go up to {MOST}");
        return Err(Failure::new(ExitKind::Configuration, reason));
    }
    Ok(Bench {
        model,
        batch: command.batch.get(),
        micro_batch: command.micro_batch.get(),
        precision: command.precision,
        memory: command.memory.map(|size| size.as_u64()),
        tokens: command.tokens.get(),
        pooling: command.pooling,
        clients: command.clients.get(),
        least: command.seconds,
    })
}

fn progress(command: &BenchCommand, rows: usize) -> ProgressBar {
    if command.json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(rows as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn print_memory(
    bench: &Bench,
    sets: &[TrainableSet],
    devices: &[DeviceChoice],
    mode: MemoryOf,
) -> Result<ExitKind, Failure> {
    let mode = match mode {
        MemoryOf::Plain => Mode::Plain,
        MemoryOf::Private => Mode::Private,
    };
    if let (Some(set), Some(device)) = (sets.first(), devices.first()) {
        let (device, _) = device.resolve()?;
        if let Some(peak) = bench.memory_of_steps(&device, *set, mode)? {
            print(peak)?;
        }
    }
    Ok(ExitKind::Success)
}

/// Has a process of its own take two steps, as memory that earlier rows freed would count here.
fn memory_in_own_process(
    command: &BenchCommand,
    device: &DeviceChoice,
    train: &str,
    mode: Mode,
) -> Option<f64> {
    if *device != DeviceChoice::Cpu {
        return None;
    }
    let mut child = Command::new(std::env::current_exe().ok()?);
    child.args([
        "bench",
        "--device",
        "cpu",
        "--train",
        train,
        "--memory-of",
        mode.name(),
    ]);
    match &command.model {
        Some(folder) => child.arg("--model").arg(folder),
        None => child.args(["--size", command.size.to_possible_value()?.get_name()]),
    };
    for (option, value) in [
        ("--batch", command.batch),
        ("--micro-batch", command.micro_batch),
        ("--tokens", command.tokens),
        ("--clients", command.clients),
    ] {
        child.args([option, &value.to_string()]);
    }
    child.args(["--pooling", &command.pooling.to_string()]);
    if let Some(size) = command.memory {
        child.args(["--memory", &format!("{}B", size.as_u64())]);
    }
    let output = child.output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn table(rows: &[BenchRow]) -> String {
    let mut text = format!(
        "{:<10}{:<9}{:>12}{:>10}{:>9}{:>10}{:>11}\n",
        "train", "mode", "examples/s", "GFLOP/s", "of peak", "to plain", "memory MB"
    );
    let mut device = "";
    for row in rows {
        if row.device != device {
            device = &row.device;
            text += &format!("{device}: matrix products {:.0} GFLOP/s\n", row.peak_gflops);
        }
        let or_blank = |value: Option<String>| value.unwrap_or_default();
        text += &format!(
            "{:<10}{:<9}{:>12.1}{:>10.1}{:>8.0}%{:>10}{:>11}\n",
            row.train,
            row.mode,
            row.examples_per_s,
            row.gflops,
            100.0 * row.gflops / row.peak_gflops,
            or_blank(row.ratio_to_plain.map(|ratio| format!("{ratio:.2}"))),
            or_blank(row.peak_memory_mb.map(|mb| format!("{mb:.0}"))),
        );
    }
    text
}
