//! Runs of which one loss lies beyond a cut, and whose total is small all the same.
//!
//! With one loss above ℓ the total is below ε only where the others, which are independent of it, add up to
//! less than ε - ℓ. Either one of these is below -c, which is rare as well, or Chernoff's inequality for
//! losses of at least -c says how rarely that happens.

use super::cell::Cell;
use super::law::{Parts, row};
use super::normal::ln_sum;
use super::search::Run;

/// A bound on Q's mass of such runs: e^`ln_pairs` + e^{`ln` + `lambda` ε}.
#[derive(Clone, Copy, Debug)]
pub(in crate::accountant::pld) struct Strays {
    /// Runs of which another loss lies far below zero.
    ln_pairs: f64,
    ln: f64,
    lambda: f64,
}

/// Cuts that are tried, in epsilons.
const MULTIPLES: [f64; 16] = [
    1.1, 1.2, 1.35, 1.6, 2.0, 2.5, 4.0, 6.0, 10.0, 20.0, 40.0, 100.0, 250.0, 600.0, 1500.0, 4000.0,
];

/// Cells in which the others' losses are looked at.
const CELLS: usize = 1024;

/// Factors of Chernoff's inequality that are tried, times what is to be bounded.
const LAMBDAS: [f64; 7] = [4.0, 8.0, 14.0, 22.0, 32.0, 45.0, 64.0];

/// How far down the others are followed, as parts of the room that they have.
const DEPTHS: [f64; 3] = [1.0, 0.5, 0.25];

/// More than rounding takes of a logarithm of a mass.
const RAISED: f64 = 1e-6;

impl Strays {
    /// Where nothing was cut off but what is rare.
    pub(in crate::accountant::pld) const NONE: Self = Self {
        ln_pairs: f64::NEG_INFINITY,
        ln: f64::NEG_INFINITY,
        lambda: 0.0,
    };

    /// Where nothing is known.
    pub(in crate::accountant::pld) const UNKNOWN: Self = Self {
        ln_pairs: f64::INFINITY,
        ..Self::NONE
    };

    /// ln of e^ε times the bound.
    pub(in crate::accountant::pld) fn ln_fallen(&self, epsilon: f64) -> f64 {
        epsilon + ln_sum(&[self.ln_pairs, self.ln + self.lambda * epsilon])
    }

    /// The least loss below `highest` above which runs hardly ever have a total below `epsilon`, with [`Self::beyond`]
    /// it; None where there is none.
    pub(in crate::accountant::pld) fn least(
        runs: &[Run],
        epsilon: f64,
        enough: f64,
        highest: f64,
    ) -> Option<(f64, Self)> {
        if !epsilon.is_finite() || epsilon <= 0.0 {
            return None;
        }
        MULTIPLES
            .into_iter()
            .map(|multiple| multiple * epsilon)
            .take_while(|cut| *cut < highest)
            .find_map(|cut| Some((cut, Self::beyond(runs, cut, epsilon, enough)?)))
    }

    /// A bound near `epsilon` for losses above `cut`, which e^ε times is at most e^`enough`; None where none is
    /// found.
    pub(super) fn beyond(runs: &[Run], cut: f64, epsilon: f64, enough: f64) -> Option<Self> {
        let above = |(parts, count): &Run| (*count as f64).ln() + ln_q_above(parts, cut);
        let ln_above = ln_sum(&runs.iter().map(above).collect::<Vec<_>>());
        let room = cut - epsilon;
        // No depth makes it rarer that another loss lies far below zero.
        let below = |(parts, count): &Run| (*count as f64).ln() + ln_q_below(parts, -room);
        let ln_below = ln_sum(&runs.iter().map(below).collect::<Vec<_>>());
        if epsilon + ln_above + ln_below > enough {
            return None;
        }
        DEPTHS.into_iter().find_map(|depth| {
            let others = Others::new(runs, depth * room, cut);
            LAMBDAS.into_iter().find_map(|multiple| {
                let lambda = multiple / room;
                let strays = Self {
                    ln_pairs: ln_above + others.ln_below,
                    // A cell may end a hair before the cut.
                    ln: ln_above + others.ln_moment(lambda) - lambda * cut * (1.0 - 1e-9),
                    lambda,
                };
                (strays.ln_fallen(epsilon) <= enough).then_some(strays)
            })
        })
    }
}

/// What Q has of losses that aren't far below zero.
struct Others {
    /// ln of a bound on the probability that any is.
    ln_below: f64,
    /// For each mechanism, bounds as (loss, ln of Q's mass), and how often it runs.
    laws: Vec<(Vec<(f64, f64)>, f64)>,
}

impl Others {
    fn new(runs: &[Run], depth: f64, cut: f64) -> Self {
        let step = (cut + depth) / CELLS as f64;
        // A boundary at zero, where most is that wasn't sampled.
        let below = (depth / step).ceil();
        let boundaries: Vec<f64> = (0..=CELLS + 1).map(|k| (k as f64 - below) * step).collect();
        let mut ln_below = Vec::new();
        let laws = runs.iter().map(|(parts, count)| {
            let row = row(parts, &boundaries);
            let error = row.boundary_error;
            let raised = 2.0 * row.mass_error + 1e-13;
            let mut points = Vec::new();
            for (index, cell) in row.cells.iter().enumerate() {
                if cell.ln_p == f64::NEG_INFINITY {
                    continue;
                }
                let low = index.checked_sub(1).and_then(|k| boundaries.get(k));
                match (low, boundaries.get(index)) {
                    (None, _) => ln_below.push((*count as f64).ln() + ln_q(cell)),
                    (Some(low), None) => points.push((low - error, ln_q(cell))),
                    (Some(low), Some(high)) => {
                        points.extend(spread(cell, low - error, high + error, raised));
                    }
                }
            }
            (points, *count as f64)
        });
        let laws = laws.collect();
        Self {
            ln_below: ln_sum(&ln_below),
            laws,
        }
    }

    /// ln of a bound on E_Q(e^{-λL}; no loss is far below zero) of all together.
    fn ln_moment(&self, lambda: f64) -> f64 {
        let one = |points: &[(f64, f64)]| {
            let terms: Vec<f64> = points.iter().map(|(loss, ln)| ln - lambda * loss).collect();
            // The one beyond the cut isn't among the others, and may be any: no factor is below one.
            ln_sum(&terms).max(0.0)
        };
        let laws = self.laws.iter();
        laws.map(|(points, count)| count * one(points)).sum::<f64>()
    }
}

/// A cell's mass as masses of Q at its two ends, with which no E_Q(e^{-λL}) is smaller: it is E_P(Y^{1+λ}),
/// convex in Y = e^{-L}, whose mean stays.
fn spread(cell: &Cell, low: f64, high: f64, raised: f64) -> [(f64, f64); 2] {
    let mean = (cell.mean - cell.slack).clamp(low, high);
    let part = ((low - mean).exp_m1() / (low - high).exp_m1()).clamp(0.0, 1.0);
    let ln_p = cell.ln_p + raised;
    [
        (low, ln_p + (1.0 - part).ln() - low),
        (high, ln_p + part.ln() - high),
    ]
}

/// ln of an upper bound on Q's mass in a cell.
fn ln_q(cell: &Cell) -> f64 {
    cell.ln_p - cell.mean + cell.slack + RAISED
}

/// ln of an upper bound on Q's mass of losses above `cut`.
fn ln_q_above(parts: &Parts, cut: f64) -> f64 {
    let row = row(parts, &[cut]);
    let above = row
        .cells
        .last()
        .filter(|cell| cell.ln_p > f64::NEG_INFINITY);
    above.map_or(f64::NEG_INFINITY, ln_q)
}

/// ln of an upper bound on Q's mass of losses below `depth`.
fn ln_q_below(parts: &Parts, depth: f64) -> f64 {
    let row = row(parts, &[depth]);
    let below = row
        .cells
        .first()
        .filter(|cell| cell.ln_p > f64::NEG_INFINITY);
    below.map_or(f64::NEG_INFINITY, ln_q)
}
