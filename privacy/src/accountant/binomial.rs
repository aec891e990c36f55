//! Tails of the binomial distribution.

/// P(Bin(`n`, `p`) >= `k`), from terms of positive sign; relative error some 10^-11.
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
    let ln_choose =
        libm::lgamma(size + 1.0) - libm::lgamma(first + 1.0) - libm::lgamma(size - first + 1.0);
    let ln_first = ln_choose + first * p.ln() + (size - first) * (-p).ln_1p();
    if first >= mean {
        // Terms fall from k on.
        sum_while_it_matters(ln_first.exp(), |j| {
            let at = first + j;
            (size - at) / (at + 1.0) * p / (1.0 - p)
        })
    } else {
        // Terms fall from k - 1 down.
        let below = ln_first.exp() * first / (size - first + 1.0) * (1.0 - p) / p;
        1.0 - sum_while_it_matters(below, |j| {
            let at = first - 1.0 - j;
            at / (size - at + 1.0) * (1.0 - p) / p
        })
    }
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
