//! Mechanisms whose loss has a moment generating function in closed form: Laplace noise,
//! continuous and discrete. Their losses are the same from either side.

use super::cumulants::Cumulants;

/// One run of such a mechanism.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Closed {
    /// Laplace noise; λ is the sensitivity over the scale.
    Laplace { lambda: f64 },
    /// P(k) ∝ e^{-parameter |k|} for a whole-number sensitivity.
    Discrete { parameter: f64, sensitivity: f64 },
}

/// A complex number.
type Complex = (f64, f64);

fn times((a, b): Complex, (c, d): Complex) -> Complex {
    (a * c - b * d, a * d + b * c)
}

fn over(a: Complex, (c, d): Complex) -> Complex {
    let (re, im) = times(a, (c, -d));
    let size = c * c + d * d;
    (re / size, im / size)
}

/// e^{`ln` + i `angle`}.
fn turned(ln: f64, angle: f64) -> Complex {
    let size = ln.exp();
    (size * angle.cos(), size * angle.sin())
}

impl Closed {
    /// The largest loss.
    pub(super) fn largest_loss(self) -> f64 {
        match self {
            Self::Laplace { lambda } => lambda,
            Self::Discrete {
                parameter,
                sensitivity,
            } => parameter * sensitivity,
        }
    }

    /// ln of the probability of the largest loss.
    pub(super) fn ln_top(self) -> f64 {
        match self {
            Self::Laplace { .. } => 0.5f64.ln(),
            Self::Discrete { parameter, .. } => -(-parameter).exp().ln_1p(),
        }
    }

    /// E(e^{zL}) e^{-θ ℓ} at z = θ + iu, ℓ being the largest loss.
    ///
    /// Laplace (Mironov 2017, Proposition 6, at α = z + 1):
    /// ((z+1) e^{λz} + z e^{-λ(1+z)}) / (2z + 1). Discrete: the two tails, and a geometric sum with ratio
    /// e^{-a(1+2z)} between them.
    fn moment(self, theta: f64, u: f64) -> Complex {
        match self {
            Self::Laplace { lambda } => {
                let up = times((theta + 1.0, u), turned(0.0, lambda * u));
                let down = times(
                    (theta, u),
                    turned(-lambda * (1.0 + 2.0 * theta), -lambda * u),
                );
                over((up.0 + down.0, up.1 + down.1), (2.0 * theta + 1.0, 2.0 * u))
            }
            Self::Discrete {
                parameter: a,
                sensitivity: s,
            } => {
                let ratio = (-a).exp();
                let half = 1.0 / (1.0 + ratio);
                let centre = -(-a).exp_m1() * half;
                let fall = a * (1.0 + 2.0 * theta);
                // r and r^{s-1}.
                let r = turned(-fall, -2.0 * a * u);
                let last = turned(-fall * (s - 1.0), -2.0 * a * u * (s - 1.0));
                let inner = over(times(r, (1.0 - last.0, -last.1)), (1.0 - r.0, -r.1));
                let down = turned(-a * s * (1.0 + 2.0 * theta), -2.0 * a * s * u);
                let sum = (
                    half + half * down.0 + centre * inner.0,
                    half * down.1 + centre * inner.1,
                );
                times(sum, turned(0.0, a * s * u))
            }
        }
    }

    /// ln E(e^{θL}), and roughly its derivatives: the contour is steered by them.
    pub(super) fn cumulants(self, theta: f64) -> Cumulants {
        let ln = |theta: f64| self.moment(theta, 0.0).0.ln() + theta * self.largest_loss();
        let step = 1e-4 * theta;
        let (before, here, after) = (ln(theta - step), ln(theta), ln(theta + step));
        let largest = self.largest_loss();
        Cumulants {
            log_moment: here,
            mean: ((after - before) / (2.0 * step)).clamp(-largest, largest),
            variance: ((after - 2.0 * here + before) / (step * step)).clamp(0.0, largest * largest),
        }
    }

    /// E(e^{iu(L - mean)}) of the loss tilted by e^{θL}, at u = k `spacing`, k = 1..=`count`.
    pub(super) fn characteristic(
        self,
        theta: f64,
        mean: f64,
        spacing: f64,
        count: usize,
    ) -> impl Iterator<Item = Complex> {
        let whole = self.moment(theta, 0.0).0;
        (1..=count).map(move |k| {
            let u = k as f64 * spacing;
            let (re, im) = times(self.moment(theta, u), turned(0.0, -u * mean));
            (re / whole, im / whole)
        })
    }

    /// A bound on the error of [`Self::characteristic`] up to `frequency`, and of ln E(e^{θL}): a few
    /// roundings of numbers of size one, of the angles, and of the geometric sum's denominator.
    pub(super) fn error(self, theta: f64, frequency: f64) -> f64 {
        let largest = self.largest_loss();
        let denominator = match self {
            Self::Laplace { .. } => 1.0,
            Self::Discrete { parameter, .. } => -(-parameter * (1.0 + 2.0 * theta)).exp_m1(),
        };
        f64::EPSILON * (64.0 + 8.0 * largest * (frequency + theta + 1.0) + 32.0 / denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_outcomes() {
        let (a, s, theta, u) = (0.3, 4, 1.7, 2.3);
        let closed = Closed::Discrete {
            parameter: a,
            sensitivity: f64::from(s),
        };
        let ratio = f64::exp(-a);
        let mut expected = (0.0, 0.0);
        for k in -400i32..400 {
            let p = (1.0 - ratio) / (1.0 + ratio) * (-a * f64::from(k.abs())).exp();
            let loss = a * f64::from((k - s).abs() - k.abs());
            let (re, im) = turned(theta * (loss - a * f64::from(s)), u * loss);
            expected = (expected.0 + p * re, expected.1 + p * im);
        }
        let found = closed.moment(theta, u);
        assert!((found.0 - expected.0).abs() < 1e-13 && (found.1 - expected.1).abs() < 1e-13);
    }

    #[test]
    fn a_laplace_is_a_discrete_one_with_fine_steps() {
        let (lambda, theta) = (1.4, 0.8);
        let fine = Closed::Discrete {
            parameter: lambda / 1e4,
            sensitivity: 1e4,
        };
        let smooth = Closed::Laplace { lambda };
        for u in [0.0, 0.9, 7.0] {
            let (a, b) = (fine.moment(theta, u), smooth.moment(theta, u));
            assert!(
                (a.0 - b.0).abs() < 1e-3 && (a.1 - b.1).abs() < 1e-3,
                "{a:?} {b:?}"
            );
        }
        let (a, b) = (fine.cumulants(theta), smooth.cumulants(theta));
        assert!((a.mean - b.mean).abs() < 1e-3 && (a.variance - b.variance).abs() < 1e-3);
    }
}
