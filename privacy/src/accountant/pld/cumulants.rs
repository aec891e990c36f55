//! Cumulants of losses, which add up over independent ones.

/// What one mechanism contributes to the cumulant function K(θ) = ln E(e^{θL}).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cumulants {
    /// K(θ).
    pub(super) log_moment: f64,
    /// K'(θ), the mean of the tilted loss.
    pub(super) mean: f64,
    /// K''(θ), its variance.
    pub(super) variance: f64,
}

impl Cumulants {
    /// Of a discrete law tilted by e^{θL}, as (loss, ln of mass × e^{θ loss}).
    pub(super) fn of(points: &[(f64, f64)]) -> Self {
        let largest = points
            .iter()
            .fold(f64::NEG_INFINITY, |most, (_, ln)| most.max(*ln));
        let weights = || points.iter().map(|(loss, ln)| (loss, (ln - largest).exp()));
        let sum: f64 = weights().map(|(_, weight)| weight).sum();
        let mean = weights().map(|(loss, weight)| weight * loss).sum::<f64>() / sum;
        let squares: f64 = weights()
            .map(|(loss, weight)| weight * (loss - mean) * (loss - mean))
            .sum();
        Self {
            log_moment: largest + sum.ln(),
            mean,
            variance: squares / sum,
        }
    }

    /// Of the loss of an unsampled Gaussian of this μ².
    pub(super) fn of_gaussian(mu_squared: f64, theta: f64) -> Self {
        Self {
            log_moment: mu_squared / 2.0 * theta * (theta + 1.0),
            mean: mu_squared * (theta + 0.5),
            variance: mu_squared,
        }
    }

    /// Adds `count` independent losses of cumulants `other`.
    pub(super) fn add(&mut self, other: Self, count: f64) {
        self.log_moment += count * other.log_moment;
        self.mean += count * other.mean;
        self.variance += count * other.variance;
    }
}
