//! `umbel bench`: how fast this machine trains.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use umbel::bench::{Bench, BenchModel, BenchRow, Mode, named_set, named_size, peak_gflops};
use umbel::failure::Failure;
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
  umbel bench --size tiny,minilm --train encoder --pooling pooler --batch 16 --tokens 64,128,256,512
  umbel bench --model models/bert-tiny --clients 2 --json | jq '.[].examples_per_s'")]
pub struct BenchCommand {
    /// A model's folder (Hugging Face layout), in place of random weights.
    #[arg(long, conflicts_with = "size")]
    model: Option<PathBuf>,
    /// Random weights in the sizes of a known model. Several with commas.
    #[arg(long, value_delimiter = ',', default_value = "tiny")]
    size: Vec<Size>,
    /// Examples of a step.
    #[arg(long, default_value = "32")]
    batch: NonZero<usize>,
    /// Examples that pass through the network at a time, at most.
    #[arg(long, default_value = "64")]
    micro_batch: NonZero<usize>,
    /// Tokens of every example. Several with commas.
    #[arg(long, value_delimiter = ',', default_value = "64")]
    tokens: Vec<NonZero<usize>>,
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
    fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Minilm => "minilm",
            Self::Base => "base",
        }
    }
}

/// A model to measure, and how the command line names it.
struct Named {
    option: &'static str,
    name: OsString,
    model: BenchModel,
}

impl Named {
    /// All that were asked for.
    fn all(command: &BenchCommand) -> Result<Vec<Self>, Failure> {
        if let Some(folder) = &command.model {
            let files = Box::new(ModelFiles::read(folder)?);
            return Ok(vec![Self {
                option: "--model",
                name: folder.into(),
                model: BenchModel::Files(files),
            }]);
        }
        let sizes = command.size.iter().map(|size| {
            let spec = named_size(size.name())
                .ok_or_else(|| Failure::internal("a size without a configuration"))?;
            Ok(Self {
                option: "--size",
                name: size.name().into(),
                model: BenchModel::Random(Box::new(spec)),
            })
        });
        sizes.collect()
    }

    /// What a table calls it: a size, or the last part of a folder's path.
    fn short(&self) -> String {
        let path = Path::new(&self.name);
        let name = path.file_name().unwrap_or(&self.name);
        name.to_string_lossy().into_owned()
    }
}

/// Runs the command.
pub fn run(command: &BenchCommand) -> Result<ExitKind, Failure> {
    let shapes = shapes(command)?;
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
        return print_memory(&shapes, &sets, &devices, mode);
    }
    let bar = progress(command, devices.len() * shapes.len() * sets.len());
    let mut rows = Vec::new();
    for choice in &devices {
        let (device, name) = choice.resolve()?;
        command.precision.check(&device)?;
        let name = command.precision.of_device(name);
        let peak = peak_gflops(&device, command.seconds.min(Duration::from_secs(1)));
        for (named, bench) in &shapes {
            for (set, word) in sets.iter().zip(&command.train) {
                bar.set_message(format!(
                    "{word} of {}, {} tokens, on {name}",
                    named.short(),
                    bench.tokens
                ));
                let memory =
                    |mode| memory_in_own_process(command, (named, bench), choice, word, mode);
                let measured = bench.rows((&device, &name), *set, peak, memory)?;
                rows.extend(measured.map(|row| (named.short(), row)));
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    if command.json {
        let rows: Vec<Row<'_>> = rows.iter().map(|(model, row)| Row { model, row }).collect();
        print_json(&rows)?;
    } else {
        print(table(&rows))?;
    }
    Ok(ExitKind::Success)
}

/// A line of the JSON list.
#[derive(Serialize)]
struct Row<'a> {
    model: &'a str,
    #[serde(flatten)]
    row: &'a BenchRow,
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

/// Every model in every length.
fn shapes(command: &BenchCommand) -> Result<Vec<(Rc<Named>, Bench)>, Failure> {
    /// Beyond this a slip of the finger asks for more memory than any machine has.
    const MOST: usize = 1 << 20;
    let mut counts = command
        .tokens
        .iter()
        .chain([&command.batch, &command.clients]);
    if counts.any(|count| count.get() > MOST) {
        let reason = format!("--batch, --tokens and --clients go up to {MOST}");
        return Err(Failure::new(ExitKind::Configuration, reason));
    }
    let mut shapes = Vec::new();
    for named in Named::all(command)? {
        let named = Rc::new(named);
        for tokens in &command.tokens {
            let bench = Bench {
                model: named.model.clone(),
                batch: command.batch.get(),
                micro_batch: command.micro_batch.get(),
                precision: command.precision,
                memory: command.memory.map(|size| size.as_u64()),
                tokens: tokens.get(),
                pooling: command.pooling,
                clients: command.clients.get(),
                least: command.seconds,
            };
            shapes.push((Rc::clone(&named), bench));
        }
    }
    Ok(shapes)
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
    shapes: &[(Rc<Named>, Bench)],
    sets: &[TrainableSet],
    devices: &[DeviceChoice],
    mode: MemoryOf,
) -> Result<ExitKind, Failure> {
    let mode = match mode {
        MemoryOf::Plain => Mode::Plain,
        MemoryOf::Private => Mode::Private,
    };
    if let ([(_, bench), ..], [set, ..], [device, ..]) = (shapes, sets, devices) {
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
    (named, bench): (&Named, &Bench),
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
    child.arg(named.option).arg(&named.name);
    for (option, value) in [
        ("--batch", bench.batch),
        ("--micro-batch", bench.micro_batch),
        ("--tokens", bench.tokens),
        ("--clients", bench.clients),
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

fn table(rows: &[(String, BenchRow)]) -> String {
    let width = rows.iter().map(|(model, _)| model.chars().count());
    let width = width.max().unwrap_or_default().max(5) + 1;
    let mut text = format!(
        "{:<width$}{:>7} {:<9}{:<9}{:>11}{:>9}{:>9}{:>9}{:>11}\n",
        "model",
        "tokens",
        "train",
        "mode",
        "examples/s",
        "GFLOP/s",
        "of peak",
        "to plain",
        "memory MB"
    );
    let mut device = "";
    for (model, row) in rows {
        if row.device != device {
            device = &row.device;
            text += &format!("{device}: matrix products {:.0} GFLOP/s\n", row.peak_gflops);
        }
        let or_blank = |value: Option<String>| value.unwrap_or_default();
        text += &format!(
            "{model:<width$}{:>7} {:<9}{:<9}{:>11.1}{:>9.1}{:>8.0}%{:>9}{:>11}\n",
            row.tokens,
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
