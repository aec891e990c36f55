//! Composition of discrete pairs with certified re-discretisation: slower than the
//! contour, but it needs no smoothness, and every number in it is a sum of positive ones,
//! so that relative errors stay at the level of rounding however small δ is.
//!
//! Powers are formed by squaring; after each product the atoms are collected into new
//! cells, from above or from below ([`super::atoms`]). Each level of squaring has its own
//! widths, so that all contribute alike, and the error doesn't grow with the number of
//! rounds but with its logarithm.

use super::Interval;
use super::atoms::{Atom, Atoms, Bound, Mass};
use super::cells::{self, Weighting};
use super::discretise::Bounds;

/// One mechanism's pair, and how often it runs.
pub(super) struct Repeated {
    pub(super) pair: Bounds,
    pub(super) count: u64,
}

/// Atoms of each operand that sketch a product.
const SKETCH: usize = 64;

/// δ's relative error by rounding, for each run and unit of tilt (privacy/proofs/contour.md).
const ROUNDING: f64 = 1e-12;

/// A certified interval for epsilon of all of `mechanisms` together at `delta`, from P's
/// side. `cells` is the number of cells of each distribution, and `weighting` what they
/// are chosen by.
pub(super) fn epsilon(
    mechanisms: &[Repeated],
    weighting: &Weighting,
    theta: f64,
    delta: f64,
    cells: usize,
) -> (Interval, Option<Weighting>) {
    let runs: f64 = mechanisms.iter().map(|m| m.count as f64).sum();
    let guard = (1e-10 + ROUNDING * runs * (1.0 + theta)).min(0.5);
    let [left, right] = composed(mechanisms, Bound::Upper, weighting, cells);
    let upper = solve(&left, &right, delta * (1.0 - guard), Bound::Upper);
    let [left, right] = composed(mechanisms, Bound::Lower, weighting, cells);
    let lower = solve(&left, &right, delta * (1.0 + guard), Bound::Lower).min(upper);
    // What that teaches for a better choice of cells.
    let better = (lower > 0.0).then(|| {
        let spread = spread_below(mechanisms, lower).max(1e-9 * lower);
        Weighting::of(|epsilon| left.delta_with(&right, epsilon), lower, spread)
    });
    (Interval { lower, upper }, better)
}

/// The standard deviation of the total loss, with no single loss above `cap`.
fn spread_below(mechanisms: &[Repeated], cap: f64) -> f64 {
    let variance = |atoms: &[Atom]| {
        let moment = |power: i32| -> f64 {
            atoms
                .iter()
                .map(|atom| atom.p * atom.loss.min(cap).powi(power))
                .sum()
        };
        (moment(2) - moment(1) * moment(1)).max(0.0)
    };
    let total: f64 = mechanisms
        .iter()
        .map(|mechanism| mechanism.count as f64 * variance(&mechanism.pair.lower.atoms))
        .sum();
    total.sqrt()
}

/// Two pairs whose composition bounds that of all mechanisms. The last product is left
/// undone: δ can be read off its factors without another discretisation.
fn composed(
    mechanisms: &[Repeated],
    bound: Bound,
    weighting: &Weighting,
    cells: usize,
) -> [Atoms; 2] {
    let mut total = [Atoms::nothing(), Atoms::nothing()];
    let alone = mechanisms.len() == 1;
    for mechanism in mechanisms {
        let mut square = match bound {
            Bound::Upper => mechanism.pair.upper.clone(),
            Bound::Lower => mechanism.pair.lower.clone(),
        };
        let mut count = mechanism.count;
        while count > 0 {
            if count % 2 == 1 {
                let [left, right] = total;
                total = [
                    product(&left, &right, bound, weighting, cells),
                    square.clone(),
                ];
            }
            if alone && count == 2 && total.iter().all(Atoms::is_nothing) {
                return [square.clone(), square];
            }
            count /= 2;
            if count > 0 {
                square = product(&square, &square, bound, weighting, cells);
            }
        }
    }
    total
}

/// The composition of two pairs, collected into about `count` new cells.
fn product(
    left: &Atoms,
    right: &Atoms,
    bound: Bound,
    weighting: &Weighting,
    count: usize,
) -> Atoms {
    if left.is_nothing() {
        return right.clone();
    }
    if right.is_nothing() {
        return left.clone();
    }
    let boundaries = cells::boundaries(&sketch(left, right, weighting), weighting, count);
    let masses = masses(left, right, &boundaries);
    let mut product = Atoms::collect(bound, &boundaries, &masses);
    product.p_infinite += either(left.p_infinite, right.p_infinite);
    product.q_infinite += either(left.q_infinite, right.q_infinite);
    product
}

/// The probability that at least one of two independent events happens.
fn either(a: f64, b: f64) -> f64 {
    a + b - a * b
}

/// Masses of the product in the cells between `boundaries`.
fn masses(left: &Atoms, right: &Atoms, boundaries: &[f64]) -> Vec<Mass> {
    let mut cells = vec![Mass::default(); boundaries.len() + 1];
    for a in &left.atoms {
        let first = right.atoms.first().map_or(0.0, |b| a.loss + b.loss);
        let mut cell = boundaries.partition_point(|&boundary| boundary < first);
        let mut end = boundaries.get(cell).copied().unwrap_or(f64::INFINITY);
        let mut mass = Mass::default();
        for b in &right.atoms {
            let loss = a.loss + b.loss;
            if loss > end {
                add(&mut cells, cell, mass);
                mass = Mass::default();
                while loss > end {
                    cell += 1;
                    end = boundaries.get(cell).copied().unwrap_or(f64::INFINITY);
                }
            }
            mass.p += a.p * b.p;
            mass.q += a.q * b.q;
        }
        add(&mut cells, cell, mass);
    }
    cells
}

fn add(cells: &mut [Mass], index: usize, mass: Mass) {
    if let Some(cell) = cells.get_mut(index) {
        cell.p += mass.p;
        cell.q += mass.q;
    }
}

/// A coarse picture of the product: what its cells are chosen by.
fn sketch(left: &Atoms, right: &Atoms, weighting: &Weighting) -> Vec<cells::Weighted> {
    let (left, right) = (
        thinned(&left.atoms, weighting),
        thinned(&right.atoms, weighting),
    );
    let mut samples: Vec<(f64, f64)> = Vec::with_capacity(left.len() * right.len());
    for (l, left_mass) in &left {
        samples.extend(
            right
                .iter()
                .map(|(r, right_mass)| (l + r, left_mass + right_mass)),
        );
    }
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    cells::weigh(&samples)
}

/// At most [`SKETCH`] groups of atoms, as (loss, ln of the tilted mass); the ends mark how
/// far the product reaches.
fn thinned(atoms: &[Atom], weighting: &Weighting) -> Vec<(f64, f64)> {
    let group = atoms.len().div_ceil(SKETCH).max(1);
    let point = |atom: &Atom| (atom.loss, weighting.ln_weight(atom.loss, atom.p.ln()));
    let middle = atoms.chunks(group).map(|chunk| {
        let ln_mass = chunk
            .iter()
            .fold(f64::NEG_INFINITY, |sum, atom| ln_sum(sum, point(atom).1));
        (
            chunk.get(chunk.len() / 2).map_or(0.0, |atom| atom.loss),
            ln_mass,
        )
    });
    let ends = atoms.first().into_iter().chain(atoms.last()).map(point);
    middle.chain(ends).collect()
}

/// ln(e^a + e^b).
fn ln_sum(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

/// The ε at which δ(ε) of two composed pairs falls to `target`, rounded as `bound` says.
fn solve(left: &Atoms, right: &Atoms, target: f64, bound: Bound) -> f64 {
    let fits = |epsilon: f64| left.delta_with(right, epsilon) <= target;
    if fits(0.0) {
        return 0.0;
    }
    let last = |pair: &Atoms| pair.atoms.last().map_or(0.0, |atom| atom.loss);
    let (mut low, mut high) = (0.0, (last(left) + last(right)).max(0.0) + 1e-9);
    if !fits(high) {
        return match bound {
            Bound::Upper => f64::INFINITY,
            Bound::Lower => high,
        };
    }
    while high - low > 1e-12 * high {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    match bound {
        Bound::Upper => high,
        Bound::Lower => low,
    }
}
