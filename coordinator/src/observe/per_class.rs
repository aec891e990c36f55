//! The scores of one label.

use serde::{Deserialize, Serialize};
use umbel_model::Threshold;
use umbel_model::metrics::ClassScores;

/// One label's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerClass {
    /// The label.
    pub label: String,
    /// Of the rows that were taken for it, the share that has it.
    pub precision: f64,
    /// Of its rows, the share that was taken for it.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Its rows.
    pub examples: usize,
    /// Rows that were taken for it.
    pub predicted: usize,
    /// The probability from which on it is given, where a text has any number of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

impl PerClass {
    /// The scores of this label.
    pub(super) fn of(label: &str, scores: &ClassScores, threshold: Option<Threshold>) -> Self {
        Self {
            label: label.to_owned(),
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            examples: scores.support,
            predicted: scores.predicted,
            threshold: threshold.map(Threshold::get),
        }
    }
}
