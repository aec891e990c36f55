//! The median of each coordinate: what one client sends moves it no further than to its
//! neighbour's value, however wrong it is (Yin et al. 2018, algorithm 1, option I).
//!
//! It keeps every update of a round in memory. Of an even number it is the mean of the middle
//! two, so that it is kept twice as large, on the lattice, and the divisor makes up for that.

use umbel_privacy::lattice::LatticeVector;

use super::kept::Kept;
use super::{Aggregate, AggregateKind, Reading, Unfit};

/// The coordinate-wise median, as a stand-in for the mean of what clients sent.
pub(super) const KIND: AggregateKind = AggregateKind {
    name: "median",
    // One unit can move a client's update past others', and the median by the distance to them.
    bounds_units: false,
    keys: &[],
    divisor: |divisor, clients| 2.0 * divisor / clients as f64,
    make: |_, numbers, _| Box::new(Median(Kept::of(numbers))),
};

struct Median(Kept);

impl Aggregate for Median {
    fn accept(&mut self, update: &mut Reading<'_>) -> Result<(), Unfit> {
        self.0.accept(update)
    }

    fn finish(self: Box<Self>) -> LatticeVector {
        self.0.by_coordinate(twice_the_median)
    }
}

/// The sum of the middle two of an even number of values, or twice the middle one; 0 of none.
fn twice_the_median(values: &mut [i64]) -> i64 {
    let count = values.len();
    if count == 0 {
        return 0;
    }
    let (below, upper, _) = values.select_nth_unstable(count / 2);
    let upper = *upper;
    let lower = match count % 2 {
        0 => below.iter().copied().max().unwrap_or(upper),
        _ => upper,
    };
    // Coordinates of updates are checked to be below 2^62.
    lower.saturating_add(upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{ALL, AggregateSettings, Readable};

    fn accept(aggregate: &mut dyn Aggregate, update: LatticeVector) {
        let readable = Readable {
            bytes: &update.encode(),
            numbers: update.len(),
            factor: None,
        };
        let mut reading = readable.read().expect("in memory");
        aggregate.accept(&mut reading).expect("of the length");
    }

    #[test]
    fn one_client_with_absurd_numbers_moves_it_to_a_neighbour_at_most() {
        let kind = ALL
            .iter()
            .find(|kind| kind.name == "median")
            .expect("listed");
        let mut aggregate = (kind.make)(&AggregateSettings::default(), 2, false);
        for update in [[3, 1], [i64::MAX / 4, i64::MIN / 4], [5, 2]] {
            accept(&mut *aggregate, LatticeVector::from_values(update.to_vec()));
        }
        assert_eq!(aggregate.finish().values(), [10, 2]);
        assert!(!kind.bounds_units);
    }

    #[test]
    fn it_equals_the_median_of_a_sorted_list() {
        let mut seed = 1u64;
        for count in 1..40 {
            let mut values: Vec<i64> = (0..count)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 55) as i64 - 256
                })
                .collect();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let expected = sorted[(count - 1) / 2] + sorted[count / 2];
            assert_eq!(twice_the_median(&mut values), expected, "{sorted:?}");
        }
    }
}
