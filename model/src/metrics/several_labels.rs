//! How good predictions of any number of labels a text are.

use super::{ClassScores, ratio};

/// Scores of a classifier of any number of labels on examples with theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct SeveralLabels {
    /// F1 over all examples' labels together: what scikit-learn's
    /// `f1_score(average="micro", zero_division=0)` computes of indicators.
    pub micro_f1: f64,
    /// Unweighted mean of all labels' F1, those that never occur as 0: its
    /// `f1_score(average="macro", zero_division=0)`.
    pub macro_f1: f64,
    /// Share of the examples of which all labels are right: its `accuracy_score`. 0 where there are
    /// none.
    pub exact_match: f64,
    /// How many examples there are.
    pub examples: usize,
    /// The scores of each label.
    pub per_label: Vec<ClassScores>,
}

impl SeveralLabels {
    /// Compares predictions with labels: each example's indices below `labels`, ascending. Where one
    /// list is longer, its tail isn't compared; an index that names no label is in no label's scores.
    pub fn of<T: AsRef<[usize]>, P: AsRef<[usize]>>(
        truth: &[T],
        predictions: &[P],
        labels: usize,
    ) -> Self {
        let mut hits = vec![0_usize; labels];
        let mut per_label = vec![ClassScores::default(); labels];
        let mut exact = 0_usize;
        let examples = truth.len().min(predictions.len());
        for (truth, predicted) in truth.iter().zip(predictions) {
            let (truth, predicted) = (truth.as_ref(), predicted.as_ref());
            exact += usize::from(truth == predicted);
            for label in truth {
                if let Some(scores) = per_label.get_mut(*label) {
                    scores.support += 1;
                }
            }
            for label in predicted {
                if let Some(scores) = per_label.get_mut(*label) {
                    scores.predicted += 1;
                }
                if let Some(hits) = hits.get_mut(*label).filter(|_| truth.contains(label)) {
                    *hits += 1;
                }
            }
        }
        for (scores, hits) in per_label.iter_mut().zip(&hits) {
            scores.precision = ratio(*hits as f64, scores.predicted);
            scores.recall = ratio(*hits as f64, scores.support);
            scores.f1 = ratio(2.0 * *hits as f64, scores.predicted + scores.support);
        }
        let total: usize = hits.iter().sum();
        let named = per_label.iter().map(|s| s.predicted + s.support).sum();
        let f1: f64 = per_label.iter().map(|s| s.f1).sum();
        Self {
            micro_f1: ratio(2.0 * total as f64, named),
            macro_f1: ratio(f1, labels),
            exact_match: ratio(exact as f64, examples),
            examples,
            per_label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Label 0: TP 2, FP 0, FN 0. Label 1: TP 1, FP 1, FN 1. Label 2: FN 1. Label 3 occurs nowhere.
    #[test]
    fn scores_are_those_calculated_by_hand() {
        let truth = [vec![0, 1], vec![], vec![0, 2], vec![1]];
        let predicted = [vec![0, 1], vec![1], vec![0], vec![]];
        let found = SeveralLabels::of(&truth, &predicted, 4);
        assert!((found.micro_f1 - 2.0 * 3.0 / 9.0).abs() < 1e-12);
        assert!((found.macro_f1 - (1.0 + 0.5) / 4.0).abs() < 1e-12);
        assert_eq!((found.exact_match, found.examples), (0.25, 4));
        assert_eq!(found.per_label[1].support, 2);
    }

    #[test]
    fn nothing_scores_zero_and_nothing_predicted_of_nothing_is_right() {
        let none: [Vec<usize>; 0] = [];
        let found = SeveralLabels::of(&none, &none, 2);
        assert_eq!((found.micro_f1, found.exact_match), (0.0, 0.0));
        let found = SeveralLabels::of(&[vec![]], &[Vec::<usize>::new()], 2);
        assert_eq!((found.micro_f1, found.exact_match), (0.0, 1.0));
        // An index beyond the labels is nobody's, and still no exact match.
        let found = SeveralLabels::of(&[vec![7]], &[vec![8]], 0);
        assert_eq!((found.macro_f1, found.exact_match), (0.0, 0.0));
    }
}
