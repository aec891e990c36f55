//! Runs of which an outcome was left out of a contour: what they add to δ.
//!
//! Whatever else happens, they have δ P - e^ε Q, but for those whose total falls back below ε
//! (privacy/proofs/contour.md, "Without the largest losses").

use super::cut::MASS_ERROR;
use super::grid::Strays;

/// What was left out, all runs together: and what it adds to δ.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftOut {
    /// P's probability that any outcome was.
    pub(super) p: f64,
    /// ln of Q's.
    pub(super) ln_q: f64,
    /// ln of a bound on Q's probability that one was left out whose loss isn't as large as it should be.
    pub(super) ln_small: f64,
    pub(super) strays: Strays,
}

/// Covers the rounding of sums over runs, and [`MASS_ERROR`].
const ROUNDED: f64 = 4.0 * MASS_ERROR;

impl LeftOut {
    pub(super) const NOTHING: Self = Self {
        p: 0.0,
        ln_q: f64::NEG_INFINITY,
        ln_small: f64::NEG_INFINITY,
        strays: Strays::NONE,
    };

    /// An upper bound on what such runs add to δ(ε).
    pub(super) fn at_most(&self, epsilon: f64) -> f64 {
        // Exponents are added first: e^ε may be infinite, and Q's part zero.
        let fallen = self.strays.ln_fallen(epsilon).exp() + (epsilon + self.ln_small).exp();
        let gone = (epsilon + self.ln_q).exp();
        let all = self.p * (1.0 + ROUNDED);
        let known = (all - gone * (1.0 - ROUNDED)).max(0.0) + fallen * (1.0 + ROUNDED);
        // No δ is more than the probability, which is all that is known where this is no number.
        if known < all { known } else { all }
    }

    /// A lower bound.
    pub(super) fn at_least(&self, epsilon: f64) -> f64 {
        let gone = (epsilon + self.ln_q).exp();
        (self.p * (1.0 - ROUNDED) - gone * (1.0 + ROUNDED)).max(0.0)
    }
}
