//! What a report says of scores by the model's task.

use super::figures::{self, NONE};
use super::run_summary::{CurvePoint, RunSummary};
use crate::observe::scores::Scores;

/// The two most telling scores, with their names.
pub(super) fn tiles(overall: Option<&Scores>) -> Vec<(String, String)> {
    let Some(scores) = overall else {
        let names = ["Accuracy", "Macro-F1"];
        return names
            .map(|name| (name.to_owned(), NONE.to_owned()))
            .to_vec();
    };
    let telling = scores.all().into_iter().take(2);
    telling
        .map(|score| {
            let value = score.value.map_or(NONE.into(), figures::score);
            (capital(score.name), value)
        })
        .collect()
}

fn capital(name: &str) -> String {
    let first = name.chars().take(1).flat_map(char::to_uppercase);
    first.chain(name.chars().skip(1)).collect()
}

/// The score that is drawn over rounds.
pub(super) struct ScoreCurve {
    pub(super) name: &'static str,
    pub(super) head: &'static str,
    pub(super) caption: &'static str,
    pub(super) title: &'static str,
    pub(super) most: Option<f64>,
    pub(super) value: fn(&CurvePoint) -> Option<f64>,
}

impl ScoreCurve {
    /// The one that the run's task has.
    pub(super) fn of(run: &RunSummary) -> Self {
        let has =
            |value: fn(&CurvePoint) -> Option<f64>| run.curve.iter().any(|p| value(p).is_some());
        if has(|p| p.rmse) {
            return Self {
                name: "RMSE",
                head: "RMSE",
                caption: "root of the mean squared error on public rows",
                title: "RMSE after each evaluated round",
                most: None,
                value: |p| p.rmse,
            };
        }
        if has(|p| p.micro_f1) {
            return Self {
                name: "Micro-F1",
                head: "micro-F1",
                caption: "F1 over all labels of public rows",
                title: "Micro-F1 after each evaluated round",
                most: Some(1.0),
                value: |p| p.micro_f1,
            };
        }
        Self {
            name: "Accuracy",
            head: "accuracy",
            caption: "share of public rows classified correctly",
            title: "Accuracy after each evaluated round",
            most: Some(1.0),
            value: |p| p.accuracy,
        }
    }
}

/// What the loss is, in words.
pub(super) fn loss_caption(run: &RunSummary) -> &'static str {
    match run.results.as_ref().map(|results| &results.overall) {
        Some(Scores::MultiLabel(_)) => {
            "mean binary cross-entropy on public rows and labels, in nats"
        }
        Some(Scores::Regression(_)) => "mean squared error of the scaled values on public rows",
        Some(Scores::SingleLabel(_)) | None => "mean cross-entropy on public rows, in nats",
    }
}
