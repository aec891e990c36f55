//! Where the cells' masses go on a grid, so that the loss is bounded from below.
//!
//! Outcomes are put into groups: whole cells, and of the last one as much as fits, by lot. A group that is published in
//! place of its outcomes is post-processing, so that no δ rises, and its loss is one number: -ln of the mean of
//! Y = e^{-loss} over the group. Groups are made so that this number is a point of the grid.

use super::cell::Cell;
use super::normal::ULP;
use crate::accountant::pld::cumulants::Cumulants;

/// Cells' masses on the points k `step` + `offset`.
pub(super) struct Placement {
    /// (k, ln of mass).
    pub(super) points: Vec<(i64, f64)>,
    pub(super) offset: f64,
}

/// What a few roundings leave of a gain, and make of a debt.
const LESS: f64 = 1.0 - 16.0 * ULP;
const MORE: f64 = 1.0 + 16.0 * ULP;

/// A cell so near above a point, in steps, is put there, although that wastes a little.
const AT_POINT: f64 = 1e-7;

/// A cell of more mass than this may be an atom, whose mean should be at or just above a point.
const LARGE: f64 = 1e-3;

/// A grid: the points k `step` + `offset`, of which those below `first` are left out.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) step: f64,
    pub(super) offset: f64,
    pub(super) first: i64,
}

impl Grid {
    fn loss(&self, point: i64) -> f64 {
        point as f64 * self.step + self.offset
    }

    /// How far rounding may have moved a point.
    fn error(&self, point: i64) -> f64 {
        4.0 * ULP * (self.offset.abs() + self.step * point.unsigned_abs() as f64)
    }

    /// The last point that surely isn't above `loss`.
    fn at_or_below(&self, loss: f64) -> Option<i64> {
        let below = ((loss - self.offset) / self.step).floor();
        if below.is_nan() || below.abs() >= 1e15 {
            return None;
        }
        let mut point = below as i64;
        while self.loss(point) + self.error(point) > loss {
            point -= 1;
        }
        Some(point)
    }

    /// By how much a group at `point` exceeds with a cell of this loss: 1 - Y/Y', rounded down; negative where
    /// the loss is below the point.
    fn excess(&self, point: i64, loss: f64) -> f64 {
        let excess = -(self.loss(point) + self.error(point) - loss).exp_m1();
        if excess > 0.0 {
            excess * LESS
        } else {
            excess * MORE
        }
    }
}

/// Which way cells are taken, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Down,
    Up,
}

impl Placement {
    /// Of cells from the lowest losses up, on points from number `first` on, near `anchor` + k `step`, as tilting by
    /// `theta` makes most of it. What would fall below the first point is left out. None where a mean is no number.
    pub(super) fn new(
        cells: &[Cell],
        anchor: f64,
        step: f64,
        first: i64,
        theta: f64,
    ) -> Option<Self> {
        let at = |offset: f64| Grid {
            step,
            offset,
            first,
        };
        let moment = |grid: Grid, points: &[(i64, f64)]| {
            let tilted = |(k, ln_p): &(i64, f64)| {
                let loss = grid.loss(*k);
                (loss, ln_p + theta * loss)
            };
            let points: Vec<(f64, f64)> = points.iter().map(tilted).collect();
            Cumulants::of(&points).log_moment
        };
        let tried = layouts(cells, anchor, step)
            .into_iter()
            .map(|(offset, split)| {
                let grid = at(offset);
                (grid, grouped(cells, grid, split))
            });
        let known = tried.filter_map(|(grid, points)| {
            let points = points?;
            Some((moment(grid, &points), grid.offset, points))
        });
        let (_, offset, points) = known.max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(Self { points, offset })
    }
}

/// Where the grid may be, and where groups may begin. What is begun with can be at a point exactly, and only the group
/// that is made last, at either end, may waste something: so the grid is tried as it was asked for, with all groups from
/// the top, and with a point at the mean of the heaviest cell and at that of the lowest of any weight, with groups from
/// there. All are a little lower, so that a mean which is at a point but for rounding isn't below it.
fn layouts(cells: &[Cell], anchor: f64, step: f64) -> Vec<(f64, usize)> {
    let large = || {
        let all = cells.iter().enumerate();
        all.filter(|(_, cell)| cell.ln_p > LARGE.ln())
    };
    let slack = large().fold(0.0, |most: f64, (_, cell)| most.max(cell.slack));
    let largest = large().fold(0.0, |most: f64, (_, cell)| most.max(cell.mean.abs()));
    let rounding = 16.0 * ULP * (anchor.abs() + largest + 1e-3 * step);
    let heaviest = large().max_by(|a, b| a.1.ln_p.total_cmp(&b.1.ln_p));
    let asked_for = anchor - 2.0 * slack - rounding;
    let mut found = vec![(asked_for, cells.len())];
    for (index, cell) in [heaviest, large().next()].into_iter().flatten() {
        let nearest = ((cell.mean - anchor) / step).round() * step;
        let offset = cell.mean - cell.slack - nearest - rounding;
        for split in [cells.len(), index + 1] {
            if !found.contains(&(offset, split)) {
                found.push((offset, split));
            }
        }
    }
    found
}

/// The groups of the cells before `split` from there down, and of the others from there up.
fn grouped(cells: &[Cell], grid: Grid, split: usize) -> Option<Vec<(i64, f64)>> {
    let (below, above) = cells.split_at_checked(split)?;
    let filled = |cell: &&Cell| cell.ln_p > f64::NEG_INFINITY;
    let mut points = Vec::new();
    let mut groups = Groups::new(grid, Way::Down, &mut points);
    for cell in below.iter().rev().filter(filled) {
        groups.add(cell)?;
    }
    groups.finish();
    let mut groups = Groups::new(grid, Way::Up, &mut points);
    for cell in above.iter().filter(filled) {
        groups.add(cell)?;
    }
    groups.finish();
    Some(points)
}

/// Groups that are full, and the one that is being filled.
struct Groups<'a> {
    grid: Grid,
    way: Way,
    group: Option<Group>,
    points: &'a mut Vec<(i64, f64)>,
}

/// A group that isn't full.
struct Group {
    /// Where it is to be once it is full, and where it may be if it never is.
    full: i64,
    if_not: i64,
    mass: f64,
    /// Σ mass (1 - Y/Y') so far: above zero on the way down, below it on the way up.
    balance: f64,
}

impl<'a> Groups<'a> {
    fn new(grid: Grid, way: Way, points: &'a mut Vec<(i64, f64)>) -> Self {
        Self {
            grid,
            way,
            group: None,
            points,
        }
    }

    fn add(&mut self, cell: &Cell) -> Option<()> {
        let mass = cell.ln_p.exp();
        let loss = cell.mean - cell.slack;
        let mut left = mass;
        // What is left of a cell after one group was filled begins the next. Each turn either takes all, or fills a
        // group that was begun by another cell.
        while left > 0.0 {
            let Some(group) = &mut self.group else {
                let below = self.grid.at_or_below(loss)?;
                let full = match self.way {
                    Way::Down => below,
                    Way::Up if loss - self.grid.loss(below) > AT_POINT * self.grid.step => {
                        below + 1
                    }
                    Way::Up => below,
                };
                let balance = left * self.grid.excess(full, loss);
                self.group = Some(Group {
                    full,
                    if_not: below,
                    mass: left,
                    balance,
                });
                return Some(());
            };
            let excess = self.grid.excess(group.full, loss);
            let balance = group.balance + left * excess;
            let fills = match self.way {
                Way::Down => balance < 0.0,
                Way::Up => balance >= 0.0,
            };
            if !fills {
                // Rounding of the sum goes to the safe side.
                group.balance = balance - ULP * 2.0 * balance.abs();
                group.mass += left;
                return Some(());
            }
            let part = (group.balance / -excess).abs();
            let part = match self.way {
                Way::Down => part * LESS,
                Way::Up => part * MORE,
            };
            let part = if part < left { part } else { left };
            let (point, ln_mass) = (group.full, (group.mass + part).ln());
            self.group = None;
            self.put(point, ln_mass);
            left -= part;
        }
        Some(())
    }

    /// The last group needn't have become full.
    fn finish(&mut self) {
        if let Some(group) = self.group.take() {
            self.put(group.if_not, group.mass.ln());
        }
    }

    fn put(&mut self, point: i64, ln_mass: f64) {
        if point >= self.grid.first {
            self.points.push((point, ln_mass));
        }
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
        let mut means: Vec<(f64, f64)> = means.iter().map(|(l, p)| (*l, p / total)).collect();
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        for step in [0.002, 0.01, 0.07] {
            for split in [0, 77, 200] {
                let grid = Grid {
                    step,
                    offset: 0.0,
                    first: -1,
                };
                let points = grouped(&cells(&means), grid, split).unwrap();
                let losses: Vec<(f64, f64)> = points
                    .iter()
                    .map(|(k, ln_p)| (grid.loss(*k), ln_p.exp()))
                    .collect();
                for k in 1..400 {
                    let t = f64::from(k) / 390.0;
                    let (below, truth) = (potential(&losses, t), potential(&means, t));
                    assert!(below <= truth + 1e-14, "{step} {t}: {below} {truth}");
                }
                // E(Y) stays, but for the last group.
                let y =
                    |all: &[(f64, f64)]| -> f64 { all.iter().map(|(l, p)| p * (-l).exp()).sum() };
                assert!(y(&losses) >= y(&means) - 1e-14, "{step} {split}");
                assert!(y(&losses) < y(&means) + step, "{step} {split}");
            }
            let placed = Placement::new(&cells(&means), 0.0, step, -1, 1.0).unwrap();
            let points = placed.points.iter();
            let mean: f64 = points
                .map(|(k, ln_p)| (*k as f64 * step + placed.offset) * ln_p.exp())
                .sum();
            let truth: f64 = means.iter().map(|(l, p)| l * p).sum();
            assert!(mean > truth - 0.1 * step && mean <= truth, "{step}");
        }
    }

    #[test]
    fn losses_beyond_the_range_of_exponentials_are_placed() {
        let placed =
            Placement::new(&cells(&[(0.5, 0.5), (5e6 + 0.4, 0.5)]), 0.0, 1.0, 0, 1.0).unwrap();
        let points: Vec<i64> = placed.points.iter().map(|(point, _)| *point).collect();
        assert!(
            points.contains(&5_000_000) && points.contains(&0),
            "{points:?}"
        );
    }
}
