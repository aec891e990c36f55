//! Cells of the Laplace mechanism's loss, on a Poisson sample.
//!
//! Before sampling, the losses ±1/b have an atom each; between them x in (0, 1) has the loss
//! (1 - 2x)/b.

use super::cell::{Cell, Range, Row};
use super::normal::{ULP, ln_mixed, ln_sum, share};

/// Laplace noise of a scale over the sensitivity, on a sample of rate q, P being the mechanism
/// on the data with the unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Laplace {
    pub(super) q: f64,
    pub(super) scale: f64,
}

impl Laplace {
    pub(super) fn range(&self) -> Range {
        let most = 1.0 / self.scale;
        Range {
            low: ln_mixed(self.q, -most),
            high: ln_mixed(self.q, most),
        }
    }

    /// The loss without sampling of one with it.
    fn unsampled(&self, loss: f64) -> f64 {
        let shifted = if loss < 30.0 {
            ((loss.exp_m1() + self.q).max(0.0) / self.q).ln()
        } else {
            loss + ((1.0 - (1.0 - self.q) * (-loss).exp()) / self.q).ln()
        };
        if self.q >= 1.0 { loss } else { shifted }
    }

    pub(super) fn row(&self, boundaries: &[f64]) -> Row {
        let most = 1.0 / self.scale;
        let mut boundary_error: f64 = 0.0;
        // Where the cells end, as losses without sampling; ±∞ beyond all outcomes.
        let mut ends = vec![f64::NEG_INFINITY];
        for &boundary in boundaries {
            let loss = self.unsampled(boundary);
            let range = self.range();
            let end = if boundary >= range.high {
                f64::INFINITY
            } else if boundary < range.low {
                f64::NEG_INFINITY
            } else {
                boundary_error = boundary_error
                    .max((ln_mixed(self.q, loss) - boundary).abs() + 8.0 * ULP * boundary.abs());
                loss.clamp(-most, most)
            };
            ends.push(end.max(ends.last().copied().unwrap_or(end)));
        }
        ends.push(f64::INFINITY);
        let cells = ends.windows(2).map(|ends| match ends {
            [a, b] if a < b => self.cell(*a, *b),
            _ => Cell::EMPTY,
        });
        Row {
            cells: cells.collect(),
            boundary_error,
            mass_error: ULP * (64.0 + 4.0 * most),
        }
    }

    /// The outcomes whose losses without sampling lie in (a, b].
    fn cell(&self, a: f64, b: f64) -> Cell {
        let most = 1.0 / self.scale;
        let (low, high) = (a.max(-most), b.min(most));
        let half = 0.5f64.ln();
        // The densities of the loss l between the atoms are e^{-(1/b - l)/2}/4 with the unit and
        // e^{-(1/b + l)/2}/4 without.
        let (mut with, mut without) = (Vec::new(), Vec::new());
        if high > low {
            let ln_share = half + (-(-(high - low) / 2.0).exp_m1()).ln();
            with.push(ln_share - (most - high) / 2.0);
            without.push(ln_share - (most + low) / 2.0);
        }
        if a == f64::NEG_INFINITY {
            with.push(half - most);
            without.push(half);
        }
        if b == f64::INFINITY {
            with.push(half);
            without.push(half - most);
        }
        let (ln_with, ln_without) = (ln_sum(&with), ln_sum(&without));
        if ln_without == f64::NEG_INFINITY {
            return Cell::EMPTY;
        }
        let turn = ln_with - ln_without;
        let mean = ln_mixed(self.q, turn);
        let error = ULP * (64.0 + 4.0 * most);
        Cell {
            ln_p: ln_without + mean,
            mean,
            slack: 2.0 * error * share(self.q, turn, mean) + 8.0 * ULP * mean.abs(),
        }
    }
}
