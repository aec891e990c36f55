//! ln A(α), the Rényi moment of the Poisson-sampled Gaussian mechanism, at any order.
//!
//! With μ₀ = N(0, σ²) and μ = (1-q) N(0, σ²) + q N(1, σ²), Mironov, Talwar & Zhang
//! ("Rényi Differential Privacy of the Sampled Gaussian Mechanism", 2019, §3.1-3.3) show
//! that under add-or-remove adjacency the RDP of order α > 1 is ln A(α) / (α - 1), where
//!
//! A(α) = E_{z ~ μ₀}((μ(z)/μ₀(z))^α) = E((1 + w)^α),  w = q (exp((2z - 1)/(2σ²)) - 1).
//!
//! Their series for fractional α alternates in sign and loses digits, or was cut too
//! early (an under-report in published software). Here both kinds of order are sums of
//! **positive** terms for A(α) - 1, so that nothing cancels, however small q is:
//!
//! - integer α: E(w) = 0 makes A - 1 = Σ_{k>=2} C(α, k) (1-q)^(α-k) q^k
//!   (exp((k² - k)/(2σ²)) - 1), a finite sum.
//! - fractional α: A - 1 = E(g(w)), g(w) = (1+w)^α - 1 - α w >= 0, by the trapezoidal
//!   rule, whose error on a function analytic in a strip is exponentially small and
//!   bounded explicitly; the bound is added.

use std::f64::consts::{LN_2, PI};

use crate::accountant::log_space::{LogSum, ln_1p_exp, ln_exp_m1};

/// The relative error of floating point in A - 1 is below 10^-11 (terms of logarithms
/// up to 10^4, each with relative error 2^-51); results are raised by this much.
const ROUNDING_GUARD: f64 = 1e-10;

/// Below this the trapezoidal rule would need very many points: A(α) is then bounded by
/// its neighbouring integer orders. (Epsilon is above 100 there after a single round.)
const LEAST_SIGMA_FOR_QUADRATURE: f64 = 0.05;

/// Above this the truncation bound 2^α below would no longer be small.
const LARGEST_ORDER_FOR_QUADRATURE: f64 = 64.0;

/// An upper bound on ln A(`order`) for `order` > 1, 0 < `q` < 1 and `sigma` > 0: exact
/// but for [`ROUNDING_GUARD`] at integer orders and at fractional ones up to 64 with
/// sigma >= 0.05. Infinite where it overflows.
pub(crate) fn ln_moment(q: f64, sigma: f64, order: f64) -> f64 {
    let moment = if order.fract() == 0.0 {
        ln_1p_exp(ln_excess_integer(q, sigma, order))
    } else if sigma >= LEAST_SIGMA_FOR_QUADRATURE && order <= LARGEST_ORDER_FOR_QUADRATURE {
        ln_1p_exp(ln_excess_fractional(q, sigma, order))
    } else {
        interpolated(q, sigma, order)
    };
    moment * (1.0 + ROUNDING_GUARD)
}

/// ln A is convex in the order (Hölder) and zero at order 1, so the chord between two
/// integer orders lies above it.
fn interpolated(q: f64, sigma: f64, order: f64) -> f64 {
    let below = order.floor();
    let at = |order| {
        if order <= 1.0 {
            0.0
        } else {
            ln_1p_exp(ln_excess_integer(q, sigma, order))
        }
    };
    let weight = order - below;
    (1.0 - weight) * at(below) + weight * at(below + 1.0)
}

/// ln(A - 1) at an integer order of 2 or more.
fn ln_excess_integer(q: f64, sigma: f64, order: f64) -> f64 {
    let (ln_q, ln_1q) = (q.ln(), (-q).ln_1p());
    let mut sum = LogSum::new();
    let mut k = 1.0;
    // ln C(order, k)
    let mut ln_binomial = order.ln();
    while k < order {
        ln_binomial += ((order - k) / (k + 1.0)).ln();
        k += 1.0;
        let ln_weight = ln_binomial + (order - k) * ln_1q + k * ln_q;
        sum.add(ln_weight + ln_exp_m1((k * k - k) / (2.0 * sigma * sigma)));
    }
    sum.ln()
}

/// ln(A - 1) at a fractional order, by the trapezoidal rule.
///
/// *Step.* f(z) = φ(z/σ)/σ · g(w(z)) is analytic for |Im z| < π σ², where 1 + w stays
/// off the negative axis. There |1 + w(x+ib)| <= 1 + w(x), hence
/// ∫|f(x + ib)| dx <= exp(b²/(2σ²)) (A + 1 + 2 α q) =: exp(b²/(2σ²)) M, and the rule
/// of step h is wrong by at most 2 M exp(a²/(2σ²) - 2 π a/h) / (1 - exp(-2 π a/h)) for
/// every a < π σ² (Trefethen & Weideman 2014, Theorem 5.1). The exponent is made -80.
///
/// *Range.* (1 + w)^α <= 2^α max(1-q, q e^u)^α with u = (2z-1)/(2σ²), both of which
/// have expectation at most A and, with φ, are Gaussians centred at 0 and α: outside
/// [-13σ, α + 13σ] at most 2^α · 2 · P(N > 13) A < 2^α 10^-37 A is lost on each side.
fn ln_excess_fractional(q: f64, sigma: f64, order: f64) -> f64 {
    let variance = sigma * sigma;
    let step = trapezoid_step(sigma);
    let ln_q = q.ln();
    let first = (-13.0 * sigma / step).floor();
    let last = ((order + 13.0 * sigma) / step).ceil();
    let ln_density_scale = (step / (sigma * (2.0 * PI).sqrt())).ln();
    let mut sum = LogSum::new();
    let mut index = first;
    while index <= last {
        let z = index * step;
        let u = (2.0 * z - 1.0) / (2.0 * variance);
        let ln_ratio = if u > 30.0 {
            u + ln_q + ((1.0 - q) / q * (-u).exp()).ln_1p()
        } else {
            (q * u.exp_m1()).ln_1p()
        };
        sum.add(ln_density_scale - z * z / (2.0 * variance) + ln_bernoulli_gap(order, ln_ratio));
        index += 1.0;
    }
    // The errors of step and range together are below M (2.1 e^-80 + 2^α 10^-36), where
    // M <= A (2 + 2 α), as A >= 1 >= q.
    let ln_a = ln_1p_exp(sum.ln());
    let relative = 2.1 * (-80f64).exp() + (order * LN_2).exp() * 1e-36;
    sum.add(relative.ln() + ln_a + (3.0 + 3.0 * order).ln());
    sum.ln()
}

/// The largest h with a²/(2σ²) - 2 π a/h <= -80 at the best admissible a.
fn trapezoid_step(sigma: f64) -> f64 {
    let variance = sigma * sigma;
    // Unconstrained, a = 2 π σ²/h gives -2 π² σ²/h².
    let free = PI * sigma * (2.0f64 / 80.0).sqrt();
    // That a is admissible where 2/h < 1, with a little to spare; otherwise a = π σ²,
    // which gives π² σ²/2 - 2 π² σ²/h.
    if free > 2.0 {
        free
    } else {
        2.0 / (0.5 + 80.0 / (PI * PI * variance))
    }
}

/// ln((1+w)^α - 1 - α w), given l = ln(1 + w) and α > 1; -∞ at w = 0.
fn ln_bernoulli_gap(order: f64, l: f64) -> f64 {
    let scaled = order * l;
    if scaled.abs() < 0.5 {
        // Σ_{n>=2} (α^n - α) l^n / n!, which the two exponentials cancel down to.
        let (mut power, mut scaled_power, mut factorial) = (l, scaled, 1.0);
        let mut gap = 0.0;
        for n in 2..=18 {
            power *= l;
            scaled_power *= scaled;
            factorial *= f64::from(n);
            gap += (scaled_power - order * power) / factorial;
        }
        gap.ln()
    } else if l < 1.0 {
        (scaled.exp_m1() - order * l.exp_m1()).ln()
    } else {
        // (1 + α w) / (1 + w)^α, below 1 by Bernoulli's inequality.
        let ratio = order * (l - scaled).exp() + (1.0 - order) * (-scaled).exp();
        scaled + (-ratio).ln_1p()
    }
}
