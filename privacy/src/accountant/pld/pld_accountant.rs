//! The PLD accountant: counts of distinct mechanisms, and a certified epsilon of them all.

use std::collections::BTreeMap;

use super::interval::Interval;
use super::sampled_gaussian::Side;
use super::total::Total;
use super::{contour, memo, one_sided};
use crate::accountant::event::MechanismEvent;
use crate::accountant::mechanisms::{Known, Mechanism, NonPrivate, sensitivity};
use crate::accountant::{Accountant, AccountingError, Delta, Epsilon, RdpAccountant};
use crate::unit::Adjacency;

/// Adds up mechanisms by their privacy-loss distributions. Where nothing was sampled it
/// uses the exact closed form of the Gaussian mechanism.
///
/// Nothing is precomputed: a question takes about a millisecond however many rounds were
/// composed before, so "what would one more cost?" costs no more than the first question.
#[derive(Clone, Debug)]
pub struct PldAccountant {
    adjacency: Adjacency,
    counts: BTreeMap<Mechanism, u64>,
}

/// Counts up to here are exact as floats.
const LARGEST_COUNT: u64 = 1 << 53;

/// The relative width of an interval that is narrow enough.
const NARROW: f64 = 3e-4;

/// More than the relative error of a cumulant.
const RAISED: f64 = 1.0 + 1e-9;

impl PldAccountant {
    /// An accountant that has seen nothing.
    pub fn new(adjacency: Adjacency) -> Self {
        Self {
            adjacency,
            counts: BTreeMap::new(),
        }
    }

    /// Two bounds on epsilon at `delta` of everything composed so far. Where no upper one can be had,
    /// it is infinite.
    pub fn interval(&self, delta: Delta) -> Interval {
        if self.protects_nobody() {
            return Interval::INFINITE;
        }
        let mut interval = self.by_distributions(delta);
        if !interval.is_within(NARROW) {
            interval = interval.and(Interval::between(0.0, self.by_renyi(delta)));
        }
        // A composition costs no less than the dearest of its parts. Where a bound says so, it is wrong, and
        // then nothing is known.
        if interval.upper() < self.dearest(delta) {
            return Interval::UNKNOWN;
        }
        interval
    }

    /// An upper bound on the Rényi divergence of order α = `order` > 1, in the worse direction, of
    /// everything composed so far: ln E(e^{(α-1)L})/(α-1). Infinite where none is known.
    pub fn renyi(&self, order: f64) -> f64 {
        if self.protects_nobody() {
            return f64::INFINITY;
        }
        let theta = order - 1.0;
        let of = |side: Side| -> f64 {
            let total = self.total(side);
            let runs: f64 = total.runs.iter().map(|(_, count)| *count as f64).sum();
            match total.cumulants(theta) {
                // Raised by more than quadrature and rounding take, for each run.
                Some(sums) => (sums.log_moment * RAISED + 1e-13 * runs) / theta,
                None => f64::INFINITY,
            }
        };
        let worse = |a: f64, b: f64| {
            if a.is_nan() || b.is_nan() {
                f64::INFINITY
            } else {
                a.max(b)
            }
        };
        self.sides().iter().map(|side| of(*side)).fold(0.0, worse)
    }

    /// By privacy-loss distributions alone.
    fn by_distributions(&self, delta: Delta) -> Interval {
        let mut interval = Interval::ZERO;
        for &side in self.sides() {
            let total = self.total(side);
            if total.runs.is_empty() {
                // The same from either side.
                return one_sided::epsilon(&total, delta, 0.0);
            }
            // The second side can't matter where its epsilon is surely smaller.
            let smaller = total.largest_loss() <= interval.lower()
                || contour::is_below(&total, interval.lower(), delta.get().ln());
            if !(interval.lower() > 0.0 && smaller) {
                // Where it is below what is known already, it needn't be known closely.
                let enough = if interval.is_within(NARROW) || one_sided::begins_coarsely(&total) {
                    interval.upper()
                } else {
                    interval.lower()
                };
                let enough = if enough.is_finite() { enough } else { 0.0 };
                interval = interval.max(one_sided::epsilon(&total, delta, enough));
            }
        }
        interval
    }

    /// An upper bound by Rényi differential privacy; infinite where none is known.
    fn by_renyi(&self, delta: Delta) -> f64 {
        let mut renyi = RdpAccountant::new(self.adjacency);
        let mechanisms: Vec<(Mechanism, u64)> = self.counts.iter().map(|(m, c)| (*m, *c)).collect();
        match renyi.compose_mechanisms(&mechanisms) {
            Ok(()) => renyi.epsilon(delta).get(),
            Err(_) => f64::INFINITY,
        }
    }

    /// The largest epsilon that a single run of anything composed is known to have by a closed form.
    fn dearest(&self, delta: Delta) -> f64 {
        let ran = self.counts.iter().filter(|(_, count)| **count > 0);
        ran.map(|(mechanism, _)| mechanism.least_epsilon(self.adjacency, delta))
            .fold(0.0, f64::max)
    }

    /// The directions in which neighbours have to be told apart.
    fn sides(&self) -> &'static [Side] {
        match self.adjacency {
            // Either direction has the same loss.
            Adjacency::AddOrRemove | Adjacency::ZeroOut
                if self.counts.keys().all(Known::is_symmetric) =>
            {
                &[Side::Remove]
            }
            Adjacency::AddOrRemove | Adjacency::ZeroOut => &[Side::Remove, Side::Add],
            Adjacency::ReplaceOne => &[Side::Replace],
        }
    }

    /// Whether something without any protection was composed.
    fn protects_nobody(&self) -> bool {
        let count = self.counts.get(&Mechanism::NonPrivate(NonPrivate {}));
        count.is_some_and(|&count| count > 0)
    }

    /// Everything composed, as seen from one side.
    fn total(&self, side: Side) -> Total {
        let mut total = Total {
            side,
            mu_squared: 0.0,
            runs: Vec::new(),
        };
        for (mechanism, &count) in self.counts.iter().filter(|(_, count)| **count > 0) {
            if let Some(sigma) = mechanism.unsampled_sigma() {
                let mu = sensitivity(self.adjacency) / sigma;
                total.mu_squared += count as f64 * mu * mu;
            } else if let Some(loss) = mechanism.loss(self.adjacency) {
                total.runs.push((loss, count));
            }
        }
        total
    }

    /// Why a mechanism can't be accounted for under this adjacency, if it can't.
    fn check(&self, mechanism: &Mechanism) -> Result<(), AccountingError> {
        let protects_nobody = matches!(mechanism, Mechanism::NonPrivate(_));
        let supported = protects_nobody
            || mechanism.unsampled_sigma().is_some()
            || mechanism.loss(self.adjacency).is_some();
        if supported {
            Ok(())
        } else {
            Err(AccountingError::Unsupported {
                accountant: "pld",
                mechanism: mechanism.name(),
                adjacency: self.adjacency,
            })
        }
    }
}

impl Accountant for PldAccountant {
    fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    fn compose(&mut self, event: &MechanismEvent, count: u64) -> Result<(), AccountingError> {
        let mut counts = self.counts.clone();
        for (mechanism, count) in event.mechanisms(count)? {
            self.check(&mechanism)?;
            let total = counts.entry(mechanism).or_default();
            *total = total
                .checked_add(count)
                .filter(|&total| total <= LARGEST_COUNT)
                .ok_or(AccountingError::TooMany)?;
        }
        self.counts = counts;
        Ok(())
    }

    /// The upper end of [`PldAccountant::interval`].
    fn epsilon(&self, delta: Delta) -> Epsilon {
        if self.protects_nobody() {
            return Epsilon::INFINITE;
        }
        let question = memo::question(self.adjacency, &self.counts, delta);
        let compute = || self.interval(delta).upper();
        Epsilon::at_least_zero(memo::answer(question, compute))
    }
}
