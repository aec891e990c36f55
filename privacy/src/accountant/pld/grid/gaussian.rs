//! Cells of a (Poisson-sampled) Gaussian's loss.
//!
//! The loss increases with x, the noised sum's coordinate along the unit's contribution, and has
//! a closed inverse; so a cell of losses is an interval of x.

use super::cell::{Cell, Range, Row};
use super::normal::{Three, ULP, ln_mixed, share, three};

/// A Gaussian of noise multiplier σ on a Poisson sample of rate q, P being the mechanism on
/// the data with the unit, in which it may replace another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaussian {
    q: f64,
    sigma: f64,
    replaced: bool,
}

impl Gaussian {
    pub(super) fn with(q: f64, sigma: f64) -> Self {
        Self {
            q,
            sigma,
            replaced: false,
        }
    }

    pub(super) fn replaced(q: f64, sigma: f64) -> Self {
        Self {
            q,
            sigma,
            replaced: true,
        }
    }

    /// ln of the ratio of the densities N(1, σ²) and N(0, σ²) at x.
    fn turn(&self, x: f64) -> f64 {
        (2.0 * x - 1.0) / (2.0 * self.sigma * self.sigma)
    }

    fn loss(&self, x: f64) -> f64 {
        let with = ln_mixed(self.q, self.turn(x));
        if self.replaced {
            with - ln_mixed(self.q, self.turn(-x))
        } else {
            with
        }
    }

    /// What rounding may change in [`Self::loss`].
    fn loss_error(&self, x: f64) -> f64 {
        let of = |turn: f64| {
            let value = ln_mixed(self.q, turn);
            ULP * (4.0 * value.abs() + 4.0 * share(self.q, turn, value) * turn.abs())
        };
        if self.replaced {
            of(self.turn(x)) + of(self.turn(-x))
        } else {
            of(self.turn(x))
        }
    }

    /// The x of a loss; infinite where no outcome has a loss as small.
    fn inverse(&self, loss: f64) -> f64 {
        let (q, variance) = (self.q, self.sigma * self.sigma);
        if self.replaced {
            // With z = e^{x/σ²} e^{-l/2}: z - 1/z = 2 (1-q)/q e^{1/(2σ²)} sinh(l/2).
            let half = loss / 2.0;
            let ln_sinh = if half.abs() < 20.0 {
                half.abs().sinh().ln()
            } else {
                half.abs() - 2f64.ln()
            };
            let ln_argument = ((1.0 - q) / q).ln() + 0.5 / variance + ln_sinh;
            let asinh = if ln_argument > 20.0 {
                ln_argument + 2f64.ln()
            } else {
                ln_argument.exp().asinh()
            };
            variance * (half + asinh.copysign(half))
        } else if q >= 1.0 {
            0.5 + variance * loss
        } else {
            let ln_shifted = if loss < 30.0 {
                (loss.exp_m1() + q).max(0.0).ln()
            } else {
                loss + (-(1.0 - q) * (-loss).exp()).ln_1p()
            };
            0.5 + variance * (ln_shifted - q.ln())
        }
    }

    /// Losses outside of which P has at most e^`ln_rare` on either side.
    pub(super) fn range(&self, ln_rare: f64) -> Range {
        // 1 - Φ(z) <= e^{-z²/2}/2.
        let reach = |ln_weight: f64| (2.0 * (ln_weight - ln_rare).max(0.0)).sqrt() * self.sigma;
        let far = reach((1.0 - self.q).ln());
        let near = reach(self.q.ln());
        let high = far.max(if near > 0.0 { 1.0 + near } else { 0.0 });
        let low = if self.q < 1.0 {
            -reach(0.0)
        } else {
            1.0 - near
        };
        Range {
            low: self.loss(low),
            high: self.loss(high),
        }
    }

    /// The same for Q, which is centred.
    pub(super) fn range_without(&self, ln_rare: f64) -> Range {
        let reach = (2.0 * (-ln_rare).max(0.0)).sqrt() * self.sigma;
        Range {
            low: self.loss(-reach),
            high: self.loss(reach),
        }
    }

    pub(super) fn row(&self, boundaries: &[f64]) -> Row {
        let mut points = Vec::with_capacity(boundaries.len());
        let mut boundary_error: f64 = 0.0;
        let mut last = f64::NEG_INFINITY;
        for &boundary in boundaries {
            let x = self.inverse(boundary).max(last);
            last = x;
            points.push(x);
            if x.is_finite() {
                let missed = (self.loss(x) - boundary).abs();
                boundary_error = boundary_error.max(missed + self.loss_error(x));
            }
        }
        let ends = std::iter::once(f64::NEG_INFINITY)
            .chain(points.iter().copied())
            .zip(points.iter().copied().chain(std::iter::once(f64::INFINITY)));
        let mut mass_error: f64 = 0.0;
        let cells = ends
            .map(|(a, b)| {
                if a >= b {
                    return Cell::EMPTY;
                }
                let masses = three(a, b, self.sigma);
                mass_error = mass_error.max(masses.error);
                self.cell(&masses)
            })
            .collect();
        Row {
            cells,
            boundary_error,
            // A mass is the product of e^ln and a mixed ratio.
            mass_error: 2.0 * mass_error + 8.0 * ULP,
        }
    }

    fn cell(&self, masses: &Three) -> Cell {
        let mixed = |shifted: f64| {
            let turn = shifted - masses.centre;
            let value = ln_mixed(self.q, turn);
            (value, share(self.q, turn, value))
        };
        let (with, share) = mixed(masses.plus);
        // From whichever part of the mixture is the larger one, so that a large logarithm of the other
        // costs no digits.
        let ln_p = if share > 0.5 {
            masses.plus + (self.q + (1.0 - self.q) * (masses.centre - masses.plus).exp()).ln()
        } else {
            masses.centre + with
        };
        let (mean, shares) = if self.replaced {
            let (without, other) = mixed(masses.minus);
            (with - without, share + other)
        } else {
            (with, share)
        };
        if ln_p.is_nan() || mean.is_nan() || ln_p == f64::NEG_INFINITY {
            return Cell::EMPTY;
        }
        Cell {
            ln_p,
            mean,
            slack: 2.0 * masses.error * shares + 8.0 * ULP * mean.abs(),
        }
    }
}
