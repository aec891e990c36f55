//! Krum and multi-Krum (Blanchard et al. 2017): the updates that have the others closest to them.
//!
//! Where f of n clients may be malicious, an update's score is the sum of the squared distances to
//! its n - f - 2 nearest neighbours. Krum takes the update of the least score, multi-Krum the mean
//! of the few with the least scores.

use std::cmp::Ordering;

use umbel_privacy::lattice::LatticeVector;

use super::kept::{FINER, Kept};
use super::{Aggregate, AggregateKey, AggregateKind, Reading, Unfit};

/// The update, or the few updates, that the others are closest to, as a stand-in for the mean.
pub(super) const KIND: AggregateKind = AggregateKind {
    name: "krum",
    // One unit can change which client's update is chosen.
    bounds_units: false,
    keys: &[AggregateKey::Malicious, AggregateKey::Keep],
    divisor: |divisor, clients| FINER * divisor / clients as f64,
    make: |settings, numbers, _| {
        Box::new(Krum {
            malicious: settings.malicious,
            keep: settings.keep,
            kept: Kept::of(numbers),
        })
    },
};

struct Krum {
    malicious: usize,
    keep: usize,
    kept: Kept,
}

impl Aggregate for Krum {
    fn accept(&mut self, update: &mut Reading<'_>) -> Result<(), Unfit> {
        self.kept.accept(update)
    }

    fn finish(self: Box<Self>) -> LatticeVector {
        let updates = self.kept.all();
        let scores = scores(updates, self.malicious);
        let mut order: Vec<usize> = (0..updates.len()).collect();
        // Among equal scores the numbers decide, so that the order of arrival doesn't.
        order.sort_by(|&a, &b| {
            let by_score = scores[a].partial_cmp(&scores[b]).unwrap_or(Ordering::Equal);
            by_score.then_with(|| updates[a].values().cmp(updates[b].values()))
        });
        order.truncate(self.keep.max(1));
        self.kept.mean_of(&order)
    }
}

/// The score of each update.
fn scores(updates: &[LatticeVector], malicious: usize) -> Vec<f64> {
    let nearest = updates.len().saturating_sub(malicious + 2).max(1);
    let score = |own: &LatticeVector| {
        let mut distances: Vec<f64> = updates.iter().map(|other| distance(own, other)).collect();
        distances.sort_by(f64::total_cmp);
        // The first is the distance to itself. Sums of sorted numbers don't depend on who came first.
        distances.iter().skip(1).take(nearest).sum()
    };
    updates.iter().map(score).collect()
}

/// The squared distance of two updates, in lattice steps.
fn distance(a: &LatticeVector, b: &LatticeVector) -> f64 {
    let pairs = a.values().iter().zip(b.values());
    pairs
        .map(|(a, b)| {
            let difference = (i128::from(*a) - i128::from(*b)) as f64;
            difference * difference
        })
        .sum()
}
