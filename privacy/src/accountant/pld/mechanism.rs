//! The mechanisms that privacy-loss distributions are known for, and all of them together.

use super::cells::Weighting;
use super::contour::Components;
use super::discretise::{self, Bounds};
use super::sampled_gaussian::{SampledGaussian, Side};
use super::tilted::{Cumulants, TiltedLaw};

/// How a pair is cut into cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells<'a> {
    /// What they are chosen by.
    pub(super) weighting: &'a Weighting,
    /// The tilt under which they must cover everything.
    pub(super) theta: f64,
    /// How many standard deviations out they end.
    pub(super) reach: f64,
    /// About how many.
    pub(super) count: usize,
}

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
    DiscreteLaplace { parameter: f64, sensitivity: u32 },
}

/// Cells of a Laplace mechanism where only its cumulants are wanted.
const SKETCH: usize = 400;

impl Mechanism {
    /// Cumulants of the loss of P's side at θ; of Gaussians only what lies within `reach`
    /// standard deviations, if that is given.
    fn cumulants(self, side: Side, theta: f64, reach: Option<f64>) -> Option<Cumulants> {
        let tilted = |law: SampledGaussian| match reach {
            Some(reach) => TiltedLaw::within(law, theta, reach),
            None => TiltedLaw::new(law, theta, 0.0),
        };
        match self {
            Self::Sampled { q, sigma } => {
                let law = SampledGaussian { q, sigma, side };
                Some(tilted(law)?.cumulants())
            }
            Self::Truncated {
                q,
                sigma,
                share,
                q_when_cut,
            } => {
                let whole = tilted(SampledGaussian { q, sigma, side })?;
                let cut = tilted(cut(sigma, q_when_cut))?;
                Some(mixture(whole.cumulants(), cut.cumulants(), share))
            }
            Self::Laplace { .. } | Self::DiscreteLaplace { .. } => {
                let atoms = self
                    .pair(
                        side,
                        Cells {
                            weighting: &Weighting::Tilted(theta),
                            theta,
                            reach: 0.0,
                            count: SKETCH,
                        },
                    )
                    .upper
                    .atoms;
                let points = atoms.iter().map(|a| (a.loss, a.p.ln() + theta * a.loss));
                Some(Cumulants::of(&points.collect::<Vec<_>>()))
            }
        }
    }

    /// The pair in cells.
    pub(super) fn pair(self, side: Side, cells: Cells<'_>) -> Bounds {
        let gaussian =
            |law| discretise::gaussian(law, cells.weighting, cells.theta, cells.reach, cells.count);
        match self {
            Self::Sampled { q, sigma } => gaussian(SampledGaussian { q, sigma, side }),
            Self::Truncated {
                q,
                sigma,
                share,
                q_when_cut,
            } => {
                let whole = SampledGaussian { q, sigma, side };
                gaussian(whole).or(gaussian(cut(sigma, q_when_cut)), share)
            }
            Self::Laplace { q, scale } => {
                let pair = discretise::laplace(scale, q, cells.count);
                if side == Side::Add {
                    pair.swapped()
                } else {
                    pair
                }
            }
            Self::DiscreteLaplace {
                parameter,
                sensitivity,
            } => discretise::discrete_laplace(parameter, sensitivity),
        }
    }

    /// The largest loss of P's side.
    fn largest_loss(self, side: Side) -> f64 {
        match (self, side) {
            (Self::Sampled { q, .. }, Side::Add) => -(-q).ln_1p(),
            (Self::Laplace { q, scale }, Side::Add) => -(q * (-1.0 / scale).exp_m1()).ln_1p(),
            (Self::Laplace { q, scale }, _) => (q * (1.0 / scale).exp_m1()).ln_1p(),
            (
                Self::DiscreteLaplace {
                    parameter,
                    sensitivity,
                },
                _,
            ) => parameter * f64::from(sensitivity),
            (Self::Sampled { .. } | Self::Truncated { .. }, _) => f64::INFINITY,
        }
    }
}

/// What is seen of a cut batch: one unit for another, at twice the sensitivity.
fn cut(sigma: f64, q_when_cut: f64) -> SampledGaussian {
    SampledGaussian {
        q: q_when_cut,
        sigma: sigma / 2.0,
        side: Side::Replace,
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
#[derive(Clone, Debug)]
pub(super) struct Total {
    pub(super) side: Side,
    /// μ² of all unsampled Gaussians together.
    pub(super) mu_squared: f64,
    pub(super) runs: Vec<(Mechanism, u64)>,
}

impl Total {
    /// Cumulants of the total loss; None where they are out of reach.
    pub(super) fn cumulants(&self, theta: f64) -> Option<Cumulants> {
        self.cumulants_within(theta, None)
    }

    /// The same of what lies within `reach` standard deviations, if that is given.
    pub(super) fn cumulants_within(&self, theta: f64, reach: Option<f64>) -> Option<Cumulants> {
        let mut total = Cumulants {
            log_moment: self.mu_squared / 2.0 * theta * (theta + 1.0),
            mean: self.mu_squared * (theta + 0.5),
            variance: self.mu_squared,
        };
        for &(mechanism, count) in &self.runs {
            total.add(mechanism.cumulants(self.side, theta, reach)?, count as f64);
        }
        (total.log_moment.is_finite() && total.mean.is_finite()).then_some(total)
    }

    /// The laws and their counts, where all of them are (mixtures of) sampled Gaussians.
    pub(super) fn laws(&self) -> Option<Vec<(Components, f64)>> {
        let side = self.side;
        self.runs
            .iter()
            .map(|&(mechanism, count)| match mechanism {
                Mechanism::Sampled { q, sigma } => {
                    let whole = SampledGaussian { q, sigma, side };
                    Some((vec![(1.0, whole)], count as f64))
                }
                Mechanism::Truncated {
                    q,
                    sigma,
                    share,
                    q_when_cut,
                } => {
                    let whole = SampledGaussian { q, sigma, side };
                    let components = vec![(1.0 - share, whole), (share, cut(sigma, q_when_cut))];
                    Some((components, count as f64))
                }
                Mechanism::Laplace { .. } | Mechanism::DiscreteLaplace { .. } => None,
            })
            .collect()
    }

    /// A pair for each mechanism, and its count; that of all Gaussians first.
    pub(super) fn pairs(&self, cells: Cells<'_>) -> impl Iterator<Item = (Bounds, u64)> {
        let gaussian = (self.mu_squared > 0.0).then(|| {
            let sigma = self.mu_squared.sqrt().recip();
            let side = if self.side == Side::Add {
                Side::Add
            } else {
                Side::Remove
            };
            let law = SampledGaussian {
                q: 1.0,
                sigma,
                side,
            };
            (
                discretise::gaussian(law, cells.weighting, cells.theta, cells.reach, cells.count),
                1,
            )
        });
        let others = self
            .runs
            .iter()
            .map(move |&(mechanism, count)| (mechanism.pair(self.side, cells), count));
        gaussian.into_iter().chain(others)
    }

    /// Standard deviations beyond which, over all runs, P has less than a billionth of δ.
    pub(super) fn reach(&self, ln_delta: f64) -> f64 {
        let runs: f64 = 1.0
            + self
                .runs
                .iter()
                .map(|(_, count)| *count as f64)
                .sum::<f64>();
        // P(N > z) <= exp(-z²/2).
        (2.0 * (runs.ln() - ln_delta + 1e9f64.ln())).sqrt()
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
