//! Accuracy and loss on public files, at the coordinator.
//!
//! The files count as public: what is computed on them is published with the model.
//! Nothing is ever evaluated on a site's private rows.

use serde::{Deserialize, Serialize};
use umbel_model::data::{DataError, LabelSet, LabelledTexts, TableSchema, clean, read_table};
use umbel_model::metrics::{ClassScores, Classification, area_under_roc, confusion};
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

/// What [`Scores`] sum up: how good a classifier is at each label.
#[derive(Clone, Debug, PartialEq)]
pub struct ByLabel {
    /// The scores of each label, in the order of the labels.
    pub scores: Vec<ClassScores>,
    /// How often each label (the row) was taken for each (the column); `None` for more than
    /// [`Self::MOST_CONFUSED`] labels.
    pub confusion: Option<Vec<Vec<usize>>>,
    /// The area under the ROC curve of the second label, where there are two and rows of both.
    pub area_under_roc: Option<f64>,
}

impl ByLabel {
    /// Labels of which each pair is counted, at most.
    pub const MOST_CONFUSED: usize = 200;
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
    notes: Vec<String>,
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
        let mut data = Self::default();
        for file in files {
            let mut table = read_table(&file.path, schema)?;
            if cleaned {
                table = clean(table).0;
            }
            let texts = LabelledTexts::from_table(&table, labels)?;
            let (examples, lengths) = tokenise(&texts, classifier)?;
            let cut = (lengths.cut > 0).then(|| lengths.to_string());
            let notes = texts.notes.iter().cloned().chain(cut);
            let named = notes.map(|note| format!("{}: {note}", file.path.display()));
            data.notes.extend(named);
            data.files.push((file.name.clone(), examples));
        }
        Ok(data)
    }

    /// What was found out about the files, in sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
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

    /// Evaluates on all rows, label by label.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_by_label(
        &self,
        classifier: &Classifier,
    ) -> Result<(Scores, ByLabel), ModelError> {
        let mut tally = Tally::default();
        for (_, rows) in &self.files {
            tally.add(classifier, rows.iter())?;
        }
        Ok((tally.scores(classifier), tally.by_label(classifier)))
    }
}

/// Rows that pass through the model at a time in evaluation.
const BATCH: usize = 64;

#[derive(Default)]
struct Tally {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    /// How much more the second label was given than the first, where there are two.
    margins: Vec<f64>,
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
            if let [first, second] = scores.as_slice() {
                self.margins.push(f64::from(*second) - f64::from(*first));
            }
        }
        self.labels.extend(labels);
        Ok(())
    }

    fn append(&mut self, other: Self) {
        self.labels.extend(other.labels);
        self.predictions.extend(other.predictions);
        self.margins.extend(other.margins);
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

impl Tally {
    fn by_label(&self, classifier: &Classifier) -> ByLabel {
        let classes = classifier.labels().len();
        let positive: Vec<bool> = self.labels.iter().map(|label| *label == 1).collect();
        let result = Classification::of(&self.labels, &self.predictions, classes);
        ByLabel {
            scores: result.per_class,
            confusion: (classes <= ByLabel::MOST_CONFUSED)
                .then(|| confusion(&self.labels, &self.predictions, classes)),
            area_under_roc: area_under_roc(&self.margins, &positive),
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
