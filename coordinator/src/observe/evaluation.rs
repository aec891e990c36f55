//! Accuracy and loss on public files, at the coordinator.
//!
//! The files count as public: what is computed on them is published with the model.
//! Nothing is ever evaluated on a site's private rows.

use serde::{Deserialize, Serialize};
use umbel_model::data::{DataError, LabelSet, LabelledTexts, TableSchema, clean, read_table};
use umbel_model::metrics::Classification;
use umbel_model::{Classifier, Example, ModelError, logits, tokenise};

use crate::config::EvaluationFile;

/// How good a classifier is on some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of rows classified correctly.
    pub accuracy: f64,
    /// Unweighted mean of the classes' F1.
    pub macro_f1: f64,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Rows.
    pub examples: usize,
}

/// Scores over all files and for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// All rows together.
    pub overall: Scores,
    /// Each file, by name.
    pub files: Vec<(String, Scores)>,
}

/// Why public data can't be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Labelled public rows, tokenised.
#[derive(Clone, Debug, Default)]
pub struct PublicData {
    files: Vec<(String, Vec<Example>)>,
}

impl PublicData {
    /// Reads the files of a configuration.
    ///
    /// # Errors
    /// [`EvaluationError`] naming the file and row.
    pub fn read(
        files: &[EvaluationFile],
        schema: &TableSchema,
        labels: &LabelSet,
        cleaned: bool,
        classifier: &Classifier,
    ) -> Result<Self, EvaluationError> {
        let read = |file: &EvaluationFile| {
            let mut table = read_table(&file.path, schema)?;
            if cleaned {
                table = clean(table).0;
            }
            let texts = LabelledTexts::from_table(&table, labels)?;
            Ok((file.name.clone(), tokenise(&texts, classifier)?))
        };
        Ok(Self {
            files: files
                .iter()
                .map(read)
                .collect::<Result<_, EvaluationError>>()?,
        })
    }

    /// Whether there is nothing to evaluate on.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Evaluates on all rows, or on about `limit` of them, evenly spread, if that isn't 0.
    ///
    /// # Errors
    /// [`ModelError`] where the device fails.
    pub fn evaluate(
        &self,
        classifier: &Classifier,
        limit: usize,
    ) -> Result<Evaluation, ModelError> {
        let total: usize = self.files.iter().map(|(_, rows)| rows.len()).sum();
        let stride = match limit {
            0 => 1,
            limit => total.div_ceil(limit).max(1),
        };
        let mut all = Tally::default();
        let mut files = Vec::with_capacity(self.files.len());
        for (name, rows) in &self.files {
            let mut tally = Tally::default();
            tally.add(classifier, rows.iter().step_by(stride))?;
            files.push((name.clone(), tally.scores(classifier)));
            all.append(tally);
        }
        Ok(Evaluation {
            overall: all.scores(classifier),
            files,
        })
    }
}

/// Rows that pass through the model at a time in evaluation.
const BATCH: usize = 64;

#[derive(Default)]
struct Tally {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    loss: f64,
}

impl Tally {
    fn add<'a>(
        &mut self,
        classifier: &Classifier,
        rows: impl Iterator<Item = &'a Example>,
    ) -> Result<(), ModelError> {
        let (tokens, labels): (Vec<Vec<u32>>, Vec<usize>) =
            rows.map(|row| (row.tokens.clone(), row.label)).unzip();
        for (scores, &label) in logits(classifier, &tokens, BATCH)?.iter().zip(&labels) {
            self.loss += cross_entropy(scores, label);
            self.predictions.push(largest(scores));
        }
        self.labels.extend(labels);
        Ok(())
    }

    fn append(&mut self, other: Self) {
        self.labels.extend(other.labels);
        self.predictions.extend(other.predictions);
        self.loss += other.loss;
    }

    fn scores(&self, classifier: &Classifier) -> Scores {
        let classes = classifier.labels().len();
        let result = Classification::of(&self.labels, &self.predictions, classes);
        Scores {
            accuracy: result.accuracy,
            macro_f1: result.macro_f1,
            loss: self.loss / self.labels.len().max(1) as f64,
            examples: self.labels.len(),
        }
    }
}

/// `log Σ exp(s) - s_label`, shifted by the largest score so that nothing overflows.
fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|s| f64::from(s - top).exp()).sum();
    sum.ln() + f64::from(top) - scores.get(label).map_or(0.0, |s| f64::from(*s))
}

fn largest(scores: &[f32]) -> usize {
    let better = |best: usize, i: usize| if scores[i] > scores[best] { i } else { best };
    (1..scores.len()).fold(0, better)
}
