//! From scores to probabilities.

/// `exp(s) / Σ exp(s)`, shifted by the largest score so that nothing overflows.
pub fn softmax(scores: &[f32]) -> Vec<f64> {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = scores
        .iter()
        .map(|s| (f64::from(*s) - f64::from(top)).exp());
    let weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// `log Σ exp(s) - s_label`, in nats, shifted likewise.
pub fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores
        .iter()
        .map(|s| (f64::from(*s) - f64::from(top)).exp())
        .sum();
    sum.ln() + f64::from(top) - scores.get(label).map_or(0.0, |s| f64::from(*s))
}

/// The mean over all scores of `log(1 + exp(s)) - s · [the label is there]`, in nats: what
/// `BCEWithLogitsLoss` of PyTorch is for one row. `labels` are the indices of those that are there; 0
/// without scores.
pub fn binary_cross_entropy(scores: &[f32], labels: &[usize]) -> f64 {
    // log(1 + e^s), by the exponential that can't overflow.
    let softplus = |s: f64| s.max(0.0) + (-s.abs()).exp().ln_1p();
    let absent: f64 = scores.iter().map(|s| softplus(f64::from(*s))).sum();
    let there = labels.iter().filter_map(|label| scores.get(*label));
    let there: f64 = there.map(|s| f64::from(*s)).sum();
    (absent - there) / scores.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_labels_entropy_is_that_of_its_own_probability() {
        let by_hand = -(0.5_f64.ln() + (1.0 / (1.0 + 1_f64.exp())).ln()) / 2.0;
        assert!((binary_cross_entropy(&[0.0, 1.0], &[0]) - by_hand).abs() < 1e-12);
        assert_eq!(binary_cross_entropy(&[f32::MAX], &[0]), 0.0);
        assert_eq!(binary_cross_entropy(&[-1e30], &[]), 0.0);
        assert_eq!(binary_cross_entropy(&[], &[]), 0.0);
    }

    #[test]
    fn large_scores_overflow_nothing() {
        assert_eq!(softmax(&[f32::MAX, f32::MIN]), [1.0, 0.0]);
        assert_eq!(softmax(&[0.0, 0.0]), [0.5, 0.5]);
        assert!(softmax(&[]).is_empty());
        assert_eq!(cross_entropy(&[f32::MAX, f32::MIN], 0), 0.0);
        assert!((cross_entropy(&[0.0, 0.0], 1) - 2_f64.ln()).abs() < 1e-15);
    }
}
