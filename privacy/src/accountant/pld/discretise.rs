//! Continuous mechanisms as discrete pairs: exact masses of P and Q in cells of the loss.

use std::f64::consts::SQRT_2;

use super::atoms::{Atom, Atoms, Bound, Mass};
use super::cells::{self, Weighting};
use super::sampled_gaussian::{SampledGaussian, Side};

/// Points of x on which cells are first laid out.
const SAMPLES: usize = 4096;

/// A discrete pair from above and one from below.
pub(super) struct Bounds {
    pub(super) upper: Atoms,
    pub(super) lower: Atoms,
}

impl Bounds {
    /// The same exact pair on both sides.
    pub(super) fn exact(atoms: Vec<Atom>) -> Self {
        let pair = Atoms {
            atoms,
            p_infinite: 0.0,
            q_infinite: 0.0,
        };
        Self {
            upper: pair.clone(),
            lower: pair,
        }
    }

    /// The pairs with P and Q exchanged.
    pub(super) fn swapped(&self) -> Self {
        Self {
            upper: self.upper.swapped(),
            lower: self.lower.swapped(),
        }
    }

    /// The pair which is, visibly to everybody, `other` with probability `share` and this
    /// one otherwise.
    pub(super) fn or(self, other: Self, share: f64) -> Self {
        Self {
            upper: mixture(self.upper, other.upper, share),
            lower: mixture(self.lower, other.lower, share),
        }
    }
}

fn mixture(one: Atoms, other: Atoms, share: f64) -> Atoms {
    let scaled = |atoms: Vec<Atom>, factor: f64| {
        atoms.into_iter().map(move |atom| Atom {
            loss: atom.loss,
            p: atom.p * factor,
            q: atom.q * factor,
        })
    };
    let mut atoms: Vec<Atom> = scaled(one.atoms, 1.0 - share)
        .chain(scaled(other.atoms, share))
        .collect();
    atoms.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    Atoms {
        atoms,
        p_infinite: (1.0 - share) * one.p_infinite + share * other.p_infinite,
        q_infinite: (1.0 - share) * one.q_infinite + share * other.q_infinite,
    }
}

/// A (sampled) Gaussian in about `count` cells, chosen by `weighting`; q may be 1.
/// Cells end `reach` standard deviations out.
pub(super) fn gaussian(
    law: SampledGaussian,
    weighting: &Weighting,
    theta: f64,
    reach: f64,
    count: usize,
) -> Bounds {
    let (low, high) = law.range_within(theta, reach);
    let step = (high - low) / SAMPLES as f64;
    let samples: Vec<_> = (0..=SAMPLES)
        .map(|index| {
            let x = low + index as f64 * step;
            let loss = law.loss(x);
            (loss, weighting.ln_weight(loss, law.ln_density(x, loss)))
        })
        .collect();
    // Cells are chosen in x, where masses are exact, by their widths in the loss.
    let weighted = cells::weigh(&samples);
    let wanted = cells::boundaries(&weighted, weighting, count);
    let points = inverse(law, &weighted, &wanted, low, step);
    let losses: Vec<f64> = points.iter().map(|&x| law.loss(x)).collect();
    let masses = masses(law, &points);
    Bounds {
        upper: Atoms::collect(Bound::Upper, &losses, &masses),
        lower: Atoms::collect(Bound::Lower, &losses, &masses),
    }
}

/// Points x whose losses are about the `wanted` ones, strictly increasing in both.
fn inverse(
    law: SampledGaussian,
    samples: &[cells::Weighted],
    wanted: &[f64],
    low: f64,
    step: f64,
) -> Vec<f64> {
    let mut points: Vec<f64> = Vec::with_capacity(wanted.len());
    let mut index = 0;
    for &loss in wanted {
        while samples.get(index + 1).is_some_and(|(next, _)| *next < loss) {
            index += 1;
        }
        let (Some((before, _)), Some((after, _))) = (samples.get(index), samples.get(index + 1))
        else {
            break;
        };
        let part = if after > before {
            (loss - before) / (after - before)
        } else {
            0.0
        };
        let x = low + (index as f64 + part.clamp(0.0, 1.0)) * step;
        if points
            .last()
            .is_none_or(|&last| x > last && law.loss(x) > law.loss(last))
        {
            points.push(x);
        }
    }
    points
}

/// Masses of P and Q left of, between and right of the `points`.
fn masses(law: SampledGaussian, points: &[f64]) -> Vec<Mass> {
    let centred = normal_masses(points, 0.0, law.sigma);
    let mixed_with = |mean: f64| -> Vec<f64> {
        centred
            .iter()
            .zip(normal_masses(points, mean, law.sigma))
            .map(|(a, b)| (1.0 - law.q) * a + law.q * b)
            .collect()
    };
    let (p, q) = match law.side {
        Side::Remove => (mixed_with(1.0), centred.clone()),
        Side::Add => (centred.clone(), mixed_with(-1.0)),
        Side::Replace => (mixed_with(1.0), mixed_with(-1.0)),
    };
    p.into_iter().zip(q).map(|(p, q)| Mass { p, q }).collect()
}

/// Masses of N(`mean`, `sigma`²) in the cells between `points`, each from the tail in
/// which it lies, so that small ones keep their digits.
fn normal_masses(points: &[f64], mean: f64, sigma: f64) -> Vec<f64> {
    let upper_tail = |x: f64| 0.5 * libm::erfc((x - mean) / (sigma * SQRT_2));
    let lower_tail = |x: f64| 0.5 * libm::erfc((mean - x) / (sigma * SQRT_2));
    let first = points.first().map_or(1.0, |&x| lower_tail(x));
    let last = points.last().map(|&x| upper_tail(x));
    let between = points.windows(2).map(|ends| match ends {
        [a, b] if *a >= mean => upper_tail(*a) - upper_tail(*b),
        [a, b] => lower_tail(*b) - lower_tail(*a),
        _ => 0.0,
    });
    std::iter::once(first)
        .chain(between)
        .chain(last)
        .map(|mass| mass.max(0.0))
        .collect()
}

/// The Laplace mechanism of scale b (over the sensitivity) on a Poisson sample of rate q,
/// as P on the data with the unit: the loss ±1/b has an atom on either side; between them
/// x in (0, 1) gives (1 - 2x)/b, before sampling.
pub(super) fn laplace(scale: f64, q: f64, count: usize) -> Bounds {
    let most = 1.0 / scale;
    let sampled = |loss: f64| {
        if loss < 30.0 {
            (q * loss.exp_m1()).ln_1p()
        } else {
            loss + (q + (1.0 - q) * (-loss).exp()).ln()
        }
    };
    let mix = |with: f64, without: f64| Mass {
        p: (1.0 - q) * without + q * with,
        q: without,
    };
    let points: Vec<f64> = (0..=count)
        .map(|index| index as f64 / count as f64)
        .collect();
    // x falls from 1 to 0 as the loss rises.
    let losses: Vec<f64> = points
        .iter()
        .map(|x| sampled(most * (2.0 * x - 1.0)))
        .collect();
    let mut masses = vec![Mass::default()];
    for ends in points.windows(2) {
        let [a, b] = ends else { continue };
        // x runs from 1 - b to 1 - a; the densities are e^{-x/b}/(2b) and e^{-(1-x)/b}/(2b).
        let share = -(-(b - a) * most).exp_m1();
        masses.push(mix(
            0.5 * (-(1.0 - b) * most).exp() * share,
            0.5 * (-a * most).exp() * share,
        ));
    }
    masses.push(Mass::default());
    let rare = 0.5 * (-most).exp();
    let (lowest, highest) = (mix(rare, 0.5), mix(0.5, rare));
    let with_ends = |bound: Bound| {
        let mut pair = Atoms::collect(bound, &losses, &masses);
        pair.atoms.insert(
            0,
            Atom {
                loss: sampled(-most),
                p: lowest.p,
                q: lowest.q,
            },
        );
        pair.atoms.push(Atom {
            loss: sampled(most),
            p: highest.p,
            q: highest.q,
        });
        pair
    };
    Bounds {
        upper: with_ends(Bound::Upper),
        lower: with_ends(Bound::Lower),
    }
}

/// The discrete Laplace mechanism with P(k) ∝ e^{-a|k|} and an integer `sensitivity` s:
/// losses a s, a (s - 2), …, -a s.
pub(super) fn discrete_laplace(parameter: f64, sensitivity: u32) -> Bounds {
    let s = f64::from(sensitivity);
    let ratio = (-parameter).exp();
    let centre = (1.0 - ratio) / (1.0 + ratio);
    // P(k <= 0), which is also Q(k >= s).
    let half = 1.0 / (1.0 + ratio);
    let atoms = (0..=sensitivity)
        .rev()
        .map(|k| {
            let k = f64::from(k);
            let loss = parameter * (s - 2.0 * k);
            let p = if k == 0.0 {
                half
            } else if k == s {
                half * (-parameter * s).exp()
            } else {
                centre * (-parameter * k).exp()
            };
            Atom {
                loss,
                p,
                q: p * (-loss).exp(),
            }
        })
        .collect();
    Bounds::exact(atoms)
}
