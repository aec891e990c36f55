//! The median of each coordinate: what one client sends moves it no further than to its
//! neighbour's value, however wrong it is (Yin et al. 2018, algorithm 1, option I).
//!
//! It keeps every update of a round in memory. Of an even number it is the mean of the middle
//! two, so that it is kept twice as large, on the lattice, and the divisor makes up for that.

use umbel_privacy::lattice::LatticeVector;

use super::{Aggregate, AggregateKind, Reading, Unfit};

/// The coordinate-wise median, as a stand-in for the mean of what clients sent.
pub(super) const KIND: AggregateKind = AggregateKind {
    name: "median",
    // One unit can move a client's update past others', and the median by the distance to them.
    bounds_units: false,
    divisor: |divisor, clients| 2.0 * divisor / clients as f64,
    make: |numbers, _| {
        Box::new(Median {
            numbers,
            updates: Vec::new(),
        })
    },
};

struct Median {
    numbers: usize,
    updates: Vec<LatticeVector>,
}

impl Aggregate for Median {
    fn may_refuse(&self) -> bool {
        false
    }

    fn check(&self, _: &mut Reading<'_>) -> Result<(), Unfit> {
        Ok(())
    }

    fn accept(&mut self, update: &mut Reading<'_>) -> Result<(), Unfit> {
        // Adding to zeros finds another length, and changes nothing else.
        let mut own = LatticeVector::zeros(self.numbers);
        while let Some((at, values)) = update.next_block()? {
            own.checked_add_at(at, values)?;
        }
        self.updates.push(own);
        Ok(())
    }

    fn finish(self: Box<Self>) -> LatticeVector {
        let mut column = vec![0; self.updates.len()];
        let doubled = (0..self.numbers).map(|index| {
            for (value, update) in column.iter_mut().zip(&self.updates) {
                *value = update.values()[index];
            }
            twice_the_median(&mut column)
        });
        LatticeVector::from_values(doubled.collect())
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
    use umbel_privacy::lattice::LatticeStep;

    use super::*;
    use crate::aggregate::{ALL, Readable};

    fn accept(aggregate: &mut dyn Aggregate, update: LatticeVector) {
        let readable = Readable {
            bytes: &update.encode(),
            numbers: update.len(),
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
        let mut aggregate = (kind.make)(2, false);
        for update in [[3, 1], [i64::MAX / 4, i64::MIN / 4], [5, 2]] {
            accept(&mut *aggregate, LatticeVector::from_values(update.to_vec()));
        }
        assert_eq!(aggregate.finish().values(), [10, 2]);
        assert!(!kind.bounds_units);
    }

    /// What `examples/make_strategy_fixtures.py median` writes.
    #[derive(serde::Deserialize)]
    struct Flower {
        start: Vec<f64>,
        runs: Vec<Run>,
    }

    #[derive(serde::Deserialize)]
    struct Run {
        /// By round, client and parameter.
        updates: Vec<Vec<Vec<f64>>>,
        after: Vec<Vec<f64>>,
    }

    #[test]
    fn twenty_rounds_come_to_flowers_parameters() {
        let fixture = include_str!("../../tests/strategies/flower_median.json");
        let flower: Flower = serde_json::from_str(fixture).expect("a sound fixture");
        let step = LatticeStep::UNCLIPPED;
        for run in flower.runs {
            let mut parameters = flower.start.clone();
            for (updates, after) in run.updates.iter().zip(&run.after) {
                let mut aggregate = (KIND.make)(parameters.len(), false);
                for update in updates {
                    let update = LatticeVector::quantize(update, step).expect("finite");
                    accept(&mut *aggregate, update);
                }
                let clients = updates.len();
                let divisor = KIND.divisor(clients as f64, clients);
                let moved = aggregate.finish().to_f64(step);
                for ((own, moved), flowers) in parameters.iter_mut().zip(moved).zip(after) {
                    *own += moved / divisor;
                    assert!((*own - flowers).abs() <= 1e-6, "{own} for {flowers}");
                }
            }
            assert_eq!(run.after.len(), 20);
        }
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
