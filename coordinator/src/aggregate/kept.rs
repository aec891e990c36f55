//! All updates of a round, for the rules that need them one beside the other.

use umbel_privacy::lattice::LatticeVector;

use super::{Reading, Unfit};

/// The updates of a round, in the order in which they came.
pub(super) struct Kept {
    numbers: usize,
    updates: Vec<LatticeVector>,
}

/// By how much a mean is larger than it is, so that it has digits behind the lattice's step. The
/// divisor makes up for that.
pub(super) const FINER: f64 = (1 << FINER_BITS) as f64;
const FINER_BITS: u32 = 16;

impl Kept {
    /// None yet, of so many numbers each.
    pub(super) fn of(numbers: usize) -> Self {
        Self {
            numbers,
            updates: Vec::new(),
        }
    }

    /// Takes in an update.
    ///
    /// # Errors
    /// [`Unfit`] for one of another length, and one that can't be read.
    pub(super) fn accept(&mut self, update: &mut Reading<'_>) -> Result<(), Unfit> {
        // Adding to zeros finds another length, and changes nothing else.
        let mut own = LatticeVector::zeros(self.numbers);
        while let Some((at, values)) = update.next_block()? {
            own.checked_add_at(at, values)?;
        }
        self.updates.push(own);
        Ok(())
    }

    /// All of them.
    pub(super) fn all(&self) -> &[LatticeVector] {
        &self.updates
    }

    /// What this makes of the updates' values at each coordinate.
    pub(super) fn by_coordinate(&self, of: impl Fn(&mut [i64]) -> i64) -> LatticeVector {
        let mut column = vec![0; self.updates.len()];
        let values = (0..self.numbers).map(|index| {
            for (value, update) in column.iter_mut().zip(&self.updates) {
                *value = update.values()[index];
            }
            of(&mut column)
        });
        LatticeVector::from_values(values.collect())
    }

    /// The mean of the updates at these places, [`FINER`] times as large; zeros of none.
    pub(super) fn mean_of(&self, places: &[usize]) -> LatticeVector {
        let chosen = |index: usize| places.iter().map(move |&i| self.updates[i].values()[index]);
        let means = (0..self.numbers).map(|index| finer_mean(chosen(index)));
        LatticeVector::from_values(means.collect())
    }
}

/// The mean, [`FINER`] times as large; 0 of none. What leaves the range of a coordinate becomes its
/// end: coordinates of updates are checked to be below 2^62, and honest ones are far smaller.
pub(super) fn finer_mean(values: impl ExactSizeIterator<Item = i64>) -> i64 {
    let count = values.len() as i128;
    if count == 0 {
        return 0;
    }
    let sum: i128 = values.map(i128::from).sum();
    let mean = (sum << FINER_BITS) / count;
    mean.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}
