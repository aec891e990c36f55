//! The mechanisms that privacy-loss distributions are known for, and all of them together.

use super::Interval;
use super::closed::Closed;
use super::composition::{Components, Parts};
use super::cumulants::Cumulants;
use super::grid::{Component, Run};
use super::sampled_gaussian::{SampledGaussian, Side};
use super::tilted::TiltedLaw;

/// One mechanism, in clipping norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mechanism {
    /// Poisson-sampled Gaussian, 0 < q < 1.
    Sampled { q: f64, sigma: f64 },
    /// The same with batches cut to a largest size: with probability `share` a batch is
    /// cut, and then one unit may push out another, each drawn with probability
    /// `q_when_cut`.
    Truncated {
        q: f64,
        sigma: f64,
        share: f64,
        q_when_cut: f64,
    },
    /// Laplace noise of a scale over the sensitivity, on a Poisson sample.
    Laplace { q: f64, scale: f64 },
    /// Discrete Laplace noise P(k) ∝ e^{-parameter |k|} for an integer sensitivity.
    DiscreteLaplace { parameter: f64, sensitivity: u64 },
}

impl Mechanism {
    /// Its parts on the contour; None where they aren't Gaussian.
    fn components(self, side: Side) -> Option<Components> {
        let whole = |q: f64, sigma: f64| SampledGaussian {
            q,
            sigma,
            side,
            cut: None,
        };
        match self {
            Self::Sampled { q, sigma } => Some(vec![(1.0, whole(q, sigma))]),
            Self::Truncated {
                q,
                sigma,
                share,
                q_when_cut,
            } => Some(vec![
                (1.0 - share, whole(q, sigma)),
                (share, cut(sigma, q_when_cut)),
            ]),
            Self::Laplace { .. } | Self::DiscreteLaplace { .. } => None,
        }
    }

    /// Its closed form; None where it has none.
    fn closed(self) -> Option<Closed> {
        match self {
            Self::Laplace { q: 1.0, scale } => Some(Closed::Laplace {
                lambda: 1.0 / scale,
            }),
            Self::DiscreteLaplace {
                parameter,
                sensitivity,
            } => Some(Closed::Discrete {
                parameter,
                sensitivity: sensitivity as f64,
            }),
            _ => None,
        }
    }

    /// Its parts on a grid.
    fn parts(self, side: Side) -> Vec<(f64, Component)> {
        match self {
            Self::Sampled { q, sigma } => vec![(1.0, sampled(q, sigma, side))],
            Self::Truncated {
                q,
                sigma,
                share,
                q_when_cut,
            } => {
                let cut = Component::Replaced {
                    q: q_when_cut,
                    sigma: sigma / 2.0,
                };
                vec![(1.0 - share, sampled(q, sigma, side)), (share, cut)]
            }
            Self::Laplace { q, scale } if side == Side::Add => {
                vec![(1.0, Component::LaplaceWithout { q, scale })]
            }
            Self::Laplace { q, scale } => vec![(1.0, Component::Laplace { q, scale })],
            Self::DiscreteLaplace {
                parameter,
                sensitivity,
            } => vec![(
                1.0,
                Component::DiscreteLaplace {
                    parameter,
                    sensitivity,
                },
            )],
        }
    }

    /// Cumulants of the loss of P's side at θ.
    fn cumulants(self, side: Side, theta: f64) -> Option<Cumulants> {
        if let Some(closed) = self.closed() {
            return Some(closed.cumulants(theta));
        }
        cumulants_of(&self.components(side)?, theta)
    }

    /// The largest loss of P's side.
    fn largest_loss(self, side: Side) -> f64 {
        match (self, side) {
            (Self::Sampled { q, .. }, Side::Add) => -(-q).ln_1p(),
            (Self::Laplace { q, scale }, Side::Add) => -(q * (-1.0 / scale).exp_m1()).ln_1p(),
            (Self::Laplace { scale, .. }, _) => 1.0 / scale,
            (
                Self::DiscreteLaplace {
                    parameter,
                    sensitivity,
                },
                _,
            ) => parameter * sensitivity as f64,
            (Self::Sampled { .. } | Self::Truncated { .. }, _) => f64::INFINITY,
        }
    }
}

impl Mechanism {
    /// An upper bound on the total variation distance of P and Q.
    fn variation(self, side: Side) -> f64 {
        // That of N(0, σ²) and N(μ, σ²): 2 Φ(μ/(2σ)) - 1.
        let gaussian = |mu: f64| libm::erf(mu / (2.0 * std::f64::consts::SQRT_2));
        let sensitivity = if side == Side::Replace { 2.0 } else { 1.0 };
        match self {
            // Sampling mixes either with the same third distribution.
            Self::Sampled { q, sigma } => q * gaussian(sensitivity / sigma),
            Self::Truncated {
                q,
                sigma,
                share,
                q_when_cut,
            } => {
                let whole = q * gaussian(sensitivity / sigma);
                (1.0 - share) * whole + share * q_when_cut * gaussian(4.0 / sigma)
            }
            Self::Laplace { q, scale } => -q * (-0.5 / scale).exp_m1(),
            Self::DiscreteLaplace {
                parameter,
                sensitivity,
            } => {
                // That of the sum of as many steps as the sensitivity has is at least that of the whole.
                let one = -(-parameter).exp_m1() / (1.0 + (-parameter).exp());
                sensitivity as f64 * one
            }
        }
    }
}

/// A Gaussian on a sample, from one side; q may be 1.
fn sampled(q: f64, sigma: f64, side: Side) -> Component {
    match side {
        Side::Remove => Component::Gaussian { q, sigma },
        Side::Add => Component::GaussianWithout { q, sigma },
        Side::Replace => Component::Replaced { q, sigma },
    }
}

/// What is seen of a cut batch: one unit for another, at twice the sensitivity.
fn cut(sigma: f64, q_when_cut: f64) -> SampledGaussian {
    SampledGaussian {
        q: q_when_cut,
        sigma: sigma / 2.0,
        side: Side::Replace,
        cut: None,
    }
}

/// Cumulants of a mixture of sampled Gaussians at θ, which are estimates only where a law was cut, and else as close as
/// quadrature is.
pub(super) fn cumulants_of(components: &Components, theta: f64) -> Option<Cumulants> {
    let tilted = |law: SampledGaussian| {
        let tilted = TiltedLaw::new(law, theta, 0.0)?;
        (tilted.is_close() || law.cut.is_some()).then_some(tilted.cumulants())
    };
    match components.as_slice() {
        [(_, law)] => tilted(*law),
        [(_, whole), (share, cut)] => Some(mixture(tilted(*whole)?, tilted(*cut)?, *share)),
        _ => None,
    }
}

fn mixture(one: Cumulants, other: Cumulants, share: f64) -> Cumulants {
    let largest = one.log_moment.max(other.log_moment);
    let a = (1.0 - share) * (one.log_moment - largest).exp();
    let b = share * (other.log_moment - largest).exp();
    let part = b / (a + b);
    let mean = one.mean + part * (other.mean - one.mean);
    let between = part * (1.0 - part) * (one.mean - other.mean) * (one.mean - other.mean);
    Cumulants {
        log_moment: largest + (a + b).ln(),
        mean,
        variance: (1.0 - part) * one.variance + part * other.variance + between,
    }
}

/// Everything that is composed, seen from one side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Total {
    pub(super) side: Side,
    /// μ² of all unsampled Gaussians together.
    pub(super) mu_squared: f64,
    pub(super) runs: Vec<(Mechanism, u64)>,
}

impl Total {
    /// Cumulants of the total loss; None where they are out of reach.
    pub(super) fn cumulants(&self, theta: f64) -> Option<Cumulants> {
        let mut total = Cumulants::of_gaussian(self.mu_squared, theta);
        for &(mechanism, count) in &self.runs {
            total.add(mechanism.cumulants(self.side, theta)?, count as f64);
        }
        (total.log_moment.is_finite() && total.mean.is_finite()).then_some(total)
    }

    /// Everything as what the contour knows, with counts; None where there is something else.
    pub(super) fn laws(&self) -> Option<Parts> {
        let mut parts = Parts::default();
        for &(mechanism, count) in &self.runs {
            let times = count as f64;
            match mechanism.closed() {
                Some(closed) => parts.closed.push((closed, times)),
                None => parts.laws.push((mechanism.components(self.side)?, times)),
            }
        }
        Some(parts)
    }

    /// An upper bound on δ(0), the total variation distance, which adds up at most.
    pub(super) fn variation(&self) -> f64 {
        let gaussian = libm::erf(self.mu_squared.sqrt() / (2.0 * std::f64::consts::SQRT_2));
        let runs = self.runs.iter();
        let others = runs.map(|&(mechanism, count)| count as f64 * mechanism.variation(self.side));
        // Raised by more than rounding takes.
        (gaussian + others.sum::<f64>()) * (1.0 + 1e-9)
    }

    /// An interval by the outcome that has the largest loss of all, where every mechanism has such a one.
    pub(super) fn by_largest_loss(&self, ln_delta: f64) -> Interval {
        let most = self.largest_loss();
        let ln_top = self.ln_top();
        let lower = match ln_top {
            // δ(ε) is at least what this outcome has: P (1 - e^{ε - ℓ}).
            Some(ln_top) if self.mu_squared == 0.0 && ln_top > ln_delta => {
                (most + (-(ln_delta - ln_top).exp()).ln_1p()) * (1.0 - 1e-12)
            }
            _ => 0.0,
        };
        Interval::between(lower, most * (1.0 + 1e-12))
    }

    /// ln of the probability that every loss is the largest, rounded down; None where a mechanism isn't known to have
    /// such a one.
    pub(super) fn ln_top(&self) -> Option<f64> {
        let tops = self.runs.iter();
        let tops =
            tops.map(|(mechanism, count)| Some(mechanism.closed()?.ln_top() * *count as f64));
        // Lowered by more than rounding takes.
        let ln_top = tops.sum::<Option<f64>>()?;
        Some(ln_top * (1.0 + 1e-12) - 1e-12)
    }

    /// The mechanisms of which the probability of the largest loss is known, and the others.
    pub(super) fn bounded(&self) -> (Self, Self) {
        let part = |bounded: bool| Self {
            side: self.side,
            mu_squared: if bounded { 0.0 } else { self.mu_squared },
            runs: self
                .runs
                .iter()
                .filter(|(m, _)| m.closed().is_some() == bounded)
                .copied()
                .collect(),
        };
        (part(true), part(false))
    }

    /// Each mechanism by itself, the unsampled Gaussians as one.
    pub(super) fn mechanisms(&self) -> Vec<Self> {
        let gaussian = (self.mu_squared > 0.0).then(|| Self {
            runs: Vec::new(),
            ..self.clone()
        });
        let others = self.runs.iter().map(|run| Self {
            mu_squared: 0.0,
            runs: vec![*run],
            side: self.side,
        });
        gaussian.into_iter().chain(others).collect()
    }

    /// All but the one that has this place among [`Self::mechanisms`].
    pub(super) fn without(&self, place: usize) -> Self {
        let gaussians = usize::from(self.mu_squared > 0.0);
        let mut rest = self.clone();
        match place.checked_sub(gaussians) {
            Some(run) if run < rest.runs.len() => {
                rest.runs.remove(run);
            }
            Some(_) => {}
            None => rest.mu_squared = 0.0,
        }
        rest
    }

    /// How many mechanisms ran, but for unsampled Gaussians.
    pub(super) fn count(&self) -> f64 {
        self.runs.iter().map(|(_, count)| *count as f64).sum()
    }

    /// Everything as runs on a grid; all unsampled Gaussians are one.
    pub(super) fn on_grid(&self) -> Vec<Run> {
        let gaussian = (self.mu_squared > 0.0).then(|| {
            // Unsampled, a replaced unit is one of twice the sensitivity, which μ has already.
            let side = if self.side == Side::Add {
                Side::Add
            } else {
                Side::Remove
            };
            let sigma = self.mu_squared.sqrt().recip();
            (vec![(1.0, sampled(1.0, sigma, side))], 1)
        });
        let runs = self.runs.iter();
        let others = runs.map(|&(mechanism, count)| (mechanism.parts(self.side), count));
        gaussian.into_iter().chain(others).collect()
    }

    /// The largest loss that can occur, which no epsilon exceeds.
    pub(super) fn largest_loss(&self) -> f64 {
        let gaussian = if self.mu_squared > 0.0 {
            f64::INFINITY
        } else {
            0.0
        };
        self.runs
            .iter()
            .map(|&(mechanism, count)| count as f64 * mechanism.largest_loss(self.side))
            .sum::<f64>()
            + gaussian
    }
}
