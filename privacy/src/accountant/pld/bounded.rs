//! Compositions of mechanisms that have a largest loss, and of others that cost next to nothing beside it.
//!
//! Let ℓ be the largest loss of all mechanisms together that have one, P the probability that each of them has its
//! largest, and R the loss of the others. No total exceeds ℓ + R, so that δ(ε) <= δ_R(ε - ℓ). And with probability P it
//! is ℓ + R, independently of R, so that δ(ε) >= P δ_R(ε - ℓ), where δ_R(x) >= 1 - e^x for x < 0
//! (privacy/proofs/grid.md, "A largest loss").

use super::Interval;
use super::dominated::at_most;
use super::total::Total;
use crate::accountant::Delta;

/// How much the others may cost of the largest loss, at most, for this to be tried.
const LITTLE: f64 = 0.1;

/// More than rounding takes of a sum of largest losses.
const ROUNDED: f64 = 1e-12;

/// What there is to ask of the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// ℓ.
    largest: f64,
    /// What the others cost at most.
    cost: f64,
    /// δ/P, rounded up so that less is asked for.
    given_top: f64,
}

impl Plan {
    /// None where no mechanism has a largest loss, or all do, or the others cost much beside it.
    pub(super) fn new(total: &Total, delta: Delta) -> Option<Self> {
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
        (cost <= LITTLE * largest).then_some(Self {
            largest,
            cost,
            given_top: delta.get() / ln_top.exp() * (1.0 + ROUNDED),
        })
    }

    /// An interval for the epsilon of the whole at `delta`. `ask` gives an interval of the others.
    pub(super) fn epsilon(&self, delta: Delta, ask: &mut dyn FnMut(Delta) -> Interval) -> Interval {
        let Self {
            largest,
            cost,
            given_top,
        } = *self;
        let upper = ask(delta).upper().min(cost);
        let lower = if given_top < 1.0 {
            let at_least = Delta::try_from(given_top).map_or(0.0, |delta| ask(delta).lower());
            // An epsilon of 0 says nothing of how large δ_R is there.
            if at_least > 0.0 {
                at_least
            } else {
                (-given_top).ln_1p()
            }
        } else {
            f64::NEG_INFINITY
        };
        Interval::between(
            (largest * (1.0 - ROUNDED) + lower - ROUNDED).max(0.0),
            (largest + upper) * (1.0 + ROUNDED),
        )
    }
}
