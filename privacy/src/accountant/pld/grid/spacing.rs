//! How finely each stretch of a loss is laid out.
//!
//! A cell of width w errs by about its mass times w²: cells are narrow where much of δ comes from, and wide where
//! little does. That decides how narrow an interval is, never whether it is right.

/// Stretches of a loss, from the lowest up: the end of each, and how wide its cells should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Spacing(Vec<(f64, f64)>);

impl Spacing {
    /// One for stretches of equal length that end at these losses and matter so much, with all cells together
    /// erring by `tolerance`. In a tilt of `theta` a cell errs by what matters times θ (1 + θ) w²/8, as long as
    /// w is small beside 1 and 1/θ.
    pub(super) fn of(stretches: &[(f64, f64)], theta: f64, tolerance: f64) -> Self {
        let length = match stretches {
            [(first, _), (second, _), ..] => second - first,
            _ => return Self::default(),
        };
        // Fewest cells for the same error: w ∝ density^{-1/3}.
        let cube_root = |matters: f64| (matters / length).max(f64::MIN_POSITIVE).cbrt();
        let sum: f64 = stretches
            .iter()
            .map(|(_, matters)| length * cube_root(*matters))
            .sum();
        let factor = (8.0 * tolerance / (theta * (1.0 + theta) * sum)).sqrt();
        let widest = 0.5 / (1.0 + theta);
        let stretches = stretches.iter();
        Self(
            stretches
                .map(|(end, matters)| (*end, (factor / cube_root(*matters)).min(widest)))
                .collect(),
        )
    }

    /// Which of the points `anchor` + k `step`, k = `first`..=`last`, cells end at; None where these are more
    /// than `most`.
    pub(super) fn points(
        &self,
        anchor: f64,
        step: f64,
        (first, last): (i64, i64),
        most: usize,
    ) -> Option<Vec<i64>> {
        let mut found = vec![first];
        let mut at = first;
        let mut stretches = self.0.iter().peekable();
        while at < last {
            let loss = anchor + at as f64 * step;
            while stretches.next_if(|(end, _)| *end <= loss).is_some() {}
            at = match stretches.peek() {
                Some((end, width)) => {
                    let end = ((end - anchor) / step).ceil() as i64;
                    at.saturating_add((width / step) as i64).min(end)
                }
                None => at,
            }
            .max(at + 1)
            .min(last);
            found.push(at);
            if found.len() > most {
                return None;
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_narrow_where_it_matters_and_never_narrower_than_a_step() {
        let stretches = [(1.0, 1e-9), (2.0, 1.0), (3.0, 1e-9)];
        let spacing = Spacing::of(&stretches, 1.0, 1e-4);
        let points = spacing.points(0.0, 0.01, (0, 300), 1000).unwrap();
        assert_eq!((points.first(), points.last()), (Some(&0), Some(&300)));
        let between = |a: i64, b: i64| points.iter().filter(|p| (a..b).contains(p)).count();
        assert!(between(100, 200) > 10 * between(0, 100), "{points:?}");
        assert!(points.is_sorted_by(|a, b| a < b));
        assert_eq!(spacing.points(0.0, 0.01, (0, 300), 10), None);
    }

    #[test]
    fn without_stretches_every_point_ends_a_cell() {
        let points = Spacing::default().points(0.0, 1.0, (-2, 2), 10).unwrap();
        assert_eq!(points, [-2, -1, 0, 1, 2]);
    }
}
