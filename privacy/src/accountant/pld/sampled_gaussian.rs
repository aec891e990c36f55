//! The privacy loss of one Poisson-sampled Gaussian mechanism, and its exponential tilts.
//!
//! With t(x) = (2x - 1)/(2σ²), R(x) = 1 - q + q e^t(x) is the density of the mixture
//! (1-q) N(0, σ²) + q N(1, σ²) relative to N(0, σ²). Three pairs (P, Q) matter:
//!
//! | [`Side`] | P | Q | loss ln(dP/dQ) |
//! |---|---|---|---|
//! | `Remove` | mixture | N(0, σ²) | ln R(x) |
//! | `Add` | N(0, σ²), x mirrored | mixture | -ln R(-x) |
//! | `Replace` | mixture | mixture mirrored | ln R(x) - ln R(-x) |
//!
//! Mirroring makes every loss increase with x. `Remove` and `Add` dominate under
//! add-or-remove and zero-out adjacency (Zhu, Dong & Wang 2022, Theorem 11), `Replace`
//! under replace-one with one unit put in another's place.

use std::f64::consts::PI;

use super::cut::Cut;
use super::strip;

/// Which of the two data sets is the larger one, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// P is the mechanism on the data set with the unit.
    Remove,
    /// P is the mechanism on the data set without the unit.
    Add,
    /// A unit is replaced by another.
    Replace,
}

/// One Poisson-sampled Gaussian, 0 < q < 1, seen from one side, whole or without its largest losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SampledGaussian {
    pub(super) q: f64,
    pub(super) sigma: f64,
    pub(super) side: Side,
    /// Which outcomes are left out, if any; never on the side `Add`.
    pub(super) cut: Option<Cut>,
}

/// Standard deviations kept on either side of a tilted law's bulk. The normal tail beyond
/// is 10^-21.
const REACH: f64 = 9.5;

/// The same where the integral ends there.
const REACH_OF_ADDED: f64 = 10.0;

/// The trapezoidal rule's error relative to M(θ) is made smaller than 2 e^-41.
const QUADRATURE_EXPONENT: f64 = 41.0;

impl SampledGaussian {
    /// ln R(x).
    pub(super) fn ln_ratio(&self, x: f64) -> f64 {
        let t = (2.0 * x - 1.0) / (2.0 * self.sigma * self.sigma);
        if t < 30.0 {
            (self.q * t.exp_m1()).ln_1p()
        } else {
            t + (self.q + (1.0 - self.q) * (-t).exp()).ln()
        }
    }

    /// ρ(x) = q e^t / R, the share of the mixture that the shifted Gaussian makes up.
    fn share(&self, x: f64) -> f64 {
        let t = (2.0 * x - 1.0) / (2.0 * self.sigma * self.sigma);
        self.q / (self.q + (1.0 - self.q) * (-t).exp())
    }

    /// The privacy loss at x.
    pub(super) fn loss(&self, x: f64) -> f64 {
        match self.side {
            Side::Remove => self.ln_ratio(x),
            Side::Add => -self.ln_ratio(-x),
            Side::Replace => self.ln_ratio(x) - self.ln_ratio(-x),
        }
    }

    /// dL/dx >= 0.
    pub(super) fn slope(&self, x: f64) -> f64 {
        let share = match self.side {
            Side::Remove => self.share(x),
            Side::Add => self.share(-x),
            Side::Replace => self.share(x) + self.share(-x),
        };
        share / (self.sigma * self.sigma)
    }

    /// How steeply ln of the tilted density can rise at x or above; negative where it falls from there on. Shares lie
    /// between 0 and 1, and less is kept the larger x is.
    pub(super) fn steepest(&self, theta: f64, x: f64) -> f64 {
        (1.0 + 2.0 * theta - x) / (self.sigma * self.sigma)
    }

    /// ln of P's density at x, without the constant -ln(σ √(2π)).
    pub(super) fn ln_density(&self, x: f64, loss: f64) -> f64 {
        let kept = self.cut.map_or(0.0, |cut| cut.ln_kept(x));
        let gaussian = -x * x / (2.0 * self.sigma * self.sigma) + kept;
        match self.side {
            Side::Remove => gaussian + loss,
            Side::Add => gaussian,
            Side::Replace => gaussian + self.ln_ratio(x),
        }
    }

    /// The interval of x outside of which P tilted by e^{θL} has a relative mass below
    /// 10^-18 (privacy/proofs/contour.md, "Range").
    pub(super) fn range(&self, theta: f64) -> (f64, f64) {
        if let Some(cut) = self.cut {
            return (cut.low, cut.high);
        }
        let reach = REACH * self.sigma;
        match self.side {
            Side::Remove => (-reach, 1.0 + theta + reach),
            Side::Add => {
                let mode = self.mode_of_added(theta);
                (
                    mode - REACH_OF_ADDED * self.sigma,
                    mode + REACH_OF_ADDED * self.sigma,
                )
            }
            Side::Replace => (-reach, 1.0 + theta * (1.0 + self.q) + reach),
        }
    }

    /// Whether integrals over x end at those of [`Self::range`], and not with the line.
    pub(super) fn ends(&self) -> bool {
        self.cut.is_some() || self.side == Side::Add
    }

    /// About the root of x = θ ρ(-x), where the tilted density of the side `Add` is largest.
    fn mode_of_added(&self, theta: f64) -> f64 {
        let (mut low, mut high) = (0.0, theta);
        for _ in 0..60 {
            if high - low < 0.01 * self.sigma {
                break;
            }
            let middle = low + (high - low) / 2.0;
            if self.rises_added(theta, middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// Whether the tilted density of the side `Add` rises at x: its mode is where it ceases to.
    pub(super) fn rises_added(&self, theta: f64, x: f64) -> bool {
        x < theta * self.share(-x)
    }

    /// A step with which the trapezoidal rule gives E(e^{zL}) for all z = θ + iu,
    /// |u| <= `frequency`, with an error below 2 e^-41 M(θ).
    ///
    /// In the strip |Im x| <= y < πσ², with b = y/σ², |R| lies between R cos(b/2) and R
    /// and |arg R| <= b. The integrand there is at most e^G times its value on the axis,
    /// G = y²/(2σ²) - θ' ln cos(b/2) + s |u| b (θ' = 0 for `Remove`, s = 2 for `Replace`),
    /// and the error at most 2 exp(G - 2πy/step)/(1 - exp(-2πy/step)) (Trefethen &
    /// Weideman 2014, Theorem 5.1). The widest step over a list of b is taken.
    pub(super) fn step(&self, theta: f64, frequency: f64) -> f64 {
        if self.ends() {
            return strip::step(
                self,
                theta,
                self.range(theta),
                frequency,
                QUADRATURE_EXPONENT,
            );
        }
        let (negative_power, turns) = match self.side {
            Side::Remove => (0.0, 1.0),
            Side::Add => (theta, 1.0),
            Side::Replace => (theta, 2.0),
        };
        let variance = self.sigma * self.sigma;
        (1..=31)
            .map(|tenths| {
                let b = f64::from(tenths) / 10.0;
                let growth = b * b * variance / 2.0 - negative_power * (b / 2.0).cos().ln()
                    + turns * frequency * b;
                2.0 * PI * b * variance / (growth + QUADRATURE_EXPONENT)
            })
            .fold(0.0, f64::max)
    }

    /// About how many nodes that rule has.
    pub(super) fn nodes(&self, theta: f64, frequency: f64) -> f64 {
        let (low, high) = self.range(theta);
        // What matters is near two places.
        (high - low).min(4.0 * REACH * self.sigma) / self.step(theta, frequency)
    }

    /// An upper bound on the second derivative of ln(p e^{θL}) in x.
    pub(super) fn convexity(&self, theta: f64) -> f64 {
        let variance = self.sigma * self.sigma;
        match self.side {
            // (ln R)'' = ρ(1-ρ)/σ⁴ <= 1/(4σ⁴); the Gaussian's -1/σ² is left out.
            Side::Remove | Side::Replace => (1.0 + theta) / (4.0 * variance * variance),
            Side::Add => 0.0,
        }
    }

    /// An upper bound on minus the second derivative of ln(p e^{θL}) in x.
    pub(super) fn concavity(&self, theta: f64) -> f64 {
        let variance = self.sigma * self.sigma;
        let kept = self.cut.map_or(0.0, |cut| cut.concavity());
        let whole = match self.side {
            Side::Remove => 1.0 / variance,
            Side::Add | Side::Replace => 1.0 / variance + theta / (4.0 * variance * variance),
        };
        whole + kept
    }

    /// The factor by which the slope between two points `step` apart may leave the range
    /// of its values at them. It is monotone for `Remove` and `Add`; for `Replace` it is
    /// a sum of shares, and |(ln ρ)'| <= 1/σ².
    pub(super) fn slope_between_nodes(&self, step: f64) -> f64 {
        match self.side {
            Side::Remove | Side::Add => 1.0,
            Side::Replace => (step / (2.0 * self.sigma * self.sigma)).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDES: [Side; 3] = [Side::Remove, Side::Add, Side::Replace];

    #[test]
    fn losses_increase_and_their_slope_is_the_derivative() {
        for side in SIDES {
            let law = SampledGaussian {
                q: 0.03,
                sigma: 0.8,
                side,
                cut: None,
            };
            for step in -40..40 {
                let x = f64::from(step) / 10.0;
                let h = 1e-5;
                let derivative = (law.loss(x + h) - law.loss(x - h)) / (2.0 * h);
                let slope = law.slope(x);
                assert!(
                    (derivative - slope).abs() < 1e-8 * (1.0 + slope),
                    "{side:?} {x}"
                );
            }
        }
    }

    #[test]
    fn the_loss_is_the_logarithm_of_the_ratio_of_the_densities() {
        let (q, sigma) = (0.2, 1.3);
        let normal = |x: f64| (-x * x / (2.0 * sigma * sigma)).exp();
        let mixture = |x: f64| (1.0 - q) * normal(x) + q * normal(x - 1.0);
        for step in -30..30 {
            let x = f64::from(step) / 7.0;
            let expected = [
                (mixture(x) / normal(x)).ln(),
                (normal(x) / mixture(-x)).ln(),
                (mixture(x) / mixture(-x)).ln(),
            ];
            for (side, expected) in SIDES.into_iter().zip(expected) {
                let law = SampledGaussian {
                    q,
                    sigma,
                    side,
                    cut: None,
                };
                assert!((law.loss(x) - expected).abs() < 1e-13, "{side:?} {x}");
            }
        }
    }
}
