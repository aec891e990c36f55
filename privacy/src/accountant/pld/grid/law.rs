//! A loss that takes values on a grid only, and bounds a mechanism's from above or from below.
//!
//! δ(ε) = E((1 - e^{ε-L})⁺) under P is convex and decreasing in Y = e^{-L}. From **above**, the mass of a
//! cell (a, b] is split over a and b so that the mean of Y stays ("connect the dots": Doroshenko,
//! Ghazi, Kamath, Kumar & Manurangsi 2022): no δ falls, of this loss or of any sum that it is part
//! of. From **below**, all outcomes of a cell are merged into one, which is post-processing, and the merged
//! loss is put at a point of the grid, all of which are moved down by as much as that takes. Cells are cut
//! so that this is next to nothing.

use super::cell::{Cell, Component, Range, Row};
use super::normal::{ULP, ln_sum};
use super::placement::Placement;
use super::search::Run;
use super::spacing::Spacing;
use crate::accountant::pld::cumulants::Cumulants;

/// Which bound a loss is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::accountant::pld) enum Bound {
    /// Never below the truth.
    Upper,
    /// Never above it.
    Lower,
}

/// A mechanism's parts with their probabilities: which of them it was is visible to everybody.
pub(super) type Parts = [(f64, Component)];

/// A loss on a grid: k h + `offset` has the mass e^ln for each (k, ln) of `points`, of which several may be at
/// one place.
#[derive(Clone, Debug)]
pub(super) struct Law {
    pub(super) points: Vec<(i64, f64)>,
    pub(super) offset: f64,
    /// P's mass beyond the last point, which counts as an infinite loss, and of Q's as much as is
    /// surely there, or at most is, for an upper and a lower bound.
    pub(super) beyond: Beyond,
    /// The relative error of the masses.
    pub(super) error: f64,
    pub(super) step: f64,
}

/// Masses of P and Q beyond the last point of a grid.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beyond {
    pub(super) p: f64,
    pub(super) q: f64,
}

/// Cells of a law, at most.
pub(super) const MOST_CELLS: usize = 1 << 19;

/// The grid must be this much coarser than the error with which cells end on it.
const COARSER: f64 = 100.0;

/// Where and how finely a law is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a> {
    /// h.
    pub(super) step: f64,
    /// ln of the mass that may be left out above.
    pub(super) ln_rare: f64,
    /// ln of the mass that may be left out below: more, as what has a small loss adds to δ at most its share.
    pub(super) ln_low: f64,
    /// Losses above this may be put together as [`Law::beyond`].
    pub(super) cut: f64,
    /// The tilt that the law is to be looked at with.
    pub(super) theta: f64,
    /// Which points of the grid cells end at.
    pub(super) spacing: &'a Spacing,
}

impl Law {
    /// The bound of a mechanism; None where the grid would have too many points, or the losses are
    /// beyond what floats can tell apart.
    pub(super) fn new(bound: Bound, parts: &Parts, layout: Layout<'_>) -> Option<Self> {
        let anchor = parts.iter().map(|(_, part)| part.anchor()).next()?;
        match bound {
            Bound::Upper => Self::above(parts, anchor, layout),
            Bound::Lower => Self::below(parts, settled(parts, anchor, layout.step), layout),
        }
    }

    fn above(parts: &Parts, anchor: f64, layout: Layout<'_>) -> Option<Self> {
        let step = layout.step;
        let Points { points, cut } = points(parts, anchor, layout)?;
        let boundaries: Vec<f64> = points.iter().map(|k| anchor + *k as f64 * step).collect();
        let row = row(parts, &boundaries);
        if COARSER * row.boundary_error > step || row.boundary_error.is_nan() {
            return None;
        }
        let mut masses = vec![0.0; points.len()];
        let mut beyond = Beyond::default();
        for (index, cell) in row.cells.iter().enumerate() {
            let mass = cell.ln_p.exp();
            if index == 0 {
                // Rounded up to the lowest point.
                masses[0] += mass;
            } else if index == points.len() {
                beyond.p += mass * (1.0 + row.mass_error) + f64::MIN_POSITIVE;
                // Without a cut nothing bounds how often such a run still has a small total: then its
                // loss counts as infinite.
                if cut {
                    beyond.q += (cell.ln_p - cell.mean - cell.slack).exp() * (1.0 - row.mass_error);
                }
            } else if mass < LEAST_MASS && mass > 0.0 {
                beyond.p += LEAST_MASS;
            } else if mass > 0.0 {
                let low = boundaries[index - 1];
                let width = (points[index] - points[index - 1]) as f64 * step;
                let above =
                    (cell.mean + cell.slack + 2.0 * row.boundary_error - low).clamp(0.0, width);
                // e^{-mean} = (1 - β) + β e^{-w}, relative to the cell's lower end; raised by what
                // rounding may have taken.
                let part = ((-above).exp_m1() / (-width).exp_m1() * (1.0 + 4.0 * ULP)).min(1.0);
                masses[index] += mass * part;
                masses[index - 1] += mass * (1.0 - part);
            }
        }
        Some(Self {
            points: occupied(&points, &masses),
            offset: anchor + row.boundary_error + 4.0 * ULP * anchor.abs(),
            beyond,
            error: row.mass_error + 16.0 * ULP,
            step,
        })
    }

    fn below(parts: &Parts, anchor: f64, layout: Layout<'_>) -> Option<Self> {
        let step = layout.step;
        let Points { points, cut } = points(parts, anchor, layout)?;
        let halves: Vec<f64> = points
            .windows(2)
            .map(|ends| anchor + (ends[0] + ends[1]) as f64 / 2.0 * step)
            .collect();
        let row = row(parts, &halves);
        let is_last = |index: usize| index + 1 == points.len();
        let beyond = match row.cells.last() {
            Some(last) if cut => Beyond {
                p: last.ln_p.exp() * (1.0 - row.mass_error),
                q: (last.ln_p - last.mean + last.slack).exp() * (1.0 + row.mass_error),
            },
            _ => Beyond::default(),
        };
        // Whatever is rare at either end is left out: at the last points it would only draw the
        // tilt to itself.
        let rare = |index: usize, cell: &Cell| {
            index == 0 && cell.ln_p <= layout.ln_low
                || is_last(index) && (cut || cell.ln_p <= layout.ln_rare)
        };
        let cells: Vec<Cell> = row
            .cells
            .iter()
            .enumerate()
            .map(|(index, cell)| {
                let left_out = rare(index, cell) || cell.ln_p.exp() < LEAST_MASS;
                if left_out { Cell::EMPTY } else { *cell }
            })
            .collect();
        let first = *points.first()?;
        let Placement { points, offset } =
            Placement::new(&cells, anchor, step, first, layout.theta)?;
        Some(Self {
            points,
            offset,
            beyond,
            error: row.mass_error + 16.0 * ULP,
            step,
        })
    }

    /// The loss of a point.
    pub(super) fn loss(&self, point: i64) -> f64 {
        point as f64 * self.step + self.offset
    }

    /// ln Σ p e^{θ loss}, with the mean and the variance of the tilted loss.
    pub(super) fn cumulants(&self, theta: f64) -> Cumulants {
        let tilted = |(point, ln_p): &(i64, f64)| {
            let loss = self.loss(*point);
            (loss, ln_p + theta * loss)
        };
        let points: Vec<(f64, f64)> = self.points.iter().map(tilted).collect();
        Cumulants::of(&points)
    }
}

impl Law {
    /// How much of the loss tilted by `theta` isn't at its most frequent point.
    pub(super) fn off_centre(&self, theta: f64) -> f64 {
        let exponents = || {
            let points = self.points.iter();
            points.map(|(point, ln_p)| ln_p + theta * self.loss(*point))
        };
        let largest = exponents().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = exponents().map(|exponent| (exponent - largest).exp()).sum();
        1.0 - 1.0 / sum
    }

    /// The stretches of loss around its points, and how much each matters by `matters`(loss, ln of mass): as
    /// much as the most of the neighbours. All points must be next to each other.
    pub(super) fn stretches(&self, matters: impl Fn(f64, f64) -> f64) -> Vec<(f64, f64)> {
        let (Some((first, _)), Some((last, _))) = (self.points.first(), self.points.last()) else {
            return Vec::new();
        };
        let mut all: Vec<(f64, f64)> = (first - 1..=last + 1)
            .map(|point| (self.loss(point) + self.step / 2.0, 0.0))
            .collect();
        for (point, ln_p) in &self.points {
            let matters = matters(self.loss(*point), *ln_p);
            let at = (point - first) as usize;
            for (_, most) in all.iter_mut().skip(at).take(3) {
                *most = most.max(matters);
            }
        }
        all
    }
}

/// The points that have any mass.
fn occupied(points: &[i64], masses: &[f64]) -> Vec<(i64, f64)> {
    let all = points.iter().zip(masses);
    all.filter(|(_, mass)| **mass > 0.0)
        .map(|(point, mass)| (*point, mass.ln()))
        .collect()
}

/// Less than this may have lost digits.
const LEAST_MASS: f64 = 1e-290;

/// The points of a grid.
struct Points {
    /// Those at which cells end, by their numbers.
    points: Vec<i64>,
    /// Whether losses beyond the last one aren't rare.
    cut: bool,
}

/// The losses between which a law has points.
pub(super) fn reach(parts: &Parts, ln_low: f64, ln_rare: f64) -> Range {
    let lows = parts.iter().map(|(_, part)| part.range(ln_low).low);
    let highs = parts.iter().map(|(_, part)| part.range(ln_rare).high);
    Range {
        low: lows.fold(f64::INFINITY, f64::min),
        high: highs.fold(f64::NEG_INFINITY, f64::max),
    }
}

/// The largest loss, but for what is as rare as e^`ln_rare` in each of `runs`.
pub(in crate::accountant::pld) fn highest(runs: &[Run], ln_rare: f64) -> f64 {
    let parts = runs.iter().flat_map(|(parts, _)| parts);
    parts
        .map(|(_, part)| part.range(ln_rare).high)
        .fold(0.0, f64::max)
}

fn points(parts: &Parts, anchor: f64, layout: Layout<'_>) -> Option<Points> {
    let Range { low, high } = reach(parts, layout.ln_low, layout.ln_rare);
    // A hair further, so that an atom at an end lies between points.
    let cut = high > layout.cut;
    let high = high.min(layout.cut);
    let first = ((low - anchor) / layout.step - 1e-9).floor();
    let last = ((high - anchor) / layout.step + 1e-9)
        .ceil()
        .max(first + 1.0);
    if first.abs().max(last.abs()) > 1e15 {
        return None;
    }
    let ends = (first as i64, last as i64);
    let points = layout
        .spacing
        .points(anchor, layout.step, ends, MOST_CELLS)?;
    Some(Points { points, cut })
}

/// The cells of a mechanism: those of its parts, put together cell by cell.
pub(super) fn row(parts: &Parts, boundaries: &[f64]) -> Row {
    if let [(_, part)] = parts {
        return part.row(boundaries);
    }
    let rows: Vec<(f64, Row)> = parts
        .iter()
        .map(|(share, part)| (share.ln(), part.row(boundaries)))
        .collect();
    let cells = (0..=boundaries.len()).map(|index| {
        let cells = || {
            rows.iter()
                .filter_map(|(ln, row)| Some((ln, row.cells.get(index)?)))
        };
        let slack = cells().fold(0.0, |most: f64, (_, cell)| most.max(cell.slack));
        let p: Vec<f64> = cells().map(|(ln, cell)| ln + cell.ln_p).collect();
        let q: Vec<f64> = cells()
            .filter(|(_, cell)| cell.ln_p > f64::NEG_INFINITY)
            .map(|(ln, cell)| ln + cell.ln_p - cell.mean)
            .collect();
        let mut cell = Cell::of(ln_sum(&p), ln_sum(&q), 8.0 * ULP);
        cell.slack += slack;
        cell
    });
    let most = |of: &dyn Fn(&Row) -> f64| rows.iter().fold(0.0, |m: f64, (_, row)| m.max(of(row)));
    Row {
        cells: cells.collect(),
        boundary_error: most(&|row| row.boundary_error),
        mass_error: most(&|row| row.mass_error) + SHARE_ERROR,
    }
}

/// The relative error of the probabilities of a mechanism's parts.
const SHARE_ERROR: f64 = 1e-10;

/// The mean of what lies within half a step of `anchor`, which is the better place for a point of
/// the grid where much mass lies just beside it.
fn settled(parts: &Parts, anchor: f64, step: f64) -> f64 {
    (0..2).fold(anchor, |at, _| {
        let row = row(parts, &[at - step / 2.0, at + step / 2.0]);
        match row.cells.get(1) {
            Some(cell) if cell.ln_p > -60.0 && cell.mean.is_finite() => {
                cell.mean.clamp(at - step / 2.0, at + step / 2.0)
            }
            _ => at,
        }
    })
}
