//! Cells of the discrete Laplace mechanism's loss.
//!
//! With P(k) ∝ e^{-a|k|} and a whole-number sensitivity s, the outcomes k <= 0, 1, …, s - 1 and
//! k >= s have the losses a s, a (s - 2), …, -a s.

use super::cell::{Cell, Range, Row};
use super::normal::{ULP, ln_sum};

/// What is added to an outcome's number, so that one on a boundary counts below it.
const HAIR: f64 = 1e-12;

#[derive(Clone, Copy, Debug)]
pub(super) struct DiscreteLaplace {
    parameter: f64,
    sensitivity: f64,
}

impl DiscreteLaplace {
    pub(super) fn new(parameter: f64, sensitivity: u64) -> Self {
        Self {
            parameter,
            sensitivity: sensitivity as f64,
        }
    }

    pub(super) fn range(&self) -> Range {
        let most = self.parameter * self.sensitivity;
        Range {
            low: -most,
            high: most,
        }
    }

    pub(super) fn row(&self, boundaries: &[f64]) -> Row {
        let (a, s) = (self.parameter, self.sensitivity);
        // A loss l lies above a boundary b where k < (s - b/a)/2. A hair is added, so that an atom on a
        // boundary counts below it.
        let first_below = |boundary: f64| {
            let at = (s - boundary / a) / 2.0;
            (at - HAIR * (1.0 + 4e-3 * s)).ceil().clamp(0.0, s + 1.0)
        };
        let mut ends: Vec<f64> = vec![s + 1.0];
        for &boundary in boundaries {
            let end = first_below(boundary);
            ends.push(end.min(ends.last().copied().unwrap_or(end)));
        }
        ends.push(0.0);
        let cells = ends.windows(2).map(|ends| match ends {
            [after, from] if from < after => self.cell(*from, *after - 1.0),
            _ => Cell::EMPTY,
        });
        Row {
            cells: cells.collect(),
            boundary_error: 2.0 * a * HAIR * (1.0 + 4e-3 * s) + ULP * a * s,
            mass_error: ULP * (64.0 + 8.0 * a * s),
        }
    }

    /// The outcomes `from`..=`to`, of 0 (all k <= 0) to s (all k >= s).
    fn cell(&self, from: f64, to: f64) -> Cell {
        let (a, s) = (self.parameter, self.sensitivity);
        let ratio = (-a).exp();
        // P(k <= 0), and also Q(k >= s).
        let ln_half = -ratio.ln_1p();
        let ln_centre = (-(-a).exp_m1()).ln() - ratio.ln_1p();
        // ln Σ e^{-a j} over j = first..=last.
        let sum = |first: f64, last: f64| {
            let terms = last - first + 1.0;
            -a * first + (-(-a * terms).exp_m1()).ln() - (-(-a).exp_m1()).ln()
        };
        let (mut p, mut q) = (Vec::new(), Vec::new());
        let (inner_from, inner_to) = (from.max(1.0), to.min(s - 1.0));
        if inner_from <= inner_to {
            p.push(ln_centre + sum(inner_from, inner_to));
            q.push(ln_centre + sum(s - inner_to, s - inner_from));
        }
        if from == 0.0 {
            p.push(ln_half);
            q.push(ln_half - a * s);
        }
        if to == s {
            p.push(ln_half - a * s);
            q.push(ln_half);
        }
        Cell::of(ln_sum(&p), ln_sum(&q), ULP * (32.0 + 4.0 * a * s))
    }
}
