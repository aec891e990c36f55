//! From RDP to epsilon at a delta.

use crate::accountant::{Delta, Epsilon};

/// The least epsilon that any of the `(order, rdp)` pairs gives at `delta`.
///
/// Each gives, by Canonne, Kamath & Steinke 2020, Proposition 12 (equivalently Balle et
/// al. 2020, Theorem 21), ε = RDP + ln((α-1)/α) - (ln δ + ln α)/(α - 1). An RDP so small
/// that the total variation distance, at most √(1 - exp(-RDP)) (Bretagnolle & Huber
/// 1979), is within δ gives ε = 0. Infinite for an empty list.
pub fn epsilon(curve: impl IntoIterator<Item = (f64, f64)>, delta: Delta) -> Epsilon {
    let delta = delta.get();
    let least = curve
        .into_iter()
        .map(|(order, rdp)| {
            if delta * delta + (-rdp).exp_m1() >= 0.0 {
                0.0
            } else if order > 1.01 {
                rdp + (-1.0 / order).ln_1p() - (delta * order).ln() / (order - 1.0)
            } else {
                // Close to 1 the formula loses all its digits.
                f64::INFINITY
            }
        })
        .fold(f64::INFINITY, f64::min);
    Epsilon::at_least_zero(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_says_nothing_and_no_loss_costs_nothing() {
        let delta = Delta::try_from(1e-5).unwrap();
        assert_eq!(epsilon([], delta).get(), f64::INFINITY);
        assert_eq!(epsilon([(2.0, 0.0)], delta), Epsilon::ZERO);
        assert_eq!(epsilon([(2.0, f64::INFINITY)], delta).get(), f64::INFINITY);
    }

    #[test]
    fn the_formula_matches_a_hand_calculation() {
        let delta = Delta::try_from(1e-6).unwrap();
        // 0.8 + ln 0.9 - ln(10^-5) / 9
        let expected = 0.8 - 0.105_360_515_657_826_3 + 11.512_925_464_970_229 / 9.0;
        assert!((epsilon([(10.0, 0.8)], delta).get() - expected).abs() < 1e-12);
    }
}
