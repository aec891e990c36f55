//! What the scores of a model are worth whose answers aren't one label a text.

use umbel_model::Threshold;
use umbel_model::metrics::{ClassScores, best_threshold};

use super::adjustment::Adjustment;
use super::evaluation::{Answer, Answers};
use super::judgement::{Calibrate, Judgement, PerClass};
use super::scores::Scores;

impl Judgement {
    /// Of any number of labels a text: each label's scores, at thresholds that are fitted on one half of
    /// the rows and judged on the other, or as they are.
    pub(super) fn several(
        answers: &Answers,
        labels: &[String],
        calibrate: Calibrate,
    ) -> (Self, Option<Adjustment>) {
        let halves = answers.halves();
        let fitted: Vec<&Answer> = halves.fitted.iter().map(|(_, answer)| *answer).collect();
        let thresholds = match calibrate {
            Calibrate::Fit => fit(&fitted, answers.thresholds()),
            Calibrate::Off | Calibrate::Already(_) => None,
        };
        let judged = match &thresholds {
            Some(thresholds) => &answers.judged_at(thresholds.clone()),
            None => answers,
        };
        let all = judged.all();
        let scores = judged.several_labels(&all);
        let each = labels
            .iter()
            .zip(&scores.per_label)
            .zip(judged.thresholds());
        let judgement = Self {
            per_class: each
                .map(|((label, scores), threshold)| PerClass::of(label, scores, Some(*threshold)))
                .collect(),
            thresholds_fitted_on: thresholds.as_ref().map(|_| fitted.len()),
            verdict: never_given(&scores.per_label),
            ..Self::default()
        };
        (judgement, thresholds.map(Adjustment::Thresholds))
    }

    /// Of a value.
    pub(super) fn of_values(answers: &Answers) -> Self {
        let verdict = match answers.evaluation().overall {
            Scores::Regression(scores) if scores.r2.is_some_and(|r2| r2 <= 0.0) => Some(
                "No better than always answering the mean of these rows' values: R² isn't above 0."
                    .to_owned(),
            ),
            _ => None,
        };
        Self {
            verdict,
            ..Self::default()
        }
    }
}

/// Each label's best threshold, or the one that it has where rows with it or without it are too few;
/// `None` where all are.
fn fit(rows: &[&Answer], before: &[Threshold]) -> Option<Vec<Threshold>> {
    let of_label = |label: usize| {
        let row = |answer: &&Answer| {
            let probability = answer.probabilities().nth(label)?;
            Some((probability, answer.target.classes().contains(&label)))
        };
        let rows: Vec<(f64, bool)> = rows.iter().filter_map(row).collect();
        best_threshold(&rows)
    };
    let found: Vec<Option<Threshold>> = (0..before.len()).map(of_label).collect();
    let any = found.iter().any(Option::is_some);
    let all = found.into_iter().zip(before);
    any.then(|| {
        all.map(|(found, before)| found.unwrap_or(*before))
            .collect()
    })
}

/// A model that gives no label at all has shown nothing.
fn never_given(per_label: &[ClassScores]) -> Option<String> {
    let there = per_label.iter().any(|scores| scores.support > 0);
    let given = per_label.iter().any(|scores| scores.predicted > 0);
    (there && !given).then(|| {
        "The model gives none of these rows a label, though some have one: train it longer, or set \
         lower thresholds under task.threshold."
            .to_owned()
    })
}
