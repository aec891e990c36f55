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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_scores_overflow_nothing() {
        assert_eq!(softmax(&[f32::MAX, f32::MIN]), [1.0, 0.0]);
        assert_eq!(softmax(&[0.0, 0.0]), [0.5, 0.5]);
        assert!(softmax(&[]).is_empty());
        assert_eq!(cross_entropy(&[f32::MAX, f32::MIN], 0), 0.0);
        assert!((cross_entropy(&[0.0, 0.0], 1) - 2_f64.ln()).abs() < 1e-15);
    }
}
