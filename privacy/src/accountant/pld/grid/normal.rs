//! Masses of normal distributions in intervals, as logarithms, so that none underflows.

use std::f64::consts::PI;

use crate::accountant::gaussian::ln_upper_tail;

/// Half the distance from 1 to the next float: what one operation may round away.
pub(super) const ULP: f64 = f64::EPSILON / 2.0;

/// Gauss-Legendre nodes and weights of order 4 on [-1, 1].
const NODES: [(f64, f64); 4] = [
    (-0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
    (-0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
    (0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
    (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
];

/// The widest interval, in units over which the density changes by a factor of e, for which
/// four nodes give 15 digits: the rule's error is 5.6e-10 w⁸ times the eighth derivative.
const NARROW: f64 = 0.15;

/// ln of the masses of N(-1, σ²), N(0, σ²) and N(1, σ²) in one interval.
pub(super) struct Three {
    pub(super) minus: f64,
    pub(super) centre: f64,
    pub(super) plus: f64,
    /// What rounding may have changed in each of them, and in their differences.
    pub(super) error: f64,
}

/// See [`Three`], for [`a`, `b`]; either end may be infinite.
pub(super) fn three(a: f64, b: f64, sigma: f64) -> Three {
    let middle = a + (b - a) / 2.0;
    let farthest = a.abs().max(b.abs()) + 1.0;
    let steepest = (farthest + 3.0 * sigma) / (sigma * sigma);
    if (b - a) * steepest <= NARROW {
        narrow(middle, (b - a) / 2.0, sigma)
    } else {
        let one = |mean: f64| ln_interval((a - mean) / sigma, (b - mean) / sigma);
        let ends = [a, b].into_iter().filter(|x| x.is_finite());
        let z = ends.fold(0.0, |most: f64, x| most.max((x.abs() + 1.0) / sigma));
        Three {
            minus: one(-1.0),
            centre: one(0.0),
            plus: one(1.0),
            error: ULP * (64.0 + 6.0 * z * z),
        }
    }
}

/// By quadrature: the three have the same nodes, so that their ratios are exact to rounding.
fn narrow(middle: f64, half_width: f64, sigma: f64) -> Three {
    let variance = sigma * sigma;
    let (mut minus, mut centre, mut plus) = (0.0, 0.0, 0.0);
    for (node, weight) in NODES {
        let d = node * half_width;
        let here = weight * (-d * (2.0 * middle + d) / (2.0 * variance)).exp();
        let turn = (d / variance).exp();
        minus += here / turn;
        centre += here;
        plus += here * turn;
    }
    let scale = (half_width / (sigma * (2.0 * PI).sqrt())).ln();
    let at = |mean: f64| -(middle - mean) * (middle - mean) / (2.0 * variance) + scale;
    let largest = (middle.abs() + 1.0) / sigma;
    Three {
        minus: at(-1.0) + minus.ln(),
        centre: at(0.0) + centre.ln(),
        plus: at(1.0) + plus.ln(),
        error: ULP * (64.0 + 4.0 * largest * largest + 2.0 * scale.abs()),
    }
}

/// ln of the standard normal mass of [`a`, `b`].
fn ln_interval(a: f64, b: f64) -> f64 {
    if a >= 0.0 {
        let near = ln_upper_tail(a);
        let far = ln_upper_tail(b);
        near + ln_1m_exp(far - near)
    } else if b <= 0.0 {
        ln_interval(-b, -a)
    } else {
        (-(ln_upper_tail(-a).exp() + ln_upper_tail(b).exp())).ln_1p()
    }
}

/// ln(1 - e^x) for x <= 0.
fn ln_1m_exp(x: f64) -> f64 {
    if x > -0.5 {
        (-x.exp_m1()).ln()
    } else {
        (-x.exp()).ln_1p()
    }
}

/// ln(1 - q + q e^t).
pub(super) fn ln_mixed(q: f64, t: f64) -> f64 {
    if q >= 1.0 {
        t
    } else if t < -1.0 {
        ((1.0 - q) + q * t.exp()).ln()
    } else if t < 30.0 {
        (q * t.exp_m1()).ln_1p()
    } else {
        t + (q + (1.0 - q) * (-t).exp()).ln()
    }
}

/// How much of the mixture 1 - q + q e^t = e^`mixed` the second part makes up: what an error of t
/// does to the mixture's logarithm.
pub(super) fn share(q: f64, t: f64, mixed: f64) -> f64 {
    (q.ln() + t - mixed).exp().min(1.0)
}

/// ln Σ e^term; -∞ of nothing.
pub(super) fn ln_sum(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let scaled: f64 = terms.iter().map(|term| (term - largest).exp()).sum();
    largest + scaled.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_compute_a_mass_agree() {
        for sigma in [0.02, 0.3, 1.0, 40.0] {
            for at in [-3.0, -0.4, 0.0, 0.5, 1.2, 5.0] {
                let steepest = (f64::abs(at) + 1.1 + 3.0 * sigma) / (sigma * sigma);
                let width = 0.1 / steepest;
                let (a, b) = (at, at + width);
                let fine = three(a, b, sigma);
                let coarse = |mean: f64| ln_interval((a - mean) / sigma, (b - mean) / sigma);
                // Tails far out are large in their logarithm, and what cancels in their difference is
                // some digits.
                for (x, y) in [
                    (fine.minus, coarse(-1.0)),
                    (fine.centre, coarse(0.0)),
                    (fine.plus, coarse(1.0)),
                ] {
                    assert!((x - y).abs() < 1e-9, "{sigma} {at}: {x} {y}");
                }
            }
        }
    }

    #[test]
    fn whole_lines_and_half_lines_have_their_masses() {
        let all = three(f64::NEG_INFINITY, f64::INFINITY, 0.5);
        assert_eq!((all.minus, all.centre, all.plus), (0.0, 0.0, 0.0));
        let half = three(0.0, f64::INFINITY, 0.5);
        assert!((half.centre - 0.5f64.ln()).abs() < 1e-15);
        assert!((half.plus.exp() + half.minus.exp() - 1.0).abs() < 1e-14);
        let far = three(0.9, 1.1, 0.01);
        assert!(
            far.plus.abs() < 1e-12 && far.centre < -4000.0,
            "{}",
            far.centre
        );
    }
}
