//! Cells of a loss: how much of P falls into each, and at which mean loss.

use super::discrete_laplace::DiscreteLaplace;
use super::gaussian::Gaussian;
use super::laplace::Laplace;
use super::normal::ULP;

/// What P and Q have in one cell of the loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// ln of P's mass; -∞ where there is none.
    pub(super) ln_p: f64,
    /// ln(P/Q) of the cell: the loss of all its outcomes merged into one.
    pub(super) mean: f64,
    /// What rounding may have changed in `mean`.
    pub(super) slack: f64,
}

impl Cell {
    /// A cell without outcomes.
    pub(super) const EMPTY: Self = Self {
        ln_p: f64::NEG_INFINITY,
        mean: 0.0,
        slack: 0.0,
    };

    /// A cell of these masses of P and Q, given as logarithms that are known to `error`.
    pub(super) fn of(ln_p: f64, ln_q: f64, error: f64) -> Self {
        if ln_p == f64::NEG_INFINITY {
            return Self::EMPTY;
        }
        Self {
            ln_p,
            mean: ln_p - ln_q,
            slack: 2.0 * error + ULP * (ln_p.abs() + ln_q.abs()),
        }
    }

    /// The cell as Q sees it, whose losses are those of P with the other sign.
    fn swapped(self) -> Self {
        if self.ln_p == f64::NEG_INFINITY {
            return self;
        }
        Self {
            ln_p: self.ln_p - self.mean,
            mean: -self.mean,
            slack: self.slack,
        }
    }
}

/// The cells (-∞, b₀], (b₀, b₁], …, (bₙ, ∞) between boundaries b.
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// How far the true ends of a cell may lie from its boundaries.
    pub(super) boundary_error: f64,
    /// The relative error of P's masses.
    pub(super) mass_error: f64,
}

/// One part of a mechanism, seen from one side.
#[derive(Clone, Copy, Debug)]
pub(in crate::accountant::pld) enum Component {
    /// A Gaussian on a Poisson sample of rate q <= 1, on the data with the unit.
    Gaussian { q: f64, sigma: f64 },
    /// The same where one unit takes another's place.
    Replaced { q: f64, sigma: f64 },
    /// Laplace noise of a scale over the sensitivity, on a Poisson sample.
    Laplace { q: f64, scale: f64 },
    /// P(k) ∝ e^{-parameter |k|} for a whole-number sensitivity.
    DiscreteLaplace { parameter: f64, sensitivity: u64 },
    /// [`Self::Gaussian`] on the data without the unit: P and Q exchanged.
    GaussianWithout { q: f64, sigma: f64 },
    /// [`Self::Laplace`] on the data without the unit.
    LaplaceWithout { q: f64, scale: f64 },
}

/// The losses that a grid has to cover.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    fn swapped(self) -> Self {
        Self {
            low: -self.high,
            high: -self.low,
        }
    }
}

impl Component {
    /// Losses outside of which P has at most e^`ln_rare` on either side.
    pub(super) fn range(self, ln_rare: f64) -> Range {
        match self {
            Self::Gaussian { q, sigma } => Gaussian::with(q, sigma).range(ln_rare),
            Self::GaussianWithout { q, sigma } => {
                Gaussian::with(q, sigma).range_without(ln_rare).swapped()
            }
            Self::Replaced { q, sigma } => Gaussian::replaced(q, sigma).range(ln_rare),
            Self::Laplace { q, scale } => Laplace { q, scale }.range(),
            Self::LaplaceWithout { q, scale } => Laplace { q, scale }.range().swapped(),
            Self::DiscreteLaplace {
                parameter,
                sensitivity,
            } => DiscreteLaplace::new(parameter, sensitivity).range(),
        }
    }

    /// The cells between increasing `boundaries`.
    pub(super) fn row(self, boundaries: &[f64]) -> Row {
        match self {
            Self::Gaussian { q, sigma } => Gaussian::with(q, sigma).row(boundaries),
            Self::Replaced { q, sigma } => Gaussian::replaced(q, sigma).row(boundaries),
            Self::Laplace { q, scale } => Laplace { q, scale }.row(boundaries),
            Self::DiscreteLaplace {
                parameter,
                sensitivity,
            } => DiscreteLaplace::new(parameter, sensitivity).row(boundaries),
            Self::GaussianWithout { q, sigma } => {
                swapped(boundaries, |b| Gaussian::with(q, sigma).row(b))
            }
            Self::LaplaceWithout { q, scale } => {
                swapped(boundaries, |b| Laplace { q, scale }.row(b))
            }
        }
    }

    /// A loss that may have much of P by itself, or just beside it: a good place for a point of
    /// the grid.
    pub(super) fn anchor(self) -> f64 {
        match self {
            // Whoever wasn't sampled, with little noise.
            Self::Gaussian { q, .. } if q < 1.0 => (-q).ln_1p(),
            Self::GaussianWithout { q, .. } if q < 1.0 => -(-q).ln_1p(),
            Self::Gaussian { .. } | Self::GaussianWithout { .. } | Self::Replaced { .. } => 0.0,
            Self::Laplace { .. } | Self::DiscreteLaplace { .. } => self.range(0.0).low,
            Self::LaplaceWithout { .. } => self.range(0.0).high,
        }
    }

    /// The distance between losses that have much of P by themselves, which is best a whole
    /// number of grid steps.
    pub(super) fn span(self) -> Option<f64> {
        match self {
            Self::Laplace { .. } | Self::LaplaceWithout { .. } => {
                let Range { low, high } = self.range(0.0);
                Some(high - low)
            }
            Self::DiscreteLaplace { parameter, .. } => Some(2.0 * parameter),
            _ => None,
        }
    }
}

/// Cells with P and Q exchanged: those between the negative boundaries, in reverse.
fn swapped(boundaries: &[f64], row: impl Fn(&[f64]) -> Row) -> Row {
    let negative: Vec<f64> = boundaries.iter().rev().map(|b| -b).collect();
    let mut row = row(&negative);
    row.cells.reverse();
    // P's new mass is Q's, which is known as well as P's and the mean are.
    let slack = row
        .cells
        .iter()
        .fold(0.0, |most: f64, cell| most.max(cell.slack));
    row.mass_error += slack;
    for cell in &mut row.cells {
        *cell = cell.swapped();
    }
    row
}
