//! The trimmed mean of each coordinate: a share of the values at either end is left out, and the mean
//! is of the rest (Yin et al. 2018, algorithm 1, option II).

use umbel_privacy::lattice::LatticeVector;

use super::kept::{FINER, Kept, finer_mean};
use super::{Aggregate, AggregateKey, AggregateKind, Reading, Unfit};

/// The coordinate-wise trimmed mean, as a stand-in for the mean of what clients sent.
pub(super) const KIND: AggregateKind = AggregateKind {
    name: "trimmed-mean",
    // One unit can move a client's update in or out of what is left.
    bounds_units: false,
    keys: &[AggregateKey::Trim],
    divisor: |divisor, clients| FINER * divisor / clients as f64,
    make: |settings, numbers, _| {
        Box::new(TrimmedMean {
            trim: settings.trim,
            kept: Kept::of(numbers),
        })
    },
};

struct TrimmedMean {
    trim: f64,
    kept: Kept,
}

impl Aggregate for TrimmedMean {
    fn accept(&mut self, update: &mut Reading<'_>) -> Result<(), Unfit> {
        self.kept.accept(update)
    }

    fn finish(self: Box<Self>) -> LatticeVector {
        self.kept.by_coordinate(|values| {
            // Rounded down, as scipy's trim_mean and Flower's FedTrimmedAvg do.
            let out = (self.trim * values.len() as f64) as usize;
            values.sort_unstable();
            let left = values.len().saturating_sub(out);
            let rest = values.get(out..left).unwrap_or_default();
            finer_mean(rest.iter().copied())
        })
    }
}
