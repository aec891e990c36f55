//! Everything that was composed, as seen from one side.

use super::Interval;
use super::composition::Parts;
use super::cumulants::Cumulants;
use super::grid::Run;
use super::loss::{Loss, sampled};
use super::sampled_gaussian::Side;

/// Everything that is composed, seen from one side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Total {
    pub(super) side: Side,
    /// μ² of all unsampled Gaussians together.
    pub(super) mu_squared: f64,
    pub(super) runs: Vec<(Loss, u64)>,
}

impl Total {
    /// Cumulants of the total loss; None where they are out of reach.
    pub(super) fn cumulants(&self, theta: f64) -> Option<Cumulants> {
        let mut total = Cumulants::of_gaussian(self.mu_squared, theta);
        for &(loss, count) in &self.runs {
            total.add(loss.cumulants(self.side, theta)?, count as f64);
        }
        (total.log_moment.is_finite() && total.mean.is_finite()).then_some(total)
    }

    /// Everything as what the contour knows, with counts; None where there is something else.
    pub(super) fn laws(&self) -> Option<Parts> {
        let mut parts = Parts::default();
        for &(loss, count) in &self.runs {
            let times = count as f64;
            match loss.closed() {
                Some(closed) => parts.closed.push((closed, times)),
                None => parts.laws.push((loss.components(self.side)?, times)),
            }
        }
        Some(parts)
    }

    /// An upper bound on δ(0), the total variation distance, which adds up at most.
    pub(super) fn variation(&self) -> f64 {
        let gaussian = libm::erf(self.mu_squared.sqrt() / (2.0 * std::f64::consts::SQRT_2));
        let runs = self.runs.iter();
        let others = runs.map(|&(loss, count)| count as f64 * loss.variation(self.side));
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
        let tops = tops.map(|(loss, count)| Some(loss.closed()?.ln_top() * *count as f64));
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
        let others = runs.map(|&(loss, count)| (loss.parts(self.side), count));
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
            .map(|&(loss, count)| count as f64 * loss.largest_loss(self.side))
            .sum::<f64>()
            + gaussian
    }
}
