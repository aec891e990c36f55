//! Where the cells' masses go on a grid, so that the loss is bounded from below.
//!
//! E((t - Y')⁺) <= E((t - Y)⁺) for every t, where Y = e^{-loss}, if and only if the sum of the smallest Y'
//! is at least that of the smallest Y for every share of the mass (second-order stochastic dominance:
//! Hadar & Russell 1969). Y's sum is convex in the share and Y''s is linear between places, so that the ends of
//! places are all that matters: from the largest loss down, Σ p (y' - y) >= 0 at each. A cell's mean lies between
//! two points. What goes to the lower one gains credit, with which later cells pay for going to the upper one.

use super::cell::Cell;
use super::normal::ULP;

/// Cells' masses on the points k `step` + `offset`.
pub(super) struct Placement {
    /// (k, ln of mass).
    pub(super) points: Vec<(i64, f64)>,
    pub(super) offset: f64,
}

/// What a few roundings leave of a credit, and make of a price.
const LESS: f64 = 1.0 - 16.0 * ULP;
const MORE: f64 = 1.0 + 16.0 * ULP;

/// A cell of more mass than this may be an atom, whose mean should be at or just above a point.
const LARGE: f64 = 1e-3;

/// How far below a point such a mean may lie, in steps, for all points to be lowered by as much.
const JUST_BELOW: f64 = 0.02;

impl Placement {
    /// Of cells from the lowest losses up, on points from number `first` on, near `anchor` + k `step`. What
    /// would fall below the first point is left out. None where a mean is no number.
    pub(super) fn new(cells: &[Cell], anchor: f64, step: f64, first: i64) -> Option<Self> {
        let filled = || {
            let filled = cells.iter().filter(|cell| cell.ln_p > f64::NEG_INFINITY);
            filled.rev()
        };
        let large = || filled().filter(|cell| cell.ln_p > LARGE.ln());
        let slack = large().fold(0.0, |most: f64, cell| most.max(cell.slack));
        let largest = large().fold(0.0, |most: f64, cell| most.max(cell.mean.abs()));
        // So low that a mean which is at a point but for rounding isn't below it.
        let offset = anchor - 2.0 * slack - 16.0 * ULP * (anchor.abs() + largest + 1e-3 * step);
        let missed = large().fold(0.0, |most: f64, cell| {
            let place = (cell.mean - cell.slack - offset) / step;
            let below = place.round() - place;
            if below < JUST_BELOW {
                most.max(below)
            } else {
                most
            }
        });
        let at_once = Self::at(filled(), offset, step, first)?;
        if missed == 0.0 {
            return Some(at_once);
        }
        let lowered = offset - missed * step * MORE - 4.0 * ULP * largest;
        let lowered = Self::at(filled(), lowered, step, first)?;
        let best = lowered.mean(step) > at_once.mean(step);
        Some(if best { lowered } else { at_once })
    }

    /// The mean loss.
    fn mean(&self, step: f64) -> f64 {
        let points = self.points.iter();
        points
            .map(|(k, ln_p)| (*k as f64 * step + self.offset) * ln_p.exp())
            .sum()
    }

    fn at<'a>(
        cells: impl Iterator<Item = &'a Cell>,
        offset: f64,
        step: f64,
        first: i64,
    ) -> Option<Self> {
        let mut points = Vec::new();
        let mut ledger = Ledger {
            credit: 0.0,
            at: f64::INFINITY,
            lowest: i64::MAX,
        };
        for cell in cells {
            let mean = cell.mean - cell.slack;
            let below = ((mean - offset) / step).floor();
            if below.is_nan() || below.abs() >= 1e15 {
                return None;
            }
            // No higher than anything that came before.
            let below = (below as i64).min(ledger.lowest);
            let part = ledger.place(cell.ln_p.exp(), mean, below, offset, step);
            let mut put = |point: i64, part: f64| {
                if part > 0.0 {
                    ledger.lowest = ledger.lowest.min(point);
                    if point >= first {
                        points.push((point, cell.ln_p + part.ln()));
                    }
                }
            };
            put(below + 1, part);
            put(below, 1.0 - part);
        }
        Some(Self { points, offset })
    }
}

/// What has been gained so far, from the largest loss down.
struct Ledger {
    /// Σ p (y' - y), times e^`at`.
    credit: f64,
    at: f64,
    /// The lowest point that anything was put on.
    lowest: i64,
}

impl Ledger {
    /// The part of `mass`, whose loss is `mean`, that can go to the point above `below`; the rest goes there.
    fn place(&mut self, mass: f64, mean: f64, below: i64, offset: f64, step: f64) -> f64 {
        self.credit *= if self.at.is_finite() {
            (mean - self.at).min(0.0).exp() * LESS
        } else {
            0.0
        };
        self.at = self.at.min(mean);
        let point = |k: i64| k as f64 * step + offset;
        // How far rounding may have moved a point.
        let error = 4.0 * ULP * (offset.abs() + step * below.abs() as f64);
        // y' - y at either point, times e^{mean}.
        let price = -(mean - point(below + 1) - error).exp_m1() * MORE;
        let gain = (mean - point(below) - error).exp_m1() * LESS;
        let part = if below + 1 > self.lowest {
            0.0
        } else if price * mass <= self.credit {
            1.0
        } else {
            (self.credit / (price * mass) * LESS).clamp(0.0, 1.0)
        };
        let paid = part * price.max(0.0) * mass * MORE;
        self.credit = ((self.credit - paid) * LESS + (1.0 - part) * gain * mass).max(0.0);
        if self.credit.is_nan() {
            self.credit = 0.0;
        }
        // More than can ever be spent helps nobody.
        self.credit = self.credit.min(f64::MAX);
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(means: &[(f64, f64)]) -> Vec<Cell> {
        let cell = |&(mean, p): &(f64, f64)| Cell {
            ln_p: p.ln(),
            mean,
            slack: 0.0,
        };
        means.iter().map(cell).collect()
    }

    /// E((t - e^{-loss})⁺).
    fn potential(losses: &[(f64, f64)], t: f64) -> f64 {
        losses
            .iter()
            .map(|(l, p)| p * (t - (-l).exp()).max(0.0))
            .sum()
    }

    #[test]
    fn no_potential_rises_and_the_mean_hardly_falls() {
        let means: Vec<(f64, f64)> = (0..200)
            .map(|k| {
                let x = f64::from(k) / 200.0;
                (x * 0.9 + 0.003 * (17.0 * x).sin(), (-5.0 * x).exp())
            })
            .collect();
        let total: f64 = means.iter().map(|(_, p)| p).sum();
        let means: Vec<(f64, f64)> = means.iter().map(|(l, p)| (*l, p / total)).collect();
        for step in [0.002, 0.01, 0.07] {
            let placed = Placement::new(&cells(&means), 0.0, step, -1).unwrap();
            let losses: Vec<(f64, f64)> = placed
                .points
                .iter()
                .map(|(k, ln_p)| (*k as f64 * step + placed.offset, ln_p.exp()))
                .collect();
            for k in 1..400 {
                let t = f64::from(k) / 390.0;
                let (below, truth) = (potential(&losses, t), potential(&means, t));
                assert!(below <= truth + 1e-15, "{step} {t}: {below} {truth}");
            }
            let mean = |all: &[(f64, f64)]| -> f64 { all.iter().map(|(l, p)| l * p).sum() };
            assert!(mean(&losses) > mean(&means) - 0.1 * step, "{step}");
        }
    }

    #[test]
    fn losses_beyond_the_range_of_exponentials_are_placed() {
        let placed = Placement::new(&cells(&[(0.5, 0.5), (5e6 + 0.4, 0.5)]), 0.0, 1.0, 0).unwrap();
        let points: Vec<i64> = placed.points.iter().map(|(point, _)| *point).collect();
        assert!(
            points.contains(&5_000_000) && points.contains(&0),
            "{points:?}"
        );
    }
}
