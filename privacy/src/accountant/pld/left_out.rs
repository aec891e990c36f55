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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_adds_as_much_as_its_probability_and_nothing_from_below() {
        let rare = LeftOut {
            p: 1e-9,
            ln_q: -40.0,
            ln_small: f64::NEG_INFINITY,
            strays: Strays::UNKNOWN,
        };
        for epsilon in [0.0, 1.0, 700.0, 1e6] {
            let most = rare.at_most(epsilon);
            assert!((1e-9..1.1e-9).contains(&most), "{epsilon} {most}");
            assert!(rare.at_least(epsilon) <= 1e-9);
        }
        assert_eq!(rare.at_least(50.0), 0.0);
    }

    #[test]
    fn nothing_left_out_adds_nothing() {
        for epsilon in [0.0, 1.0, 1e6] {
            assert_eq!(LeftOut::NOTHING.at_most(epsilon), 0.0);
            assert_eq!(LeftOut::NOTHING.at_least(epsilon), 0.0);
        }
    }

    #[test]
    fn runs_that_fall_back_are_added_from_above_only() {
        let some = LeftOut {
            p: 1e-6,
            ln_q: -20.0,
            ln_small: -30.0,
            strays: Strays::NONE,
        };
        let balance = 1e-6 - (2.0f64 - 20.0).exp();
        assert!(some.at_least(2.0) <= balance && some.at_least(2.0) > balance * (1.0 - 1e-7));
        let fallen = (2.0f64 - 30.0).exp();
        assert!(some.at_most(2.0) >= balance + fallen);
        assert!(some.at_most(2.0) < (balance + fallen) * (1.0 + 1e-7));
    }
}
