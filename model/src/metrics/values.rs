//! How good a regression's values are.

/// Errors of a regression on examples with their values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueErrors {
    /// The root of the mean squared error, in the values' unit; 0 without examples.
    pub rmse: f64,
    /// The mean absolute error, likewise.
    pub mae: f64,
    /// The share of the values' variance that is explained, 1 − Σ(y − ŷ)² / Σ(y − ȳ)²: scikit-learn's
    /// `r2_score`. 0 is what always answering their mean gives, and worse answers are below. `None`
    /// where all values are alike.
    pub r2: Option<f64>,
    /// How many examples there are.
    pub examples: usize,
}

impl ValueErrors {
    /// Compares predictions with values. Where one list is longer, its tail isn't compared.
    pub fn of(values: &[f64], predictions: &[f64]) -> Self {
        let pairs = || values.iter().zip(predictions);
        let examples = values.len().min(predictions.len());
        let count = examples.max(1) as f64;
        let mean = pairs().map(|(y, _)| y).sum::<f64>() / count;
        let squares: f64 = pairs().map(|(y, p)| (y - p) * (y - p)).sum();
        let variance: f64 = pairs().map(|(y, _)| (y - mean) * (y - mean)).sum();
        let absolute: f64 = pairs().map(|(y, p)| (y - p).abs()).sum();
        Self {
            rmse: (squares / count).sqrt(),
            mae: absolute / count,
            r2: (variance > 0.0).then(|| 1.0 - squares / variance),
            examples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_calculated_by_hand() {
        let found = ValueErrors::of(&[1.0, 2.0, 6.0], &[2.0, 2.0, 4.0]);
        assert!((found.rmse - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(found.mae, 1.0);
        assert!((found.r2.expect("a spread") - (1.0 - 5.0 / 14.0)).abs() < 1e-12);
        let mean = ValueErrors::of(&[1.0, 2.0, 6.0], &[3.0; 3]);
        assert_eq!(mean.r2, Some(0.0));
    }

    #[test]
    fn values_that_are_all_alike_have_nothing_to_explain() {
        assert_eq!(ValueErrors::of(&[2.0, 2.0], &[1.0, 3.0]).r2, None);
        assert_eq!(ValueErrors::of(&[2.0], &[2.0]).r2, None);
        let nothing = ValueErrors::of(&[], &[]);
        assert_eq!((nothing.rmse, nothing.mae, nothing.r2), (0.0, 0.0, None));
    }
}
