//! Which rows of a batch make up a unit.
//!
//! A unit's rows lie together, and units of equally many rows do, too. Such a run of units is
//! one tensor in which each unit is a row of as many more tokens.

use burn::tensor::Tensor;

use super::squares::Squares;

/// Units of equally many rows, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first row.
    start: usize,
    /// How many units.
    units: usize,
    /// Rows of each.
    size: usize,
}

impl Run {
    /// `[B, T, n]` as `[units, size · T, n]`, the run's rows alone.
    pub(super) fn units_of(&self, x: &Tensor<3>) -> Tensor<3> {
        let [rows, tokens, width] = x.dims();
        if self.size == 1 && self.units == rows {
            return x.clone();
        }
        let end = self.start + self.units * self.size;
        x.clone()
            .slice([self.start..end, 0..tokens, 0..width])
            .reshape([self.units, self.size * tokens, width])
    }
}

/// All units of a batch, in the order of their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Finds the runs among units of so many rows each.
    pub(super) fn new(sizes: impl IntoIterator<Item = usize>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        let mut start = 0;
        for size in sizes {
            match runs.last_mut() {
                Some(run) if run.size == size => run.units += 1,
                _ => runs.push(Run {
                    start,
                    units: 1,
                    size,
                }),
            }
            start += size;
        }
        Self(runs)
    }

    /// Squares of each run, put together in the order of the units.
    pub(super) fn map(&self, squares: impl Fn(&Run) -> Squares) -> Squares {
        Squares::concatenated(self.0.iter().map(squares).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_size_make_one_run() {
        let run = |start, units, size| Run { start, units, size };
        assert_eq!(Runs::new([1, 1, 1]).0, [run(0, 3, 1)]);
        assert_eq!(
            Runs::new([1, 3, 3, 2, 1]).0,
            [run(0, 1, 1), run(1, 2, 3), run(7, 1, 2), run(9, 1, 1)]
        );
        assert_eq!(Runs::new([]).0, []);
    }
}
