//! How well scores rank, whatever the threshold.

/// The area under the ROC curve: the probability that a positive example has a higher score than a
/// negative one, ties counted half (Hanley and McNeil 1982, section III). `None` where either kind
/// is missing, or a score isn't a number.
pub fn area_under_roc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut ranked: Vec<(f64, bool)> = scores
        .iter()
        .copied()
        .zip(positive.iter().copied())
        .collect();
    if ranked.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ranked.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = ranked.len() as f64 - positives;
    let mut ranks = 0.0;
    let mut before = 0.0;
    for ties in ranked.chunk_by(|a, b| a.0 == b.0) {
        let count = ties.len() as f64;
        // The mean of the ranks from before + 1 to before + count.
        let mean = before + (count + 1.0) / 2.0;
        ranks += mean * ties.iter().filter(|(_, positive)| *positive).count() as f64;
        before += count;
    }
    let pairs = positives * negatives;
    (pairs > 0.0).then(|| (ranks - positives * (positives + 1.0) / 2.0) / pairs)
}

/// The area under the ROC curve of several classes: the mean over classes of the area of each
/// against the rest, by its probability; scikit-learn's
/// `roc_auc_score(multi_class="ovr", average="macro")`. Of two classes that is the area of either.
/// `None` where a class is missing, or holds every row.
pub fn mean_area_under_roc(
    probabilities: &[Vec<f64>],
    labels: &[usize],
    classes: usize,
) -> Option<f64> {
    let mut sum = 0.0;
    for class in 0..classes {
        let of_class = |row: &Vec<f64>| row.get(class).copied().unwrap_or(f64::NAN);
        let scores: Vec<f64> = probabilities.iter().map(of_class).collect();
        let positive: Vec<bool> = labels.iter().map(|label| *label == class).collect();
        sum += area_under_roc(&scores, &positive)?;
    }
    (classes > 0).then(|| sum / classes as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By definition: every pair is compared.
    fn by_pairs(scores: &[f64], positive: &[bool]) -> Option<f64> {
        let of = |kind| {
            let both = scores.iter().zip(positive);
            both.filter(move |(_, p)| **p == kind).map(|(s, _)| *s)
        };
        let (mut won, mut pairs) = (0.0, 0.0);
        for high in of(true) {
            for low in of(false) {
                pairs += 1.0;
                won += match high.total_cmp(&low) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        (pairs > 0.0).then(|| won / pairs)
    }

    #[test]
    fn one_kind_alone_has_no_area() {
        assert_eq!(area_under_roc(&[0.1, 0.9], &[true, true]), None);
        assert_eq!(area_under_roc(&[], &[]), None);
        assert_eq!(area_under_roc(&[f64::NAN, 0.1], &[true, false]), None);
    }

    #[test]
    fn a_class_that_is_missing_leaves_no_mean_area() {
        let rows = [vec![0.8, 0.1, 0.1], vec![0.2, 0.7, 0.1]];
        assert_eq!(mean_area_under_roc(&rows, &[0, 1], 3), None);
        assert_eq!(mean_area_under_roc(&rows, &[0, 1], 2), Some(1.0));
        assert_eq!(mean_area_under_roc(&[], &[], 0), None);
    }

    proptest! {
        #[test]
        fn ranks_give_what_pairs_give(
            rows in prop::collection::vec((0..6_u8, any::<bool>()), 0..40),
        ) {
            let scores: Vec<f64> = rows.iter().map(|(s, _)| f64::from(*s)).collect();
            let positive: Vec<bool> = rows.iter().map(|(_, p)| *p).collect();
            match (area_under_roc(&scores, &positive), by_pairs(&scores, &positive)) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-12),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }
}
