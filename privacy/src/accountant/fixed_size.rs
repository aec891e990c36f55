//! RDP of the Gaussian mechanism over samples of fixed size without replacement, under
//! replace-one adjacency: Wang, Balle & Kasiviswanathan 2019, "Subsampled Rényi
//! Differential Privacy and Analytical Moments Accountant", Theorem 27.

use crate::accountant::log_space::LogSum;

/// Above this order the forward differences are replaced by the theorem's coarser bound.
const LARGEST_EXACT_ORDER: f64 = 64.0;

/// Below this the trapezoidal rule would need very many points, without end in the end, and gain little over
/// the coarser bound.
const LEAST_EXACT_SIGMA: f64 = 0.05;

/// The relative error of ln A by floating point is below this.
const ROUNDING_GUARD: f64 = 1e-10;

/// RDP of order α > 1 when a share q of the units is sampled; `sigma` is the noise over the
/// (replace-one) sensitivity.
///
/// At integer α, with ε(j) = j/(2σ²) and B(l) = E((dP/dQ - 1)^l),
/// A = 1 + q² C(α,2) min(4 (e^{ε(2)} - 1), 2 e^{ε(2)})
///   + Σ_{j=3}^α q^j C(α,j) min(4 √(B(2⌊j/2⌋) B(2⌈j/2⌉)), 2 e^{(j-1)ε(j)}).
///
/// Between integers ln A is bounded by its chord (Corollary 10).
pub(super) fn rdp(q: f64, sigma: f64, order: f64) -> f64 {
    let unsampled = order / (2.0 * sigma * sigma);
    if q >= 1.0 {
        return unsampled;
    }
    let below = order.floor();
    let weight = order - below;
    let mut ln_moment = (1.0 - weight) * ln_moment(q, sigma, below);
    if weight > 0.0 {
        ln_moment += weight * self::ln_moment(q, sigma, below + 1.0);
    }
    (ln_moment * (1.0 + ROUNDING_GUARD) / (order - 1.0)).min(unsampled)
}

/// ln A at an integer order.
fn ln_moment(q: f64, sigma: f64, order: f64) -> f64 {
    if order < 2.0 {
        return 0.0;
    }
    let variance = sigma * sigma;
    let mut sum = LogSum::new();
    sum.add(0.0);
    let second = 1.0 / variance;
    let mut ln_binomial = (order * (order - 1.0) / 2.0).ln();
    let first_term = (4.0 * second.exp_m1()).ln().min(second + 2f64.ln());
    sum.add(2.0 * q.ln() + ln_binomial + first_term);
    let exact = order <= LARGEST_EXACT_ORDER && sigma >= LEAST_EXACT_SIGMA;
    let even = |l: f64| {
        if exact {
            ln_even_moment(sigma, l)
        } else {
            f64::INFINITY
        }
    };
    let (mut below, mut above) = (even(2.0), even(4.0));
    let mut j = 3.0;
    while j <= order {
        ln_binomial += ((order - j + 1.0) / j).ln();
        let differences = if j % 2.0 == 0.0 {
            // 2⌊j/2⌋ = 2⌈j/2⌉ = j, and the next odd j lies between j and j + 2.
            below = above;
            above = even(j + 2.0);
            below
        } else {
            (below + above) / 2.0
        };
        let coarse = 2f64.ln() + j * (j - 1.0) / (2.0 * variance);
        sum.add(j * q.ln() + ln_binomial + (4f64.ln() + differences).min(coarse));
        j += 1.0;
    }
    sum.ln()
}

/// ln B(l) for even l: E((e^{(2x-1)/(2σ²)} - 1)^l), x ~ N(0, σ²), a positive integrand. The
/// trapezoidal rule of step σ/8 is exact to e^{-2π² 64}.
fn ln_even_moment(sigma: f64, l: f64) -> f64 {
    let step = sigma / 8.0;
    let mut sum = LogSum::new();
    let mut index = (-14.0 * sigma / step).floor();
    let last = ((l + 14.0 * sigma) / step).ceil();
    while index <= last {
        let x = index * step;
        let t = (2.0 * x - 1.0) / (2.0 * sigma * sigma);
        let ln_factor = if t > 30.0 { t } else { t.exp_m1().abs().ln() };
        sum.add(l * ln_factor - x * x / (2.0 * sigma * sigma));
        index += 1.0;
    }
    sum.ln() + (step / (sigma * (2.0 * std::f64::consts::PI).sqrt())).ln()
}
