//! What a model's scores are worth: by label, beside what is no effort at all, with how far chance
//! goes, and whether its probabilities are what they say.
//!
//! Everything here is computed from answers on public rows, so it costs no privacy.

use serde::{Deserialize, Serialize};
use umbel_model::Task;
use umbel_model::metrics::{
    BagOfWords, Classification, Interval, Intervals, Temperature, area_under_roc, bootstrap,
    confusion, mean_area_under_roc, softmax,
};
use umbel_privacy::private_rng::NoiseSource;

use super::adjustment::Adjustment;
use super::calibration::calibration;
pub use super::calibration::{Bin, Calibrate, Calibration, Reliability, calibrated_loss};
use super::evaluation::{Answer, Answers, Halves, labels_and_predictions};
pub use super::per_class::PerClass;
use super::public_data::PublicData;

/// What the scores of a model on public rows are worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Each label, in the order of the model's outputs.
    pub per_class: Vec<PerClass>,
    /// How often each label (the row) was taken for each (the column); `None` for more than
    /// [`Self::MOST_CONFUSED`] labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<usize>>>,
    /// The area under the ROC curve: of the second of two labels; of more, the mean of each
    /// against the rest. `None` where a label has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Always answering the commonest label; `None` without rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub majority: Option<Majority>,
    /// Intervals of the scores on all rows; `None` without rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<ScoreIntervals>,
    /// Intervals of the scores on each file's rows, by name.
    #[serde(default)]
    pub file_intervals: Vec<(String, ScoreIntervals)>,
    /// A bag-of-words model of half of the rows; `None` where these are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bag_of_words: Option<Baseline>,
    /// Whether probabilities are what they say; `None` without rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Rows that the labels' thresholds were fitted on; all scores are of the others. `None` where none
    /// was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds_fitted_on: Option<usize>,
    /// What has to be said first, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
}

/// The commonest label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Majority {
    /// The label, of equally common ones the first.
    pub label: String,
    /// The share of the rows with it: the accuracy of always answering it.
    pub share: f64,
}

/// Percentile bootstrap intervals of 95 %, as `[low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreIntervals {
    /// Of accuracy.
    pub accuracy: (f64, f64),
    /// Of macro-F1.
    pub macro_f1: (f64, f64),
}

/// A simpler model's scores beside the model's, on the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its accuracy.
    pub accuracy: f64,
    /// Its macro-F1.
    pub macro_f1: f64,
    /// The model's accuracy there.
    pub model_accuracy: f64,
    /// The model's macro-F1 there.
    pub model_macro_f1: f64,
    /// The public rows that it was trained on.
    pub trained_on: usize,
    /// The other rows, on which both were scored.
    pub examples: usize,
}

impl Judgement {
    /// Labels of which each pair is counted, at most.
    pub const MOST_CONFUSED: usize = 200;

    /// Judges a model by its answers on all rows of `public`, and says what of it is to be adjusted
    /// from now on, if something was fitted.
    pub fn of(
        answers: &Answers,
        public: &PublicData,
        labels: &[String],
        calibrate: Calibrate,
    ) -> (Self, Option<Adjustment>) {
        match answers.task() {
            Task::SingleLabel => {
                let (judgement, temperature) = Self::single(answers, public, labels, calibrate);
                (judgement, temperature.map(Adjustment::Temperature))
            }
            Task::MultiLabel => Self::several(answers, labels, calibrate),
            Task::Regression(_) => (Self::of_values(answers), None),
        }
    }

    /// Of the answers' scores, only the probabilities depend on the temperature.
    fn single(
        answers: &Answers,
        public: &PublicData,
        labels: &[String],
        calibrate: Calibrate,
    ) -> (Self, Option<Temperature>) {
        let (all, classes) = (answers.all(), answers.classes());
        let halves = answers.halves();
        let (truth, predictions) = labels_and_predictions(&all);
        let result = Classification::of(&truth, &predictions, classes);
        let (calibration, temperature) = calibration(&all, &halves, calibrate);
        let intervals = intervals(&all, classes, "all");
        let majority = majority(&truth, labels);
        let verdict = verdict(majority.as_ref(), intervals.as_ref());
        let per_class = labels.iter().zip(&result.per_class);
        let files = answers.files();
        let judgement = Self {
            per_class: per_class
                .map(|(label, scores)| PerClass::of(label, scores, None))
                .collect(),
            confusion: (classes <= Self::MOST_CONFUSED)
                .then(|| confusion(&truth, &predictions, classes)),
            auc: area(&all, &truth, classes),
            majority,
            intervals,
            file_intervals: files
                .filter_map(|(name, of_file)| {
                    Some((name.to_owned(), self::intervals(&of_file, classes, name)?))
                })
                .collect(),
            bag_of_words: bag_of_words(public, &halves, classes),
            calibration,
            thresholds_fitted_on: None,
            verdict,
        };
        (judgement, temperature)
    }
}

fn area(all: &[&Answer], truth: &[usize], classes: usize) -> Option<f64> {
    if classes == 2 {
        // By margins, which tell rows apart whose probabilities are both 1.
        let margin = |answer: &&Answer| match answer.scores.as_slice() {
            [first, second] => f64::from(*second) - f64::from(*first),
            _ => f64::NAN,
        };
        let margins: Vec<f64> = all.iter().map(margin).collect();
        let positive: Vec<bool> = truth.iter().map(|label| *label == 1).collect();
        return area_under_roc(&margins, &positive);
    }
    if classes > Judgement::MOST_CONFUSED {
        return None;
    }
    let probabilities: Vec<Vec<f64>> = all.iter().map(|answer| softmax(&answer.scores)).collect();
    mean_area_under_roc(&probabilities, truth, classes)
}

fn majority(truth: &[usize], labels: &[String]) -> Option<Majority> {
    let mut counts = vec![0_usize; labels.len()];
    for label in truth {
        if let Some(count) = counts.get_mut(*label) {
            *count += 1;
        }
    }
    let most = *counts.iter().max().filter(|most| **most > 0)?;
    let place = counts.iter().position(|count| *count == most)?;
    Some(Majority {
        label: labels[place].clone(),
        share: most as f64 / truth.len() as f64,
    })
}

/// Drawn from a stream of a fixed seed and the rows' `name`: the same rows have the same interval.
fn intervals(answers: &[&Answer], classes: usize, name: &str) -> Option<ScoreIntervals> {
    let (labels, predictions) = labels_and_predictions(answers);
    let mut rng = NoiseSource::seeded(0, &format!("bootstrap/{name}"));
    let Intervals { accuracy, macro_f1 } = bootstrap(&labels, &predictions, classes, &mut rng)?;
    let ends = |interval: Interval| (interval.low, interval.high);
    Some(ScoreIntervals {
        accuracy: ends(accuracy),
        macro_f1: ends(macro_f1),
    })
}

fn bag_of_words(public: &PublicData, halves: &Halves<'_>, classes: usize) -> Option<Baseline> {
    let Halves { fitted, judged } = halves;
    if fitted.len() < Temperature::FEWEST {
        return None;
    }
    let rows: Vec<&[u32]> = public.rows().map(|row| &row.tokens[..]).collect();
    let row = |(place, answer): &(usize, &Answer)| Some((*rows.get(*place)?, answer.class()?));
    let model = BagOfWords::fit(fitted.iter().filter_map(row))?;
    let shown: Vec<(&[u32], usize)> = judged.iter().filter_map(row).collect();
    let (labels, predictions): (Vec<usize>, Vec<usize>) = shown
        .iter()
        .map(|(tokens, label)| (*label, model.predict(tokens)))
        .unzip();
    let baseline = Classification::of(&labels, &predictions, classes);
    let judged: Vec<&Answer> = judged.iter().map(|(_, answer)| *answer).collect();
    let (labels, predictions) = labels_and_predictions(&judged);
    let own = Classification::of(&labels, &predictions, classes);
    Some(Baseline {
        accuracy: baseline.accuracy,
        macro_f1: baseline.macro_f1,
        model_accuracy: own.accuracy,
        model_macro_f1: own.macro_f1,
        trained_on: fitted.len(),
        examples: shown.len(),
    })
}

/// A model whose accuracy may be that of always answering one label has shown nothing.
fn verdict(majority: Option<&Majority>, intervals: Option<&ScoreIntervals>) -> Option<String> {
    let (majority, (low, high)) = (majority?, intervals?.accuracy);
    (low <= majority.share).then(|| {
        format!(
            "No better than always answering {:?}, which is right on {:.1} % of these rows: the \
             95 % interval of the accuracy is {:.1} % to {:.1} %.",
            majority.label,
            100.0 * majority.share,
            100.0 * low,
            100.0 * high
        )
    })
}

#[cfg(test)]
#[path = "judgement_tests.rs"]
mod tests;
