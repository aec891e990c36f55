//! Tails of the binomial distribution.

use std::f64::consts::PI;

/// Trials up to which a tail keeps ten digits, and is summed in no time.
pub(super) const MOST_TRIALS: u64 = 1 << 30;

/// P(Bin(`n`, `p`) >= `k`), from terms of positive sign; relative error below 10^-10 up to
/// [`MOST_TRIALS`].
pub(super) fn upper_tail(n: u64, p: f64, k: u64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let (size, first) = (n as f64, k as f64);
    let mean = size * p;
    let at_first = probability(size, p, first);
    if first >= mean {
        // Terms fall from k on.
        sum_while_it_matters(at_first, |j| {
            let at = first + j;
            (size - at) / (at + 1.0) * p / (1.0 - p)
        })
    } else {
        // Terms fall from k - 1 down.
        let below = at_first * first / (size - first + 1.0) * (1.0 - p) / p;
        1.0 - sum_while_it_matters(below, |j| {
            let at = first - 1.0 - j;
            at / (size - at + 1.0) * (1.0 - p) / p
        })
    }
}

/// P(Bin(`n`, `p`) = `k`) for 0 < k <= n and p < 1: Loader 2000, "Fast and Accurate Computation of Binomial
/// Probabilities". In deviances nothing large cancels, as it does between logarithms of factorials.
fn probability(n: f64, p: f64, k: f64) -> f64 {
    if k >= n {
        return (n * p.ln()).exp();
    }
    let exponent = stirling_error(n)
        - stirling_error(k)
        - stirling_error(n - k)
        - deviance(k, n * p)
        - deviance(n - k, n * (1.0 - p));
    (exponent - 0.5 * (2.0 * PI * k * (n - k) / n).ln()).exp()
}

/// ln n! - ln(√(2πn) (n/e)^n).
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
    }
    let square = n * n;
    // Five terms of Stirling's series: the next is below 10^-15 from 16 on.
    let series = 1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / square) / square;
    (1.0 / 12.0 - (1.0 / 360.0 - series / square) / square) / n
}

/// x ln(x/m) + m - x.
fn deviance(x: f64, m: f64) -> f64 {
    let difference = x - m;
    let v = difference / (x + m);
    if v.abs() >= 0.1 {
        return x * (x / m).ln() + m - x;
    }
    // 2 x (v³/3 + v⁵/5 + …) + v (x - m).
    let mut sum = difference * v;
    let mut power = 2.0 * x * v;
    for odd in 1..40 {
        power *= v * v;
        let next = sum + power / f64::from(2 * odd + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// The sum of terms of which each is the one before times `ratio(index)`.
fn sum_while_it_matters(first: f64, ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut index) = (0.0, first, 0.0);
    while term > sum * 1e-18 && term > 0.0 {
        sum += term;
        term *= ratio(index);
        index += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_match_their_sums() {
        // 1 - 0.7^5, and 10 · 0.3² 0.7³ + … for two or more of five.
        assert!((upper_tail(5, 0.3, 1) - (1.0 - 0.7f64.powi(5))).abs() < 1e-13);
        let two: f64 = 1.0 - 0.7f64.powi(5) - 5.0 * 0.3 * 0.7f64.powi(4);
        assert!((upper_tail(5, 0.3, 2) - two).abs() < 1e-13);
        assert!((upper_tail(5, 0.3, 5) / 0.3f64.powi(5) - 1.0).abs() < 1e-12);
        assert_eq!(upper_tail(5, 0.3, 0), 1.0);
        assert_eq!(upper_tail(5, 0.3, 6), 0.0);
        assert_eq!(upper_tail(5, 1.0, 5), 1.0);
    }
}
