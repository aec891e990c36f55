//! The privacy losses that are known.

use super::closed::Closed;
use super::composition::Components;
use super::cumulants::Cumulants;
use super::grid::Component;
use super::sampled_gaussian::{SampledGaussian, Side};
use super::tilted::TiltedLaw;

/// The privacy loss of one mechanism, in clipping norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::accountant) enum Loss {
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

impl Loss {
    /// Its parts on the contour; None where they aren't Gaussian.
    pub(super) fn components(self, side: Side) -> Option<Components> {
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
    pub(super) fn closed(self) -> Option<Closed> {
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
    pub(super) fn parts(self, side: Side) -> Vec<(f64, Component)> {
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
    pub(super) fn cumulants(self, side: Side, theta: f64) -> Option<Cumulants> {
        if let Some(closed) = self.closed() {
            return Some(closed.cumulants(theta));
        }
        cumulants_of(&self.components(side)?, theta)
    }

    /// The largest loss of P's side.
    pub(super) fn largest_loss(self, side: Side) -> f64 {
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

impl Loss {
    /// An upper bound on the total variation distance of P and Q.
    pub(super) fn variation(self, side: Side) -> f64 {
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
pub(super) fn sampled(q: f64, sigma: f64, side: Side) -> Component {
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
