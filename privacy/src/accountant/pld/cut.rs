//! A sampled Gaussian without its largest losses: which outcomes are left out, and what that is worth.
//!
//! An outcome x is left out if x + τ η > c for a standard normal η that is drawn for this alone, or if x > `high`. So
//! the density that is kept has the factor Φ((c - x)/τ), which is smooth, and is nothing beyond `high`
//! (privacy/proofs/contour.md, "Without the largest losses").

use super::sampled_gaussian::{SampledGaussian, Side};
use crate::accountant::gaussian::ln_upper_tail;

/// Which outcomes of a sampled Gaussian are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    /// c, at which half is left out.
    at: f64,
    /// τ.
    blur: f64,
    /// The integrals begin about here, where next to nothing is.
    pub(super) low: f64,
    /// Nothing is kept beyond.
    pub(super) high: f64,
    /// An x up to which no loss is above the one that was to be left out.
    surely_kept: f64,
}

/// τ between the largest loss that was to be kept and c: the first that lets little enough go of what was.
const KEPT: [f64; 6] = [2.5, 3.0, 3.5, 4.0, 5.0, 7.0];

/// τ between c and `high`, at least.
const BEYOND: f64 = 6.5;

/// At so many τ before c less than rounding is left out.
const NOTHING_LEFT_OUT: f64 = 8.5;

/// ln of the size of the tilted density at either end of the integrals.
const LN_AT_END: f64 = -44.0;

/// Standard deviations in which the normal density falls by as much.
const REACH: f64 = 10.0;

/// The integrals end after so many τ beyond c at the latest.
const MOST_BEYOND: u32 = 40;

impl Cut {
    /// Leaves out what has larger losses than `loss`, so that little is left of it under a tilt of about `theta`, and
    /// of smaller ones hardly more than `small` of Q; None where the loss has no such outcomes, or under the side
    /// `Add`, where none are large.
    pub(super) fn above(law: SampledGaussian, loss: f64, theta: f64, small: f64) -> Option<Self> {
        if law.side == Side::Add || law.cut.is_some() {
            return None;
        }
        let surely_kept = reaches(&law, loss)?;
        // e^{θL} grows by e over this much of x.
        let blur = (1.0 / (theta * law.slope(surely_kept))).min(law.sigma / 2.0);
        let with = |kept: f64| {
            let at = surely_kept + kept * blur;
            Self {
                at,
                blur,
                low: -REACH * law.sigma,
                high: at + BEYOND * blur,
                surely_kept,
            }
        };
        let mut all = KEPT.into_iter().map(with);
        let mut cut = all.find(|cut| cut.left_out_below(&law) <= small)?;
        let kept = SampledGaussian {
            cut: Some(cut),
            ..law
        };
        let ln_size = |x: f64| {
            let loss = kept.loss(x);
            kept.ln_density(x, loss) + theta * loss - law.sigma.ln()
        };
        for _ in 0..MOST_BEYOND {
            if ln_size(cut.high) < LN_AT_END {
                break;
            }
            cut.high += blur;
        }
        // From below, whatever isn't next to nothing.
        let (mut nothing, mut something) = (cut.low, 0.0);
        for _ in 0..20 {
            let middle = (nothing + something) / 2.0;
            if ln_size(middle) < LN_AT_END {
                nothing = middle;
            } else {
                something = middle;
            }
        }
        cut.low = nothing;
        cut.at.is_finite().then_some(cut)
    }

    /// ln of how much is kept of an outcome.
    pub(super) fn ln_kept(&self, x: f64) -> f64 {
        let beyond = (x - self.at) / self.blur;
        if beyond < -NOTHING_LEFT_OUT {
            0.0
        } else {
            ln_upper_tail(beyond)
        }
    }

    /// An upper bound on minus the second derivative of [`Self::ln_kept`], which is concave: that of ln Φ lies
    /// between -1 and 0.
    pub(super) fn concavity(&self) -> f64 {
        1.0 / (self.blur * self.blur)
    }

    /// τ.
    pub(super) fn blur(&self) -> f64 {
        self.blur
    }

    /// The probabilities of P and of Q that an outcome is left out, to a relative [`MASS_ERROR`].
    pub(super) fn left_out(&self, law: &SampledGaussian) -> (f64, f64) {
        // x + τ η is a mixture of wider normal distributions. What is left out beyond `high` alone is less
        // than a part Φ(-6.5) of that.
        let spread = law.sigma.hypot(self.blur);
        let above = |mean: f64| ln_upper_tail((self.at - mean) / spread).exp();
        let mixed = |mean: f64| (1.0 - law.q) * above(0.0) + law.q * above(mean);
        match law.side {
            Side::Remove | Side::Add => (mixed(1.0), above(0.0)),
            Side::Replace => (mixed(1.0), mixed(-1.0)),
        }
    }

    /// An upper bound on Q's probability of an outcome that is left out although its loss isn't above the one that was
    /// to be.
    ///
    /// Of N(m, σ²), with Φ(-v) <= e^{-v²/2}/2 for v >= 0 and s² = σ²τ²/(σ² + τ²),
    /// ∫ φ(x) Φ((x - c)/τ) dx up to x₀ < c is at most e^{-(c-m)²/(2(σ²+τ²))} (s/σ) Φ((x₀ - μ)/s)/2,
    /// μ = m + (c - m) σ²/(σ² + τ²).
    pub(super) fn left_out_below(&self, law: &SampledGaussian) -> f64 {
        let spread = law.sigma.hypot(self.blur);
        let narrow = law.sigma * self.blur / spread;
        let part = (law.sigma / spread) * (law.sigma / spread);
        let of = |mean: f64| {
            let away = self.at - mean;
            let centre = mean + away * part;
            let ln = -0.5 * (away / spread) * (away / spread)
                + ln_upper_tail((centre - self.surely_kept) / narrow);
            0.5 * (narrow / law.sigma) * ln.exp()
        };
        // N(-1, σ²) is there under `Replace`, as a part q; it is further away.
        (of(0.0) + of(-1.0)) * (1.0 + 1e-9)
    }
}

/// Relative to themselves, what rounding may change in probabilities, and more.
pub(super) const MASS_ERROR: f64 = 1e-9;

/// An x whose loss is `loss`, or a hair more, so that all smaller losses lie below it.
fn reaches(law: &SampledGaussian, loss: f64) -> Option<f64> {
    let wanted = loss * (1.0 + 1e-9);
    let variance = law.sigma * law.sigma;
    let (mut low, mut high) = (0.0, 1.0 + variance * (2.0 + wanted - law.q.ln()));
    if !(law.loss(high) >= wanted && high.is_finite()) {
        return None;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if law.loss(middle) >= wanted {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(x: f64, mean: f64, sigma: f64) -> f64 {
        let z = (x - mean) / sigma;
        (-z * z / 2.0).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt())
    }

    /// What is left out of P and of Q, and of Q up to a loss, by sums over outcomes.
    fn counted(law: &SampledGaussian, cut: &Cut, loss: f64) -> (f64, f64, f64) {
        let (mut p, mut q, mut below) = (0.0, 0.0, 0.0);
        let step = 1e-4;
        for k in -200_000..200_000 {
            let x = (f64::from(k) + 0.5) * step;
            let gone = if x > cut.high {
                1.0
            } else {
                -cut.ln_kept(x).exp_m1()
            };
            let density =
                (1.0 - law.q) * normal(x, 0.0, law.sigma) + law.q * normal(x, 1.0, law.sigma);
            p += gone * density * step;
            let other = density * (-law.loss(x)).exp() * step;
            q += gone * other;
            if law.loss(x) <= loss {
                below += gone * other;
            }
        }
        (p, q, below)
    }

    #[test]
    fn what_is_left_out_has_the_probabilities_that_sums_over_outcomes_have() {
        for (side, q, sigma, loss, theta) in [
            (Side::Remove, 1e-3, 0.8, 0.05, 300.0),
            (Side::Remove, 1e-5, 1.5, 1e-4, 1e5),
            (Side::Replace, 1e-2, 0.7, 0.9, 20.0),
            (Side::Replace, 0.3, 1.1, 1.7, 8.0),
        ] {
            let whole = SampledGaussian {
                q,
                sigma,
                side,
                cut: None,
            };
            for small in [1e-3, 1e-9, 1e-14] {
                let Some(cut) = Cut::above(whole, loss, theta, small) else {
                    continue;
                };
                let (p, of_q) = cut.left_out(&whole);
                let (p_counted, q_counted, below_counted) = counted(&whole, &cut, loss);
                assert!(
                    (p / p_counted - 1.0).abs() < 1e-6,
                    "{side:?} {p} {p_counted}"
                );
                assert!((of_q / q_counted - 1.0).abs() < 1e-6, "{side:?} {of_q}");
                let below = cut.left_out_below(&whole);
                assert!(
                    below >= below_counted * (1.0 - 1e-9) && below <= small,
                    "{below}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_left_out_where_no_loss_is_large() {
        let added = SampledGaussian {
            q: 0.1,
            sigma: 1.0,
            side: Side::Add,
            cut: None,
        };
        assert_eq!(Cut::above(added, 0.01, 100.0, 1e-9), None);
    }
}
