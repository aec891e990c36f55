//! Compositions in which one mechanism costs nearly everything.
//!
//! Mechanisms of very unlike scales don't go on one grid. But (ε₁, δ₁) and (ε₂, δ₂) compose to
//! (ε₁ + ε₂, δ₁ + δ₂), and the whole costs no less than any part: where all others together cost next to nothing at
//! a small part of δ, that is a narrow interval.

use super::Interval;
use super::aliases::ln_chernoff;
use super::mechanism::Total;
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

/// An epsilon of one side at this δ, which needn't be known closely where it is below the last argument.
type Ask<'a> = &'a dyn Fn(&Total, Delta, f64) -> Interval;

/// An interval for the epsilon of `total` by its dearest mechanism; [`Interval::UNKNOWN`] where the others matter.
pub(super) fn epsilon(total: &Total, delta: Delta, enough: f64, ask: Ask<'_>) -> Interval {
    known(total, delta, enough, ask).unwrap_or(Interval::UNKNOWN)
}

fn known(total: &Total, delta: Delta, enough: f64, ask: Ask<'_>) -> Option<Interval> {
    let parts = total.mechanisms();
    if !(2..=MOST_MECHANISMS).contains(&parts.len()) {
        return None;
    }
    let little = Delta::try_from(delta.get() * SHARE).ok()?;
    // What is rarer than that costs nothing but the δ of its being seen at all.
    let seldom = |part: &Total| Some(part.variation()).filter(|v| *v < MOST_SHARE * delta.get());
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
    // Rounded down, so that both together are δ at most.
    let most = Delta::try_from((delta.get() - given) * (1.0 - 1e-12)).ok()?;
    let dearest = parts.get(dearest)?;
    let upper = ask(dearest, most, enough).upper() + rest;
    if upper <= enough {
        return Some(Interval::between(0.0, upper));
    }
    Some(Interval::between(
        ask(dearest, delta, enough).lower(),
        upper * (1.0 + 1e-15),
    ))
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
