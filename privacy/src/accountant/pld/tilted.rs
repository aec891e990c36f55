//! A privacy-loss law tilted by e^{θL}: its cumulants, its characteristic function, and a
//! proven bound on how fast that falls.
//!
//! The law is represented by the nodes of a trapezoidal rule, whose error is
//! exponentially small (see [`SampledGaussian::step`]): sums over the nodes *are* the
//! moments, to rounding.

use std::f64::consts::PI;

use super::coupling::Coupling;
use super::cumulants::Cumulants;
use super::sampled_gaussian::SampledGaussian;
use super::stretch::{Builder, Stretch};
use super::strip;
use super::turns::{LANES, Turns};

/// A law at the nodes of a quadrature rule, tilted by e^{θL}.
pub(super) struct TiltedLaw {
    law: SampledGaussian,
    theta: f64,
    first: f64,
    step: f64,
    /// L at the nodes, increasing.
    losses: Vec<f64>,
    /// Tilted masses at the nodes; they add up to 1.
    weights: Vec<f64>,
    cumulants: Cumulants,
    /// The largest |ln p| + |θ L| that mattered: what rounding scales with.
    magnitude: f64,
    /// What ending the integral adds to the error, relative to M(θ).
    outside: f64,
}

/// Nodes beyond which nothing is attempted.
const MOST_NODES: f64 = 200_000.0;

/// The least step, in distances between neighbouring floats: a finer one is lost in the rounding of its nodes,
/// and where it is lost altogether, the nodes never come to an end.
const LEAST_STEP: f64 = 1024.0;

/// What ending an integral may add, relative to M(θ), without being counted.
const CLOSE: f64 = 1e-15;

/// Cells of less mass aren't paired.
const LEAST_PAIRED: f64 = 1e-9;

/// Masses below this, relative to the largest, are dropped.
const NEGLIGIBLE: f64 = 1e-22;

impl TiltedLaw {
    /// `law` tilted by `theta` > 0, with nodes that serve frequencies up to `frequency`.
    /// None where that would take too many.
    pub(super) fn new(law: SampledGaussian, theta: f64, frequency: f64) -> Option<Self> {
        Self::with_step(law, theta, law.step(theta, frequency), frequency)
    }

    /// The law on a grid that follows its density closely, for the bounds on its decay.
    /// `parts` cells of it are as long as the density's narrowest feature.
    pub(super) fn finely(law: SampledGaussian, theta: f64, parts: f64) -> Option<Self> {
        let narrowest = 1.0 / (parts * law.concavity(theta).sqrt());
        let smooth = 0.3 / law.convexity(theta).sqrt();
        let step = law.step(theta, 0.0).min(narrowest).min(smooth);
        Self::with_step(law, theta, step, 0.0).filter(Self::is_close)
    }

    fn with_step(law: SampledGaussian, theta: f64, step: f64, frequency: f64) -> Option<Self> {
        let (low, high) = law.range(theta);
        if !law.ends() {
            return Self::on_grid(law, theta, step, (low, high));
        }
        // What is integrated ends half a step beyond the nodes at either end.
        let low = high - ((high - low) / step).ceil() * step;
        let mut tilted = Self::on_grid(law, theta, step, (low + step / 2.0, high))?;
        let ln_moment = tilted.cumulants.log_moment;
        tilted.outside = strip::outside(&law, theta, frequency, (low, high), step, ln_moment);
        Some(tilted)
    }

    fn on_grid(
        law: SampledGaussian,
        theta: f64,
        step: f64,
        (low, high): (f64, f64),
    ) -> Option<Self> {
        let count = (high - low) / step;
        let resolution = low.abs().max(high.abs()) * f64::EPSILON;
        let fits = count < MOST_NODES && step > LEAST_STEP * resolution;
        if !fits {
            return None;
        }
        let mut losses = Vec::with_capacity(count as usize + 2);
        let mut logs = Vec::with_capacity(count as usize + 2);
        let (mut largest, mut largest_part) = (f64::NEG_INFINITY, 0.0);
        let mut index = 0.0;
        while low + index * step <= high {
            let x = low + index * step;
            let loss = law.loss(x);
            let ln_density = law.ln_density(x, loss);
            let log = ln_density + theta * loss;
            if log > largest {
                largest = log;
                largest_part = ln_density.abs() + (theta * loss).abs();
            }
            losses.push(loss);
            logs.push(log);
            index += 1.0;
            // Between far clusters hardly a node matters. Those that surely don't are left out unseen.
            let below = largest + 2.0 * NEGLIGIBLE.ln() - log;
            if below > 0.0 {
                let last = ((high - low) / step).ceil();
                let skipped = (below / law.steepest(theta, x) / step).floor();
                let next = if skipped >= 0.0 {
                    index + skipped
                } else {
                    last
                }
                .min(last);
                while index < next {
                    losses.push(loss);
                    logs.push(f64::NEG_INFINITY);
                    index += 1.0;
                }
            }
        }
        let threshold = largest + NEGLIGIBLE.ln();
        let start = logs.iter().position(|&log| log >= threshold)?;
        let end = logs.iter().rposition(|&log| log >= threshold)? + 1;
        losses.truncate(end);
        losses.drain(..start);
        let mut weights: Vec<f64> = logs
            .get(start..end)?
            .iter()
            .map(|log| {
                let log = log - largest;
                // Far below what matters exponentials take long.
                if log > 2.0 * NEGLIGIBLE.ln() {
                    log.exp()
                } else {
                    0.0
                }
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        for weight in &mut weights {
            *weight /= sum;
        }
        let mean = dot(&weights, &losses);
        let variance = weights
            .iter()
            .zip(&losses)
            .map(|(w, l)| w * (l - mean) * (l - mean))
            .sum();
        let log_moment = largest + (sum * step / (law.sigma * (2.0 * PI).sqrt())).ln();
        Some(Self {
            law,
            theta,
            first: low + start as f64 * step,
            step,
            losses,
            weights,
            cumulants: Cumulants {
                log_moment,
                mean,
                variance,
            },
            magnitude: largest_part,
            outside: 0.0,
        })
    }

    pub(super) fn cumulants(&self) -> Cumulants {
        self.cumulants
    }

    /// Whether ending the integrals adds no more to the error than rounding does.
    pub(super) fn is_close(&self) -> bool {
        self.outside < CLOSE
    }

    /// How many nodes matter.
    pub(super) fn nodes(&self) -> usize {
        self.relevant_lanes().len() * LANES
    }

    /// Runs of nodes that aren't all next to nothing, by their numbers. Between far clusters nothing matters.
    fn relevant_lanes(&self) -> Vec<usize> {
        let lanes = self.weights.chunks(LANES).enumerate();
        let relevant = lanes.filter(|(_, weights)| weights.iter().any(|w| *w > NEGLIGIBLE));
        relevant.map(|(lane, _)| lane).collect()
    }

    /// A bound on the error of the characteristic function at frequencies up to
    /// `frequency`, and of M(θ) relative to itself: quadrature, truncation and rounding
    /// (privacy/proofs/contour.md, "Errors").
    pub(super) fn error(&self, frequency: f64) -> f64 {
        let spread = self
            .losses
            .first()
            .zip(self.losses.last())
            .map_or(0.0, |(low, high)| high - low);
        let roundings = 16.0
            + 4.0 * self.magnitude
            + 4.0 * frequency * self.cumulants.variance.sqrt().min(spread)
            + (self.losses.len() as f64).sqrt()
            + 64.0;
        1e-17 + roundings * f64::EPSILON + self.losses.len() as f64 * NEGLIGIBLE + self.outside
    }

    /// The centred characteristic function E(e^{iu(L - mean)}) at u = k `spacing`,
    /// k = 1..=`count`, as (re, im).
    pub(super) fn characteristic(&self, spacing: f64, count: usize) -> Vec<(f64, f64)> {
        // Padded with points of no weight, so that all are whole lanes.
        let lanes = self.relevant_lanes();
        let lay_out = |value: &dyn Fn(usize) -> f64| -> Vec<[f64; LANES]> {
            let lane = |lane: &usize| std::array::from_fn(|i| value(lane * LANES + i));
            lanes.iter().map(lane).collect()
        };
        let mean = self.cumulants.mean;
        let centred = lay_out(&|i| self.losses.get(i).map_or(0.0, |loss| loss - mean));
        let weights = lay_out(&|i| self.weights.get(i).copied().unwrap_or(0.0));
        let turn: Vec<Turns> = centred.iter().map(|x| Turns::of(spacing, x)).collect();
        let mut state: Vec<Turns> = Vec::new();
        let mut values = Vec::with_capacity(count);
        for k in 1..=count {
            if k % 16 == 1 {
                // Repeated multiplication gathers rounding: start afresh now and then.
                let u = k as f64 * spacing;
                let weighted = centred.iter().zip(&weights);
                state = weighted
                    .map(|(losses, weights)| Turns::of(u, losses).times(weights))
                    .collect();
            } else {
                for (state, turn) in state.iter_mut().zip(&turn) {
                    state.turn(turn);
                }
            }
            values.push(Turns::sum(&state));
        }
        values
    }

    /// A proven upper bound on |E(e^{iuL})| for every u in [`low`, `high`], by pairing
    /// points x and x + d (privacy/proofs/contour.md, "Decay"):
    /// |φ(u)| <= 1 - ∫_A 2 (1 - |cos(u D(x)/2)|) min(w(x), w(x+d)) dx, D(x) = L(x+d) - L(x),
    /// over a set A that is disjoint from A + d.
    pub(super) fn bound_between(&self, low: f64, high: f64) -> f64 {
        let slack = (-self.law.convexity(self.theta) * self.step * self.step / 8.0).exp();
        let overlap = [16, 40]
            .map(|most| self.paired(most, low, high))
            .into_iter()
            .fold(0.0, f64::max);
        (1.0 - slack * overlap).clamp(0.0, 1.0)
    }

    /// The law in blocks, for pairs of outcomes far apart.
    pub(super) fn coupling(&self) -> Coupling {
        let slack = (-self.law.convexity(self.theta) * self.step * self.step / 8.0).exp();
        let cells = self.losses.windows(2).zip(self.weights.windows(2));
        Coupling::new(
            cells.filter_map(|(losses, weights)| match (losses, weights) {
                ([low, high], [w0, w1]) => Some((*low, *high, slack * w0.min(*w1))),
                _ => None,
            }),
        )
    }

    /// Σ 2 (1 - max |cos|) · (least tilted mass of the four corners) over cells that are
    /// each paired with one further on: by as many cells as make about half a turn there,
    /// and at most `most`.
    fn paired(&self, most: usize, low: f64, high: f64) -> f64 {
        let half_turn = PI / (low * high).sqrt();
        let cell = |index: usize| {
            let ends = index..=index + 1;
            match (self.losses.get(ends.clone()), self.weights.get(ends)) {
                (Some(&[l0, l1]), Some(&[w0, w1])) => Some((l0, l1, w0.min(w1))),
                _ => None,
            }
        };
        let mut overlap = 0.0;
        let mut start = 0;
        while let Some((l0, l1, here)) = cell(start) {
            if here <= LEAST_PAIRED {
                start += 1;
                continue;
            }
            let shift = (half_turn / (l1 - l0)).clamp(2.0, most as f64) as usize;
            for index in start..start + shift {
                let (Some((l0, l1, here)), Some((l2, l3, there))) =
                    (cell(index), cell(index + shift))
                else {
                    break;
                };
                let mass = here.min(there);
                // D lies between L(x+d) - L(x+step) and L(x+d+step) - L(x).
                let (least, most) = (low * (l2 - l1) / 2.0, high * (l3 - l0) / 2.0);
                if mass > LEAST_PAIRED && most < PI {
                    let worst = least.cos().abs().max(most.cos().abs());
                    overlap += 2.0 * (1.0 - worst) * mass;
                }
            }
            start += 2 * shift;
        }
        overlap
    }

    /// Stretches of x, disjoint, on each of which the slope of L stays within a factor of
    /// two: what they say about high frequencies.
    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let slopes: Vec<f64> = (0..self.losses.len())
            .map(|index| {
                let weight = self.weights.get(index).copied().unwrap_or(0.0);
                if weight > 0.0 {
                    self.law.slope(self.first + index as f64 * self.step)
                } else {
                    0.0
                }
            })
            .collect();
        let wiggle = self.law.slope_between_nodes(self.step);
        let dip = (-self.law.convexity(self.theta) * self.step * self.step / 8.0).exp();
        let bulge = (self.law.concavity(self.theta) * self.step * self.step / 8.0).exp();
        let mut found = Vec::new();
        let mut current: Option<Builder> = None;
        for (weights, slopes) in self.weights.windows(2).zip(slopes.windows(2)) {
            let ([w0, w1], [s0, s1]) = (weights, slopes) else {
                continue;
            };
            if *w0 == 0.0 || *w1 == 0.0 {
                found.extend(current.take().map(|stretch| stretch.finish(self.step)));
                continue;
            }
            let (least, most) = (s0.min(*s1) / wiggle, s0.max(*s1) * wiggle);
            let fits = current
                .as_ref()
                .is_some_and(|stretch| stretch.admits(least, most));
            if !fits {
                found.extend(current.take().map(|stretch| stretch.finish(self.step)));
            }
            let stretch = current.get_or_insert_with(|| Builder::new(least, most));
            stretch.add(least, most, w0.min(*w1), w0.max(*w1), dip, bulge);
        }
        found.extend(current.map(|stretch| stretch.finish(self.step)));
        found
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
