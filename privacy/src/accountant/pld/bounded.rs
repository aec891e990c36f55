//! Compositions of mechanisms that have a largest loss, and of others that cost next to nothing beside it.
//!
//! Let ℓ be the largest loss of all mechanisms together that have one, P the probability that each of them has its
//! largest, and R the loss of the others. No total exceeds ℓ + R, so that δ(ε) <= δ_R(ε - ℓ). And with probability P it
//! is ℓ + R, independently of R, so that δ(ε) >= P δ_R(ε - ℓ), where δ_R(x) >= 1 - e^x for x < 0
//! (privacy/proofs/grid.md, "A largest loss").

use super::Interval;
use super::dominated::at_most;
use super::mechanism::Total;
use crate::accountant::Delta;

/// How much the others may cost of the largest loss, at most, for this to be tried.
const LITTLE: f64 = 0.1;

/// More than rounding takes of a sum of largest losses.
const ROUNDED: f64 = 1e-12;

/// An interval for the epsilon of `total`; [`Interval::UNKNOWN`] where this says nothing. `ask` gives an interval of
/// others.
pub(super) fn epsilon(
    total: &Total,
    delta: Delta,
    ask: &dyn Fn(&Total, Delta, f64) -> Interval,
) -> Interval {
    known(total, delta, ask).unwrap_or(Interval::UNKNOWN)
}

fn known(
    total: &Total,
    delta: Delta,
    ask: &dyn Fn(&Total, Delta, f64) -> Interval,
) -> Option<Interval> {
    let (bounded, others) = total.bounded();
    let empty = others.runs.is_empty() && others.mu_squared == 0.0;
    let ln_top = bounded.ln_top()?;
    let largest = bounded.largest_loss();
    if bounded.runs.is_empty() || empty || !largest.is_finite() {
        return None;
    }
    let cost = if others.variation() <= delta.get() {
        0.0
    } else {
        at_most(&others, delta)
    };
    if cost > LITTLE * largest {
        return None;
    }
    // Rounded up, so that less is asked for.
    let given_top = delta.get() / ln_top.exp() * (1.0 + ROUNDED);
    let upper = ask(&others, delta, 0.0).upper().min(cost);
    let lower = if given_top < 1.0 {
        let at_least =
            Delta::try_from(given_top).map_or(0.0, |delta| ask(&others, delta, 0.0).lower());
        // An epsilon of 0 says nothing of how large δ_R is there.
        if at_least > 0.0 {
            at_least
        } else {
            (-given_top).ln_1p()
        }
    } else {
        f64::NEG_INFINITY
    };
    Some(Interval::between(
        (largest * (1.0 - ROUNDED) + lower - ROUNDED).max(0.0),
        (largest + upper) * (1.0 + ROUNDED),
    ))
}
