//! `umbel compare`: several runs side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use umbel::failure::Failure;
use umbel_coordinator::report::comparison::{ComparedRun, Comparison};
use umbel_proto::exit_code::ExitKind;

use super::{print, print_json};

/// Compare runs: scores against epsilon, rounds, bytes and time, and the settings that differ
///
/// Reads result.json, plan.json and metrics.jsonl of each run's folder. Nothing is computed again:
/// `umbel verify` says whether a folder's figures hold.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel compare runs/first-20260101-120000 runs/first-20260101-121500
  umbel compare runs/* --html comparison.html
  umbel compare runs/* --svg over-time.svg
  umbel compare runs/* --csv curves.csv --json")]
pub struct Compare {
    /// The runs' folders.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Write a page with charts and all settings.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a figure of all runs' scores over the seconds that they took: virtual ones, with
    /// [simulation].
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the curves: one line for each round of each run.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Scores of which the first that a run has is compared.
const SCORES: [(&str, &str); 4] = [
    ("accuracy", "accuracy"),
    ("micro_f1", "micro-F1"),
    ("rmse", "RMSE"),
    ("loss", "loss"),
];

/// Keys of the plan that say which run it is, not how it was set.
const NO_SETTINGS: [&str; 1] = ["run"];

/// Runs the command.
pub fn run(command: &Compare) -> Result<ExitKind, Failure> {
    let read: Result<Vec<RunRead>, Failure> =
        command.runs.iter().map(|run| RunRead::from(run)).collect();
    let read = read?;
    let has = |key: &str| {
        read.iter()
            .all(|run| run.result.get(key).is_some_and(Value::is_number))
    };
    let found = SCORES.iter().find(|(key, _)| has(key));
    let (key, score) = *found.unwrap_or(&SCORES[0]);
    let comparison = Comparison {
        score,
        runs: read.iter().map(|run| run.compared(key)).collect(),
    };
    if let Some(file) = &command.html {
        write_file(file, &comparison.page())?;
    }
    if let Some(file) = &command.svg {
        let figure = comparison.figure().ok_or_else(|| {
            let message = "no run has scores of two rounds, so that there is nothing to draw; \
                           set evaluation.every = 1 for the next";
            Failure::new(ExitKind::Configuration, message)
        })?;
        write_file(file, &figure)?;
    }
    if let Some(file) = &command.csv {
        write_file(file, &curves(&read))?;
    }
    match command.json {
        true => print_json(&as_json(&comparison, key))?,
        false => print(table(&comparison))?,
    }
    Ok(ExitKind::Success)
}

/// What a run's folder says.
struct RunRead {
    name: String,
    result: Value,
    plan: Value,
    metrics: Vec<Map<String, Value>>,
}

impl RunRead {
    fn from(folder: &Path) -> Result<Self, Failure> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| {
                let message = format!(
                    "can't read {}: {error}; name the folder of a run that is over",
                    path.display()
                );
                Failure::new(ExitKind::Configuration, message)
            })
        };
        let parsed = |name: &str, text: &str| {
            serde_json::from_str(text).map_err(|error| {
                let path = folder.join(name);
                let message = format!("{} isn't what a run writes: {error}", path.display());
                Failure::new(ExitKind::Configuration, message)
            })
        };
        let lines = read("metrics.jsonl")?;
        let metrics = lines
            .lines()
            .map(|line| match parsed("metrics.jsonl", line)? {
                Value::Object(line) => Ok(line),
                _ => Ok(Map::new()),
            });
        let named = folder.canonicalize();
        let named = named.as_deref().unwrap_or(folder);
        Ok(Self {
            name: named
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            result: parsed("result.json", &read("result.json")?)?,
            plan: parsed("plan.json", &read("plan.json")?)?,
            metrics: metrics.collect::<Result<_, Failure>>()?,
        })
    }

    fn compared(&self, score: &str) -> ComparedRun {
        let number = |key: &str| self.result.get(key).and_then(Value::as_f64);
        let whole = |key: &str| self.result.get(key).and_then(Value::as_u64);
        let curve = self.metrics.iter().filter_map(|line| {
            let round = line.get("round")?.as_u64()?;
            Some((u32::try_from(round).ok()?, line.get(score)?.as_f64()?))
        });
        ComparedRun {
            name: self.name.clone(),
            score: number(score),
            loss: number("loss"),
            epsilon: number("epsilon"),
            rounds: whole("rounds")
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(0),
            bytes: whole("bytes_up")
                .zip(whole("bytes_down"))
                .map(|(up, down)| up.saturating_add(down)),
            seconds: number("seconds").unwrap_or(0.0),
            ending: self
                .result
                .get("ending")
                .and_then(Value::as_str)
                .unwrap_or("unknown")
                .to_owned(),
            curve: curve.collect(),
            over_seconds: self.over_seconds(score),
            virtual_time: self.result.get("virtual_time") == Some(&Value::Bool(true)),
            settings: self.settings(),
        }
    }

    /// When each scored round was over, and its score.
    fn over_seconds(&self, score: &str) -> Vec<(f64, f64)> {
        let number = |line: &Map<String, Value>, key: &str| line.get(key)?.as_f64();
        let lines = self.metrics.iter();
        lines
            .filter_map(|line| Some((number(line, "seconds")?, number(line, score)?)))
            .collect()
    }

    /// The plan's keys with dots, and what the report lists of the rest.
    fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        flatten("", &self.plan, &mut settings);
        settings.retain(|key, _| !NO_SETTINGS.contains(&key.as_str()));
        if let Some(others) = self.result.get("settings") {
            flatten("", others, &mut settings);
        }
        settings
    }
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                let path = [path, key].join(".");
                flatten(path.trim_start_matches('.'), value, into);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            into.insert(path.to_owned(), text.clone());
        }
        other => {
            into.insert(path.to_owned(), other.to_string());
        }
    }
}

fn as_json(comparison: &Comparison, score: &str) -> Value {
    let run = |run: &ComparedRun| {
        json!({
            "name": run.name,
            score: run.score,
            "loss": run.loss,
            "epsilon": run.epsilon,
            "rounds": run.rounds,
            "bytes": run.bytes,
            "seconds": run.seconds,
            "ending": run.ending,
            "curve": run.curve,
            "over_seconds": run.over_seconds,
            "virtual_time": run.virtual_time,
            "settings": run.settings,
        })
    };
    let differing: Map<String, Value> = comparison
        .differing()
        .into_iter()
        .map(|(name, values)| (name.to_owned(), json!(values)))
        .collect();
    json!({
        "score": score,
        "runs": comparison.runs.iter().map(run).collect::<Vec<_>>(),
        "differing": differing,
    })
}

fn table(comparison: &Comparison) -> String {
    let longest = comparison
        .runs
        .iter()
        .map(|run| run.name.chars().count())
        .max();
    let width = longest.unwrap_or(0).max(4);
    let mut text = format!(
        "{:<width$}{:>10}{:>10}{:>10}{:>8}{:>10}{:>10}  ending\n",
        "run", comparison.score, "loss", "epsilon", "rounds", "MB", "seconds"
    );
    let number = |value: Option<f64>| value.map_or("none".into(), |value| format!("{value:.4}"));
    for run in &comparison.runs {
        let megabytes = run.bytes.map_or("hidden".into(), |bytes| {
            format!("{:.1}", bytes as f64 / 1e6)
        });
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{:<width$}{:>10}{:>10}{:>10}{:>8}{megabytes:>10}{:>10.1}  {}",
            run.name,
            number(run.score),
            number(run.loss),
            number(run.epsilon),
            run.rounds,
            run.seconds,
            run.ending
        );
    }
    let differing = comparison.differing();
    if differing.is_empty() {
        text += "\nall settings are the same";
        return text;
    }
    text += "\nsettings that differ\n";
    for (name, values) in differing {
        let values: Vec<&str> = values
            .into_iter()
            .map(|value| value.unwrap_or("none"))
            .collect();
        let _ = writeln!(text, "{name}: {}", values.join(" | "));
    }
    text.trim_end().to_owned()
}

/// All numbers of all rounds. A column of which a round has nothing is left blank there.
fn curves(runs: &[RunRead]) -> String {
    let lines = runs.iter().flat_map(|run| &run.metrics);
    let numbers = lines.flat_map(|line| line.iter().filter(|(_, value)| value.is_number()));
    let columns: BTreeSet<&str> = numbers
        .map(|(key, _)| key.as_str())
        .filter(|key| *key != "round")
        .collect();
    let mut text = String::from("run,round");
    columns
        .iter()
        .for_each(|column| text += &format!(",{column}"));
    text.push('\n');
    for run in runs {
        for line in &run.metrics {
            let value = |key: &str| match line.get(key) {
                Some(value) if value.is_number() => value.to_string(),
                _ => String::new(),
            };
            text += &format!("\"{}\",{}", run.name.replace('"', "\"\""), value("round"));
            columns
                .iter()
                .for_each(|column| text += &format!(",{}", value(column)));
            text.push('\n');
        }
    }
    text
}

fn write_file(file: &Path, content: &str) -> Result<(), Failure> {
    fs::write(file, content).map_err(|error| {
        let message = format!("can't write {}: {error}; check the folder", file.display());
        Failure::new(ExitKind::Configuration, message)
    })
}
