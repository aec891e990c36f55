//! What a classifier answers on public rows, and its scores.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use umbel_model::metrics::{
    Classification, SeveralLabels, Temperature, ValueErrors, binary_cross_entropy, cross_entropy,
};
use umbel_model::{Classifier, Target, Task, Threshold};

use super::public_data::stride;
use super::scores::{LabelScores, Scores, SeveralLabelScores, ValueScores};

/// Scores over all files and for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// All rows together.
    pub overall: Scores,
    /// Each file, by name.
    pub files: Vec<(String, Scores)>,
}

/// What a classifier answers on one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What is right for the row.
    pub target: Target,
    /// The classifier's outputs.
    pub scores: Vec<f32>,
}

impl Answer {
    /// The row's label, by its place among the classifier's, where it has one.
    pub fn class(&self) -> Option<usize> {
        match &self.target {
            Target::Class(index) => Some(*index),
            Target::Labels(_) | Target::Value(_) => None,
        }
    }

    /// The probability of each label, each by itself.
    pub fn probabilities(&self) -> impl Iterator<Item = f64> {
        let scores = self.scores.iter();
        scores.map(|score| 1.0 / (1.0 + (-f64::from(*score)).exp()))
    }

    /// The labels whose probability is at least their threshold.
    pub fn given(&self, thresholds: &[Threshold]) -> Vec<usize> {
        let each = self.probabilities().zip(thresholds).enumerate();
        let given = each.filter(|(_, (probability, threshold))| *probability >= threshold.get());
        given.map(|(label, _)| label).collect()
    }

    /// The label that it names: the first of those with the highest score.
    pub fn prediction(&self) -> usize {
        let scores = &self.scores;
        let better = |best: usize, i: usize| if scores[i] > scores[best] { i } else { best };
        (1..scores.len()).fold(0, better)
    }
}

/// What a classifier answers on the rows of public files.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    task: Task,
    classes: usize,
    thresholds: Vec<Threshold>,
    files: Vec<(String, Vec<Answer>)>,
}

impl Answers {
    /// Those of a classifier, by the names of the files.
    pub(super) fn new(classifier: &Classifier, files: Vec<(String, Vec<Answer>)>) -> Self {
        Self {
            task: classifier.task(),
            classes: classifier.labels().len(),
            thresholds: classifier.thresholds(),
            files,
        }
    }

    /// Answers on the rows of one file.
    #[cfg(test)]
    pub(super) fn of_rows(classes: usize, rows: Vec<Answer>) -> Self {
        Self {
            task: Task::SingleLabel,
            classes,
            thresholds: vec![Threshold::default(); classes],
            files: vec![("all".into(), rows)],
        }
    }

    /// What was answered.
    pub fn task(&self) -> Task {
        self.task
    }

    /// From which probability on each label is given, where a text has any number.
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }

    /// How many labels there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All of them, file after file.
    pub fn all(&self) -> Vec<&Answer> {
        self.files.iter().flat_map(|(_, answers)| answers).collect()
    }

    /// Those of each file, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, Vec<&Answer>)> {
        let files = self.files.iter();
        files.map(|(name, answers)| (name.as_str(), answers.iter().collect()))
    }

    /// Those that [`PublicData::sample`](super::public_data::PublicData::sample) would have taken.
    #[must_use]
    pub fn sample(&self, limit: usize) -> Self {
        let total = self.files.iter().map(|(_, answers)| answers.len()).sum();
        let stride = stride(total, limit);
        let taken = |(name, answers): &(String, Vec<Answer>)| {
            let answers = answers.iter().step_by(stride).cloned();
            (name.clone(), answers.collect())
        };
        self.with_files(self.files.iter().map(taken).collect())
    }

    fn with_files(&self, files: Vec<(String, Vec<Answer>)>) -> Self {
        Self {
            files,
            thresholds: self.thresholds.clone(),
            ..*self
        }
    }

    /// Those that nothing is fitted on, with these thresholds, which were fitted on the others.
    #[must_use]
    pub fn judged_at(&self, thresholds: Vec<Threshold>) -> Self {
        let judged: BTreeSet<usize> = self.halves().judged.iter().map(|(i, _)| *i).collect();
        let mut place = 0..;
        let judged_of = |(name, answers): &(String, Vec<Answer>)| {
            let answers = answers.iter().zip(place.by_ref());
            let judged = answers.filter(|(_, place)| judged.contains(place));
            (
                name.clone(),
                judged.map(|(answer, _)| answer.clone()).collect(),
            )
        };
        let files = self.files.iter().map(judged_of).collect();
        Self {
            thresholds,
            ..self.with_files(files)
        }
    }

    /// The same answers at a temperature.
    #[must_use]
    pub fn at(mut self, temperature: Temperature) -> Self {
        for answer in self.files.iter_mut().flat_map(|(_, answers)| answers) {
            answer.scores = temperature.temper(&answer.scores);
        }
        self
    }

    /// Their scores, over all files and for each.
    pub fn evaluation(&self) -> Evaluation {
        let files = self.files();
        Evaluation {
            overall: self.scores(&self.all()),
            files: files
                .map(|(name, answers)| (name.to_owned(), self.scores(&answers)))
                .collect(),
        }
    }

    /// The answers in two halves: one to fit a temperature on, and one to judge it on. In every
    /// file, of every label's rows the first, third, … are judged on and the others fitted on,
    /// so that both halves have every file's labels in their shares.
    pub fn halves(&self) -> Halves<'_> {
        let mut halves = Halves::default();
        let mut place = 0;
        for (_, answers) in &self.files {
            // One place more for rows without labels.
            let mut seen = vec![0_usize; self.classes + 1];
            for answer in answers {
                let first = answer.target.classes().first();
                let fitted = seen.get_mut(first.map_or(0, |label| label + 1));
                let fitted = fitted.is_some_and(|seen| {
                    *seen += 1;
                    seen.is_multiple_of(2)
                });
                let half = if fitted {
                    &mut halves.fitted
                } else {
                    &mut halves.judged
                };
                half.push((place, answer));
                place += 1;
            }
        }
        halves
    }
}

/// Answers in two halves, each with its place among all.
#[derive(Clone, Debug, Default)]
pub struct Halves<'a> {
    /// What is fitted is fitted on these.
    pub fitted: Vec<(usize, &'a Answer)>,
    /// And judged on these.
    pub judged: Vec<(usize, &'a Answer)>,
}

/// Labels and predictions.
pub(super) fn labels_and_predictions(answers: &[&Answer]) -> (Vec<usize>, Vec<usize>) {
    let answers = answers.iter();
    answers
        .filter_map(|answer| Some((answer.class()?, answer.prediction())))
        .unzip()
}

impl Answers {
    /// The scores of some of them.
    fn scores(&self, answers: &[&Answer]) -> Scores {
        let examples = answers.len();
        match self.task {
            Task::SingleLabel => {
                let (labels, predictions) = labels_and_predictions(answers);
                let result = Classification::of(&labels, &predictions, self.classes);
                Scores::SingleLabel(LabelScores {
                    accuracy: result.accuracy,
                    macro_f1: result.macro_f1,
                    loss: mean_loss(answers),
                    examples,
                })
            }
            Task::MultiLabel => {
                let result = self.several_labels(answers);
                let losses = answers.iter();
                let losses = losses.map(|a| binary_cross_entropy(&a.scores, a.target.classes()));
                Scores::MultiLabel(SeveralLabelScores {
                    micro_f1: result.micro_f1,
                    macro_f1: result.macro_f1,
                    exact_match: result.exact_match,
                    loss: losses.sum::<f64>() / examples.max(1) as f64,
                    examples,
                })
            }
            Task::Regression(scale) => {
                let pairs = answers.iter().filter_map(|answer| match answer.target {
                    Target::Value(value) => {
                        let output = answer.scores.first().copied().unwrap_or(f32::NAN);
                        Some((value, scale.value(f64::from(output))))
                    }
                    Target::Class(_) | Target::Labels(_) => None,
                });
                let (values, predictions): (Vec<f64>, Vec<f64>) = pairs.unzip();
                let errors = ValueErrors::of(&values, &predictions);
                let scaled = errors.rmse / scale.scale.get();
                Scores::Regression(ValueScores {
                    rmse: errors.rmse,
                    mae: errors.mae,
                    r2: errors.r2,
                    loss: scaled * scaled,
                    examples,
                })
            }
        }
    }

    /// The scores of some of them by label, where a text has any number.
    pub(super) fn several_labels(&self, answers: &[&Answer]) -> SeveralLabels {
        let truth: Vec<&[usize]> = answers.iter().map(|a| a.target.classes()).collect();
        let given: Vec<Vec<usize>> = answers.iter().map(|a| a.given(&self.thresholds)).collect();
        SeveralLabels::of(&truth, &given, self.classes)
    }
}

/// Mean cross-entropy, in nats; 0 without rows.
pub(super) fn mean_loss(answers: &[&Answer]) -> f64 {
    let losses = answers.iter();
    let sum: f64 = losses
        .filter_map(|a| Some(cross_entropy(&a.scores, a.class()?)))
        .sum();
    sum / answers.len().max(1) as f64
}

#[cfg(test)]
#[path = "evaluation_tests.rs"]
mod tests;
