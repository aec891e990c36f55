//! Compositions in which one mechanism costs nearly everything.
//!
//! Mechanisms of very unlike scales don't go on one grid. But (ε₁, δ₁) and (ε₂, δ₂) compose to
//! (ε₁ + ε₂, δ₁ + δ₂), and the whole costs no less than any part: where all others together cost next to nothing at
//! a small part of δ, that is a narrow interval.

use super::Interval;
use super::aliases::ln_chernoff;
use super::total::Total;
use crate::accountant::Delta;

/// The part of δ that the others get.
const SHARE: f64 = 1e-4;

/// The part of δ that others may get which are hardly ever seen.
const MOST_SHARE: f64 = 2e-3;

/// How much the others may cost of the whole, for this to be tried.
const NEXT_TO_NOTHING: f64 = 2e-4;

/// More mechanisms aren't looked at one by one.
const MOST_MECHANISMS: usize = 8;

/// Tilts with which Chernoff's inequality is tried, in powers of four.
const TILTS: std::ops::RangeInclusive<i32> = -4..=14;

/// Which mechanism costs nearly everything, and what the others get.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    dearest: Total,
    /// The others' epsilon at what they get of δ, and what is left of it, rounded down.
    rest: f64,
    left: Delta,
}

impl Plan {
    /// None where the others matter.
    pub(super) fn new(total: &Total, delta: Delta) -> Option<Self> {
        let parts = total.mechanisms();
        if !(2..=MOST_MECHANISMS).contains(&parts.len()) {
            return None;
        }
        let little = Delta::try_from(delta.get() * SHARE).ok()?;
        // What is rarer than that costs nothing but the δ of its being seen at all.
        let seldom =
            |part: &Total| Some(part.variation()).filter(|v| *v < MOST_SHARE * delta.get());
        let costs = parts.iter().map(|part| match seldom(part) {
            Some(_) => 0.0,
            None => at_most(part, little),
        });
        let (dearest, largest) = costs.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let others = total.without(dearest);
        let (rest, given) = match seldom(&others) {
            Some(variation) => (0.0, variation),
            None => (at_most(&others, little), little.get()),
        };
        if rest > NEXT_TO_NOTHING * largest || !rest.is_finite() {
            return None;
        }
        Some(Self {
            dearest: parts.get(dearest)?.clone(),
            rest,
            left: Delta::try_from((delta.get() - given) * (1.0 - 1e-12)).ok()?,
        })
    }

    /// An interval for the epsilon of the whole at `delta`, which needn't be known closely where it is below `enough`.
    /// `ask` gives one of a part.
    pub(super) fn epsilon(
        &self,
        delta: Delta,
        enough: f64,
        ask: &mut dyn FnMut(&Total, Delta) -> Interval,
    ) -> Interval {
        let upper = ask(&self.dearest, self.left).upper() + self.rest;
        if upper <= enough {
            return Interval::between(0.0, upper);
        }
        let lower = ask(&self.dearest, delta).lower();
        Interval::between(lower, upper * (1.0 + 1e-15))
    }
}

/// An upper bound on epsilon: the largest loss, or by Chernoff's inequality.
pub(super) fn at_most(total: &Total, delta: Delta) -> f64 {
    let ln_delta = delta.get().ln();
    let mut least = total.largest_loss();
    for power in TILTS {
        let theta = 4f64.powi(power);
        let Some(cumulants) = total.cumulants(theta) else {
            break;
        };
        // Raised by more than quadrature and rounding take of each cumulant.
        let moment = cumulants.log_moment * (1.0 + 1e-9) + 1e-13 * total.count();
        let epsilon = (moment + ln_chernoff(theta) - ln_delta) / theta;
        if epsilon > 8.0 * least {
            break;
        }
        least = least.min(epsilon.max(0.0) * (1.0 + 1e-9));
    }
    least
}
