//! One temperature for all of a classifier's scores.
//!
//! Dividing every score by the same T > 0 changes how sure a classifier sounds and never which
//! label it names. T is chosen so that the mean cross-entropy on labelled rows is least (Guo,
//! Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks", section 4.2).

/// What a classifier's scores are divided by: finite, from 1/20 to 20.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Temperature(f64);

/// Why no temperature can be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTemperature {
    /// Too few rows.
    #[error(
        "there are {found} rows to fit it on, and it takes {} at least",
        Temperature::FEWEST
    )]
    Few {
        /// Rows.
        found: usize,
    },
    /// A score isn't finite, or a label has none.
    #[error("a score isn't a finite number")]
    NotFinite,
    /// However unsure the classifier is made, less sure would be better.
    #[error("no temperature up to 20 is high enough: the scores say next to nothing of the labels")]
    Uninformative,
    /// However sure the classifier is made, surer would be better.
    #[error("no temperature down to 1/20 is low enough: every row is classified correctly")]
    Separated,
}

impl Temperature {
    /// Rows that a temperature is fitted on, at least: on fewer, chance decides it.
    pub const FEWEST: usize = 50;
    /// The highest; its reciprocal is the lowest.
    const MOST: f64 = 20.0;

    /// A temperature, or `None` outside of its range.
    pub fn new(value: f64) -> Option<Self> {
        (1.0 / Self::MOST..=Self::MOST)
            .contains(&value)
            .then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Scores at this temperature.
    pub fn temper(self, scores: &[f32]) -> Vec<f32> {
        let tempered = scores.iter().map(|s| (f64::from(*s) / self.0) as f32);
        tempered.collect()
    }

    /// The temperature at which the mean cross-entropy of `rows` (scores and the label's index)
    /// is least.
    ///
    /// In β = 1/T the cross-entropy `log Σ exp(β s) - β s_label` is convex, so its slope, the
    /// mean of `Σ p s - s_label` with `p` the softmax of `β s`, rises. Its root is found by
    /// bisection of log β.
    ///
    /// # Errors
    /// [`NoTemperature`]; then scores are better left as they are.
    pub fn fit(rows: &[(&[f32], usize)]) -> Result<Self, NoTemperature> {
        if rows.len() < Self::FEWEST {
            return Err(NoTemperature::Few { found: rows.len() });
        }
        let usable = |(scores, label): &(&[f32], usize)| {
            *label < scores.len() && scores.iter().all(|score| score.is_finite())
        };
        if !rows.iter().all(usable) {
            return Err(NoTemperature::NotFinite);
        }
        let slope = |log_beta: f64| slope(rows, log_beta.exp());
        let (mut low, mut high) = (-Self::MOST.ln(), Self::MOST.ln());
        if slope(low) >= 0.0 {
            return Err(NoTemperature::Uninformative);
        }
        if slope(high) <= 0.0 {
            return Err(NoTemperature::Separated);
        }
        // Halved 60 times, the interval is as narrow as a float.
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if slope(middle) < 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        let fitted = (-f64::midpoint(low, high)).exp();
        Self::new(fitted).ok_or(NoTemperature::NotFinite)
    }
}

/// The slope of the summed cross-entropy in β.
fn slope(rows: &[(&[f32], usize)], beta: f64) -> f64 {
    let of_row = |(scores, label): &(&[f32], usize)| {
        let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut weights, mut weighted) = (0.0, 0.0);
        for &score in *scores {
            // From the largest score down, so that nothing overflows.
            let below = f64::from(score) - f64::from(top);
            let weight = (beta * below).exp();
            weights += weight;
            weighted += weight * below;
        }
        weighted / weights - (f64::from(scores[*label]) - f64::from(top))
    };
    rows.iter().map(of_row).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::cross_entropy;

    fn fit(rows: &[(Vec<f32>, usize)]) -> Result<Temperature, NoTemperature> {
        let rows: Vec<(&[f32], usize)> = rows.iter().map(|(s, l)| (s.as_slice(), *l)).collect();
        Temperature::fit(&rows)
    }

    /// Three of four rows right, each claimed with a margin: the best margin is ln 3.
    fn three_of_four(margin: f32) -> Vec<(Vec<f32>, usize)> {
        let row = |i: usize| (vec![0.0, margin], usize::from(!i.is_multiple_of(4)));
        (0..80).map(row).collect()
    }

    #[test]
    fn a_claim_is_brought_to_how_often_it_is_right() {
        for margin in [0.2_f32, 1.0, 9.0] {
            let fitted = fit(&three_of_four(margin)).unwrap().get();
            let expected = f64::from(margin) / 3_f64.ln();
            assert!((fitted / expected - 1.0).abs() < 1e-9, "{margin}: {fitted}");
        }
    }

    #[test]
    fn what_no_temperature_mends_is_left_alone() {
        let separated: Vec<_> = (0..80).map(|_| (vec![0.0, 1.0], 1)).collect();
        assert_eq!(fit(&separated), Err(NoTemperature::Separated));
        let wrong: Vec<_> = (0..80).map(|_| (vec![0.0, 1.0], 0)).collect();
        assert_eq!(fit(&wrong), Err(NoTemperature::Uninformative));
        let equal: Vec<_> = (0..80).map(|i| (vec![0.5, 0.5], i % 2)).collect();
        assert_eq!(fit(&equal), Err(NoTemperature::Uninformative));
        assert_eq!(fit(&[]), Err(NoTemperature::Few { found: 0 }));
        let mut broken = three_of_four(1.0);
        broken[7].0[0] = f32::NAN;
        assert_eq!(fit(&broken), Err(NoTemperature::NotFinite));
        broken[7] = (vec![0.0, 1.0], 2);
        assert_eq!(fit(&broken), Err(NoTemperature::NotFinite));
        assert_eq!(Temperature::new(f64::NAN), None);
        assert_eq!(Temperature::new(0.0), None);
    }

    #[test]
    fn scores_of_any_size_are_no_panic() {
        let huge: Vec<_> = (0..80)
            .map(|i| (vec![f32::MAX, f32::MIN], i % 3 / 2))
            .collect();
        assert_eq!(fit(&huge), Err(NoTemperature::Uninformative));
    }

    fn rows() -> impl Strategy<Value = Vec<(Vec<f32>, usize)>> {
        let row = (prop::collection::vec(-30.0_f32..30.0, 3), 0..3_usize);
        prop::collection::vec(row, 50..90)
    }

    proptest! {
        #[test]
        fn no_other_temperature_is_better(rows in rows(), other in 0.06_f64..19.0) {
            if let Ok(fitted) = fit(&rows) {
                let loss = |t: Temperature| -> f64 {
                    rows.iter().map(|(s, l)| cross_entropy(&t.temper(s), *l)).sum()
                };
                let other = Temperature::new(other).unwrap();
                prop_assert!(loss(fitted) <= loss(other) * (1.0 + 1e-6));
            }
        }
    }
}
