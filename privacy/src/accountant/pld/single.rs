//! One Poisson-sampled Gaussian, once: closed forms.
//!
//! With ε' such that e^{ε'} = (e^ε - 1 + q)/q, the side `Remove` has δ(ε) = q δ_G(ε'), the
//! exact form of amplification by sampling. The side `Add` has, with
//! e^{-ε} = 1 - q + q e^{-η}, δ(ε) = q e^{-η}/(1 - q + q e^{-η}) δ_G(η). Here δ_G is that of
//! the unsampled Gaussian with μ = 1/σ. Both follow from integrating P - e^ε Q over the
//! outcomes whose loss exceeds ε.

use super::Interval;
use super::sampled_gaussian::Side;
use crate::accountant::Delta;
use crate::accountant::gaussian;

/// What rounding may change in epsilon: a relative and an absolute part.
const RELATIVE: f64 = 1e-9;
const ABSOLUTE: f64 = 1e-12;

/// Epsilon of one run under add-or-remove adjacency, rounded down.
pub(in crate::accountant) fn least_of_one_sample(q: f64, sigma: f64, delta: Delta) -> f64 {
    [Side::Remove, Side::Add]
        .into_iter()
        .filter_map(|side| epsilon(q, sigma, side, delta))
        .map(Interval::lower)
        .fold(0.0, f64::max)
}

/// Epsilon of one run; None for the side `Replace`.
pub(super) fn epsilon(q: f64, sigma: f64, side: Side, delta: Delta) -> Option<Interval> {
    let upper = match side {
        Side::Remove => removed(q, sigma, delta.get()),
        Side::Add => added(q, sigma, delta.get()),
        Side::Replace => return None,
    };
    if upper <= 0.0 {
        return Some(Interval::ZERO);
    }
    let upper = upper * (1.0 + RELATIVE) + ABSOLUTE;
    let lower = (upper * (1.0 - 2.0 * RELATIVE) - 2.0 * ABSOLUTE).max(0.0);
    Some(Interval::between(lower, upper))
}

fn removed(q: f64, sigma: f64, delta: f64) -> f64 {
    let Ok(unsampled) = Delta::try_from(delta / q) else {
        return 0.0;
    };
    let far = gaussian::epsilon(1.0 / sigma, unsampled).get();
    if far < 30.0 {
        (q * far.exp_m1()).ln_1p()
    } else {
        far + (q + (1.0 - q) * (-far).exp()).ln()
    }
}

fn added(q: f64, sigma: f64, delta: f64) -> f64 {
    let ln_delta = |eta: f64| {
        let mixed = 1.0 - q + q * (-eta).exp();
        q.ln() - eta - mixed.ln() + gaussian::ln_delta(1.0 / sigma, eta)
    };
    let fits = |eta: f64| ln_delta(eta) <= delta.ln();
    if fits(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while !fits(high) && high < 1e6 {
        low = high;
        high *= 2.0;
    }
    while high - low > 1e-15 * high {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    -(q * (-high).exp_m1()).ln_1p()
}
