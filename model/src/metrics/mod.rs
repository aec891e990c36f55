//! How good predictions are: accuracy, and precision, recall and F1 of each class; the same where a text
//! has any number of labels; errors of values.
//!
//! Computed on private rows these numbers are private too; only public rows' may be shown.

mod bag_of_words;
mod bootstrap;
mod confusion;
mod probability;
mod ranking;
mod reliability;
mod several_labels;
mod temperature;
mod threshold;
mod values;

pub use bag_of_words::BagOfWords;
pub use bootstrap::{Interval, Intervals, RESAMPLES, bootstrap};
pub use confusion::confusion;
pub use probability::{binary_cross_entropy, cross_entropy, softmax};
pub use ranking::{area_under_roc, mean_area_under_roc};
pub use reliability::{CLAIM_BINS, ClaimBin, expected_calibration_error, reliability};
pub use several_labels::SeveralLabels;
pub use temperature::{NoTemperature, Temperature};
pub use threshold::{FEWEST_FOR_A_THRESHOLD, best_threshold};
pub use values::ValueErrors;

/// Scores of one class, in \[0, 1\]; a ratio of nothing to nothing counts as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassScores {
    /// Of the examples predicted to be of this class, the share that is.
    pub precision: f64,
    /// Of the examples of this class, the share predicted so.
    pub recall: f64,
    /// Harmonic mean of precision and recall: `2 TP / (2 TP + FP + FN)`.
    pub f1: f64,
    /// Examples of this class.
    pub support: usize,
    /// Examples predicted to be of it.
    pub predicted: usize,
}

/// Scores of a classifier on labelled examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// Share of the examples classified correctly; 0 where there are none.
    pub accuracy: f64,
    /// Unweighted mean of F1 over the classes that occur among labels or predictions: what
    /// scikit-learn's `f1_score(average="macro", zero_division=0)` computes. 0 where there
    /// are no examples.
    pub macro_f1: f64,
    /// How many examples there are.
    pub examples: usize,
    /// The scores of each class.
    pub per_class: Vec<ClassScores>,
}

impl Classification {
    /// Compares predictions with labels, both indices below `classes`.
    ///
    /// Where one list is longer, its tail isn't compared. An index that names no class is a
    /// wrong prediction, or a label that nobody could predict; it never panics.
    pub fn of(labels: &[usize], predictions: &[usize], classes: usize) -> Self {
        let mut hits = vec![0_usize; classes];
        let mut per_class = vec![ClassScores::default(); classes];
        let examples = labels.len().min(predictions.len());
        for (&label, &prediction) in labels.iter().zip(predictions) {
            if let Some(class) = per_class.get_mut(label) {
                class.support += 1;
            }
            if let Some(class) = per_class.get_mut(prediction) {
                class.predicted += 1;
            }
            if let Some(class) = hits.get_mut(label).filter(|_| label == prediction) {
                *class += 1;
            }
        }
        for (class, &hits) in per_class.iter_mut().zip(&hits) {
            class.precision = ratio(hits as f64, class.predicted);
            class.recall = ratio(hits as f64, class.support);
            // TP + FP is what was predicted, TP + FN what there was.
            class.f1 = ratio(2.0 * hits as f64, class.predicted + class.support);
        }
        let occurring = per_class.iter().filter(|c| c.support + c.predicted > 0);
        let (sum, count) = occurring.fold((0.0, 0), |(sum, n), c| (sum + c.f1, n + 1));
        Self {
            accuracy: ratio(hits.iter().sum::<usize>() as f64, examples),
            macro_f1: ratio(sum, count),
            examples,
            per_class,
        }
    }
}

fn ratio(part: f64, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    /// Class 0: TP 2, FP 1, FN 1. Class 1: TP 1, FP 1, FN 2. Class 2: TP 1, FP 2, FN 1.
    #[test]
    fn scores_are_those_calculated_by_hand() {
        let found = Classification::of(&[0, 0, 0, 1, 1, 1, 2, 2], &[0, 0, 1, 1, 2, 2, 2, 0], 3);
        assert!(close(found.accuracy, 4.0 / 8.0));
        let f1 = [2.0 / 3.0, 2.0 / 5.0, 2.0 / 5.0];
        let precision = [2.0 / 3.0, 1.0 / 2.0, 1.0 / 3.0];
        let recall = [2.0 / 3.0, 1.0 / 3.0, 1.0 / 2.0];
        for (i, class) in found.per_class.iter().enumerate() {
            assert!(
                close(class.f1, f1[i]) && close(class.precision, precision[i]),
                "{i}"
            );
            assert!(close(class.recall, recall[i]), "{i}");
        }
        assert!(close(found.macro_f1, f1.iter().sum::<f64>() / 3.0));
        assert_eq!((found.examples, found.per_class[1].support), (8, 3));
    }

    #[test]
    fn a_class_that_is_only_predicted_or_only_missed_counts_as_zero() {
        // Class 0: TP 1, FN 1. Class 1: FP 1. Class 2 and 3 occur nowhere.
        let found = Classification::of(&[0, 0], &[0, 1], 4);
        assert!(close(found.per_class[0].f1, 2.0 / 3.0));
        assert!(close(found.macro_f1, (2.0 / 3.0 + 0.0) / 2.0));
    }

    #[test]
    fn no_examples_score_zero_and_not_nan() {
        let found = Classification::of(&[], &[], 2);
        assert_eq!(
            (found.accuracy, found.macro_f1, found.examples),
            (0.0, 0.0, 0)
        );
        assert_eq!(Classification::of(&[], &[], 0).per_class, []);
    }

    #[test]
    fn an_index_that_names_no_class_is_wrong() {
        let found = Classification::of(&[0, 7], &[9, 7], 2);
        assert_eq!(
            (found.accuracy, found.macro_f1, found.examples),
            (0.0, 0.0, 2)
        );
    }

    fn pairs() -> impl Strategy<Value = Vec<(usize, usize)>> {
        prop::collection::vec((0..4_usize, 0..4_usize), 1..60)
    }

    proptest! {
        #[test]
        fn scores_are_shares_and_perfect_exactly_where_all_is_right(pairs in pairs()) {
            let (labels, predictions): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let found = Classification::of(&labels, &predictions, 4);
            prop_assert!((0.0..=1.0).contains(&found.accuracy));
            prop_assert!((0.0..=1.0).contains(&found.macro_f1));
            let all_right = labels == predictions;
            prop_assert_eq!(found.accuracy == 1.0, all_right);
            prop_assert_eq!(found.macro_f1 == 1.0, all_right);
            let harmonic = found.per_class.iter().all(|c| {
                let sum = c.precision + c.recall;
                let expected = if sum == 0.0 { 0.0 } else { 2.0 * c.precision * c.recall / sum };
                close(c.f1, expected)
            });
            prop_assert!(harmonic);
        }

        #[test]
        fn neither_the_order_of_examples_nor_the_names_of_classes_matter(pairs in pairs()) {
            let (labels, predictions): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let found = Classification::of(&labels, &predictions, 4);
            let (labels, predictions): (Vec<_>, Vec<_>) =
                pairs.iter().rev().map(|(l, p)| (3 - l, 3 - p)).unzip();
            let other = Classification::of(&labels, &predictions, 4);
            prop_assert!(close(found.macro_f1, other.macro_f1));
            prop_assert!(close(found.accuracy, other.accuracy));
        }
    }
}
