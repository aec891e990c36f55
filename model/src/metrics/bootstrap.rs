//! How far a score may be from what many more rows would give.

use rand::{Rng, RngExt};

use super::Classification;

/// Where a score lies with a probability of about 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The intervals of a classification's scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Of its accuracy.
    pub accuracy: Interval,
    /// Of its macro-F1.
    pub macro_f1: Interval,
}

/// Samples that intervals are made of.
pub const RESAMPLES: usize = 1000;

/// Percentile intervals of 95 %: the rows are drawn anew with replacement [`RESAMPLES`] times, as
/// many as there are, and of the scores of each sample the 2.5th and 97.5th percentiles are taken
/// (Efron 1979; Efron and Tibshirani 1993, section 13.3), interpolated between neighbours. `None`
/// without rows.
pub fn bootstrap(
    labels: &[usize],
    predictions: &[usize],
    classes: usize,
    rng: &mut impl Rng,
) -> Option<Intervals> {
    let rows: Vec<(usize, usize)> = labels
        .iter()
        .copied()
        .zip(predictions.iter().copied())
        .collect();
    if rows.is_empty() {
        return None;
    }
    let mut accuracies = Vec::with_capacity(RESAMPLES);
    let mut macro_f1s = Vec::with_capacity(RESAMPLES);
    let (mut labels, mut predictions) = (vec![0; rows.len()], vec![0; rows.len()]);
    for _ in 0..RESAMPLES {
        for (label, prediction) in labels.iter_mut().zip(&mut predictions) {
            (*label, *prediction) = rows[rng.random_range(0..rows.len())];
        }
        let found = Classification::of(&labels, &predictions, classes);
        accuracies.push(found.accuracy);
        macro_f1s.push(found.macro_f1);
    }
    Some(Intervals {
        accuracy: interval(accuracies),
        macro_f1: interval(macro_f1s),
    })
}

/// The middle 95 % of at least one number.
fn interval(mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let (below, above) = (place.floor() as usize, place.ceil() as usize);
        values[below] + (values[above] - values[below]) * place.fract()
    };
    Interval {
        low: at(0.025),
        high: at(0.975),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn intervals(labels: &[usize], predictions: &[usize], seed: u64) -> Option<Intervals> {
        bootstrap(
            labels,
            predictions,
            3,
            &mut ChaCha20Rng::seed_from_u64(seed),
        )
    }

    #[test]
    fn no_rows_have_no_interval_and_rows_all_right_a_narrow_one() {
        assert_eq!(intervals(&[], &[], 0), None);
        let sure = Interval {
            low: 1.0,
            high: 1.0,
        };
        assert_eq!(intervals(&[0, 1, 1], &[0, 1, 1], 0).unwrap().accuracy, sure);
    }

    /// Of 400 rows that are right with a probability of 0.8, the normal approximation gives
    /// 0.8 ± 1.96 · 0.02.
    #[test]
    fn the_width_is_that_of_the_normal_approximation() {
        let labels = vec![0; 400];
        let predictions: Vec<usize> = (0..400).map(|i| usize::from(i % 5 == 0)).collect();
        let found = intervals(&labels, &predictions, 1).unwrap().accuracy;
        assert!((found.low - 0.761).abs() < 0.006, "{found:?}");
        assert!((found.high - 0.839).abs() < 0.006, "{found:?}");
    }

    #[test]
    fn percentiles_are_interpolated() {
        let found = interval((0..=1000).map(f64::from).rev().collect());
        assert_eq!((found.low, found.high), (25.0, 975.0));
        assert_eq!(
            interval(vec![0.5]),
            Interval {
                low: 0.5,
                high: 0.5
            }
        );
    }

    proptest! {
        #[test]
        fn a_seed_gives_one_interval_of_shares(
            rows in prop::collection::vec((0..3_usize, 0..3_usize), 1..20),
            seed in any::<u64>(),
        ) {
            let (labels, predictions): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let found = intervals(&labels, &predictions, seed).unwrap();
            prop_assert_eq!(Some(found), intervals(&labels, &predictions, seed));
            for interval in [found.accuracy, found.macro_f1] {
                prop_assert!(0.0 <= interval.low && interval.low <= interval.high);
                prop_assert!(interval.high <= 1.0);
            }
        }
    }
}
