//! From which probability on a label is best given.

use umbel_proto::task::Threshold;

/// Rows with a label, and rows without it, that a threshold is fitted on at least: fewer would fit
/// their own chance.
pub const FEWEST_FOR_A_THRESHOLD: usize = 10;

/// The threshold with the best F1 on rows with their probabilities and whether they have the label:
/// half-way between two probabilities, of equally good ones the highest. `None` where rows of either kind
/// are too few.
pub fn best_threshold(rows: &[(f64, bool)]) -> Option<Threshold> {
    let positive = rows.iter().filter(|(_, has)| *has).count();
    if positive.min(rows.len() - positive) < FEWEST_FOR_A_THRESHOLD {
        return None;
    }
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut best, mut threshold) = (0.0, None);
    let mut hits = 0_usize;
    for (i, (probability, has)) in rows.iter().enumerate() {
        hits += usize::from(*has);
        let next = rows.get(i + 1).map_or(0.0, |(next, _)| *next);
        // Rows of one probability are given the label together.
        if next == *probability && i + 1 < rows.len() {
            continue;
        }
        let f1 = 2.0 * hits as f64 / (i + 1 + positive) as f64;
        if f1 > best {
            (best, threshold) = (f1, Some(f64::midpoint(*probability, next)));
        }
    }
    Threshold::try_from(threshold?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(rows: &[(f64, bool)]) -> Option<f64> {
        best_threshold(rows).map(Threshold::get)
    }

    fn times(count: usize, row: (f64, bool)) -> Vec<(f64, bool)> {
        vec![row; count]
    }

    #[test]
    fn the_threshold_lies_between_rows_with_the_label_and_rows_without() {
        let rows = [times(10, (0.3, true)), times(90, (0.1, false))].concat();
        assert_eq!(fitted(&rows), Some(0.2));
        // One row without it among those with it is worth less than they are.
        let mixed = [rows, vec![(0.6, false)]].concat();
        assert_eq!(fitted(&mixed), Some(0.2));
    }

    #[test]
    fn a_label_that_nothing_tells_is_given_to_all() {
        let rows = [times(20, (0.4, true)), times(20, (0.4, false))].concat();
        assert_eq!(fitted(&rows), Some(0.2));
    }

    #[test]
    fn too_few_rows_of_either_kind_have_none() {
        assert_eq!(fitted(&[]), None);
        for (with, without) in [(9, 100), (100, 9), (0, 100), (100, 0)] {
            let rows = [times(with, (0.9, true)), times(without, (0.1, false))].concat();
            assert_eq!(fitted(&rows), None, "{with} {without}");
        }
    }
}
