//! Which rows of a batch make up a unit.
//!
//! A unit's rows lie together, and units of equally many rows do, too. Such a run of units is
//! one tensor in which each unit is a row of as many more tokens.

use std::ops::Range;

use burn::tensor::Tensor;

/// Units of equally many rows, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first row.
    start: usize,
    /// The first unit.
    first: usize,
    /// How many units.
    units: usize,
    /// Rows of each.
    size: usize,
}

impl Run {
    /// Its units, by their places in the batch.
    pub(super) fn units(&self) -> Range<usize> {
        self.first..self.first + self.units
    }

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

/// Finds the runs among units of so many rows each.
pub(super) fn runs(sizes: impl IntoIterator<Item = usize>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut start = 0;
    for (unit, size) in sizes.into_iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.size == size => run.units += 1,
            _ => runs.push(Run {
                start,
                first: unit,
                units: 1,
                size,
            }),
        }
        start += size;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_size_make_one_run() {
        let run = |start, first, units, size| Run {
            start,
            first,
            units,
            size,
        };
        assert_eq!(runs([1, 1, 1]), [run(0, 0, 3, 1)]);
        assert_eq!(
            runs([1, 3, 3, 2, 1]),
            [
                run(0, 0, 1, 1),
                run(1, 1, 2, 3),
                run(7, 3, 1, 2),
                run(9, 4, 1, 1)
            ]
        );
        assert_eq!(runs([]), []);
    }
}
