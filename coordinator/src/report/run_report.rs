//! What a run ends with: the numbers behind the report, the closing table and the JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use umbel_privacy::unit::{Adjacency, NoisePlacement};
use umbel_privacy::unit_word::UnitWord;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::Ending;

use crate::report::{self, NamedScores, RunSummary, Statement};

/// A run that has ended, and where its folder is.
#[derive(Clone, Debug)]
pub struct RunReport {
    summary: RunSummary,
    folder: PathBuf,
}

impl RunReport {
    pub(crate) fn new(summary: RunSummary, folder: PathBuf) -> Self {
        Self { summary, folder }
    }

    /// All that the report tells.
    pub fn summary(&self) -> &RunSummary {
        &self.summary
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the run couldn't go on before its last round, for want of clients or of space.
    pub fn failed(&self) -> bool {
        matches!(self.summary.ending, report::Ending::Failed { .. })
    }

    /// The exit code that tells the ending.
    pub fn exit_kind(&self) -> ExitKind {
        match self.summary.ending {
            report::Ending::Complete => ExitKind::Success,
            report::Ending::BudgetExhausted => ExitKind::BudgetExhausted,
            report::Ending::Failed { .. } => ExitKind::RunFailed,
            report::Ending::Diverged { .. } => ExitKind::Diverged,
            report::Ending::Stopped => ExitKind::Stopped,
        }
    }

    /// One object for machines.
    pub fn as_json(&self) -> Value {
        let run = &self.summary;
        let overall = run.results.as_ref().map(|results| &results.overall);
        let files: serde_json::Map<String, Value> = run
            .results
            .iter()
            .flat_map(|results| &results.files)
            .map(|file| (file.name.clone(), json!(file.scores)))
            .collect();
        let (ending, reason) = match &run.ending {
            report::Ending::Complete => ("complete", None),
            report::Ending::BudgetExhausted => ("budget-exhausted", None),
            report::Ending::Failed { reason } => ("failed", Some(reason.clone())),
            // A run that diverged failed, for whoever asks no more than that.
            report::Ending::Diverged { round, .. } => ("failed", Some(Ending::divergence(*round))),
            report::Ending::Stopped => ("stopped", None),
        };
        let diverged = match run.ending {
            report::Ending::Diverged { round, .. } => Some(round),
            _ => None,
        };
        let settings: BTreeMap<&String, &String> = run
            .training
            .settings
            .iter()
            .map(|(name, value)| (name, value))
            .collect();
        let promise = run.privacy.promise.as_ref();
        let mut told = json!({
            "accuracy": overall.and_then(|scores| scores.get("accuracy")),
            "macro_f1": overall.and_then(|scores| scores.get("macro_f1")),
            "loss": overall.map(|scores| scores.loss()),
            "examples": overall.map(|scores| scores.examples()),
            "files": files,
            "judgement": run.results.as_ref().and_then(|results| results.judgement.as_ref()),
            "epsilon": promise.map(|p| p.epsilon_spent),
            "epsilon_guaranteed": run.privacy.epsilon_guaranteed(),
            "epsilon_budget": promise.map(|p| p.epsilon_budget),
            "delta": promise.map(|p| p.delta),
            "units": promise.and_then(|p| p.units),
            "protection": Statement::of_run(run).level,
            "attack": run.strength,
            "settings": settings,
            "base_model": run.base,
            "about": run.about,
            "unit": UnitWord(run.privacy.unit()),
            // Of a run that promises nothing these two say nothing, and are written all the same.
            "adjacency": promise.map_or(Adjacency::AddOrRemove, |p| p.adjacency),
            "noise": promise.map_or(NoisePlacement::Central, |p| p.placement),
            "noise_multiplier": promise.map(|p| p.noise_multiplier),
            "sampling_rate": run.privacy.sampling_rate,
            "clipping_norm": promise.map(|p| p.clipping_norm),
            "seeded": run.privacy.seeded,
            "rounds": run.training.rounds_done,
            "rounds_planned": run.training.rounds_planned,
            "clients": run.traffic.as_ref().map(|_| run.clients.len()),
            "participation": run.traffic.as_ref().map(|_| &run.clients),
            "bytes_up": run.traffic.as_ref().map(|traffic| traffic.bytes_up),
            "bytes_down": run.traffic.as_ref().map(|traffic| traffic.bytes_down),
            "seconds": run.seconds,
            "virtual_time": !run.virtual_time.is_empty(),
            "device": run.training.device,
            "ending": ending,
            "reason": reason,
            "diverged_in_round": diverged,
            "ledger_head": run.ledger_head,
            "model_sha256": run.model_hash,
            "public_key": run.signing_key,
            "run_dir": self.folder.to_string_lossy(),
        });
        // What other tasks have instead.
        for score in overall.iter().flat_map(|scores| scores.all()) {
            told[score.key] = json!(score.value);
        }
        told
    }

    /// The closing table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let run = &self.summary;
        for line in Statement::of_run(run).lines() {
            writeln!(out, "{line}")?;
        }
        match &run.ending {
            report::Ending::Complete => {}
            report::Ending::BudgetExhausted => writeln!(
                out,
                "\nPrivacy budget exhausted: the run stopped before a round that would have \
                 cost more than is left. {}",
                match run.training.rounds_done {
                    0 => "No round was done, so there is no model.",
                    _ => "The last model is kept.",
                }
            )?,
            report::Ending::Failed { reason } => writeln!(out, "\nThe run failed: {reason}.")?,
            report::Ending::Diverged { round, kept } => writeln!(
                out,
                "\nThe run failed: {}. {}",
                Ending::divergence(*round),
                report::Ending::kept(*kept)
            )?,
            report::Ending::Stopped => writeln!(
                out,
                "\nThe run was stopped early. {}",
                match run.training.rounds_done {
                    0 => "No round was done, so there is no model.",
                    _ => "The last round's model is kept.",
                }
            )?,
        }
        if let Some(results) = &run.results {
            let judgement = results.judgement.as_ref();
            if let Some(verdict) = judgement.and_then(|judgement| judgement.verdict.as_ref()) {
                writeln!(out, "\n{verdict}")?;
            }
            let names = results.overall.all().into_iter().map(|score| score.name);
            let heads: String = names
                .chain(["loss"])
                .map(|name| format!("{name:>10}"))
                .collect();
            writeln!(out, "\n{:<16}{heads}{:>10}", "", "rows")?;
            let overall = NamedScores {
                name: "overall".into(),
                scores: results.overall,
            };
            for file in std::iter::once(&overall).chain(&results.files) {
                let numbers = file.scores.all().into_iter().map(|score| score.value);
                let numbers: String = numbers
                    .chain([Some(file.scores.loss())])
                    .map(|value| match value {
                        Some(value) => format!("{value:>10.4}"),
                        None => format!("{:>10}", "none"),
                    })
                    .collect();
                let (name, rows) = (&file.name, file.scores.examples());
                writeln!(out, "{name:<16}{numbers}{rows:>10}")?;
            }
        }
        writeln!(out)?;
        for (name, value) in self.rows() {
            writeln!(out, "{name:<16}{value}")?;
        }
        Ok(())
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let run = &self.summary;
        let mut rows = Vec::new();
        if let Some(promise) = &run.privacy.promise {
            let (spent, budget) = (promise.epsilon_spent, promise.epsilon_budget);
            let several = match promise.spans_runs {
                true => format!(
                    " spent by several runs on these rows; the guarantee is the budget, {budget}"
                ),
                false => String::new(),
            };
            rows.push(("epsilon", format!("{spent:.4} of {budget}{several}")));
            rows.push(("delta", format!("{:e}", promise.delta)));
            let (unit, adjacency) = (promise.unit, promise.adjacency);
            rows.push(("unit", format!("{unit}, adjacency {adjacency}")));
        } else {
            rows.push(("epsilon", "none: nobody is protected".into()));
        }
        let done = run.training.rounds_done;
        rows.push((
            "rounds",
            format!("{done} of {}", run.training.rounds_planned),
        ));
        for client in &run.clients {
            let mut line = format!("{}: {} rounds", client.name, client.rounds_taken_part);
            if client.refused_updates > 0 {
                line += &format!(", {} updates refused", client.refused_updates);
            }
            if let Some(reason) = &client.left_out_reason {
                line += &format!(", {reason}");
            }
            rows.push(("client", line));
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        if let Some(traffic) = &run.traffic {
            let (up, down) = (megabytes(traffic.bytes_up), megabytes(traffic.bytes_down));
            rows.push(("moved", format!("{up:.1} MB up, {down:.1} MB down")));
        }
        rows.push((
            "time",
            match run.virtual_time.is_empty() {
                true => format!("{:.1} s on {}", run.seconds, run.training.device),
                false => format!("{:.1} s, virtual", run.seconds),
            },
        ));
        rows.push(("run folder", self.folder.display().to_string()));
        rows
    }
}
