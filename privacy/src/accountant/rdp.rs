//! Rényi differential privacy of the Gaussian mechanism, sampled or not, at the list of
//! orders over which epsilon is minimised.

use crate::accountant::event::NoiseMultiplier;
use crate::accountant::sampled_gaussian::ln_moment;
use crate::poisson::SamplingRate;

/// The orders that `dp_accounting` uses by default: 1.1 to 10.9 in steps of 0.1, then
/// 11 to 63, 128, 256, 512 and 1024.
pub fn default_orders() -> Vec<f64> {
    (11..110)
        .map(|tenths| f64::from(tenths) / 10.0)
        .chain((11..64).map(f64::from))
        .chain([128.0, 256.0, 512.0, 1024.0])
        .collect()
}

/// RDP of order α > 1 of one Gaussian mechanism with noise multiplier σ over a Poisson
/// sample of rate q, under add-or-remove adjacency; never less than the true value.
///
/// For q = 1 it is α / (2σ²) (Mironov 2017, Corollary 3); below, ln A(α) / (α - 1) as in
/// Mironov, Talwar & Zhang 2019, exact to a relative 10^-9.
pub fn sampled_gaussian(
    sampling_rate: SamplingRate,
    noise_multiplier: NoiseMultiplier,
    order: f64,
) -> f64 {
    sampled_gaussian_at(sampling_rate.get(), noise_multiplier.get(), order)
}

/// [`sampled_gaussian`] of plain numbers.
pub(super) fn sampled_gaussian_at(q: f64, sigma: f64, order: f64) -> f64 {
    let unsampled = order / (2.0 * sigma * sigma);
    if q == 1.0 {
        unsampled
    } else {
        // Sampling never costs more, which helps where the moment is only bounded.
        (ln_moment(q, sigma, order) / (order - 1.0)).min(unsampled)
    }
}

/// RDP of order α > 1 of the Laplace mechanism of a `scale` b over its sensitivity
/// (Mironov 2017, Proposition 6):
/// ln(α/(2α-1) e^{(α-1)/b} + (α-1)/(2α-1) e^{-α/b}) / (α - 1).
pub(super) fn laplace(scale: f64, order: f64) -> f64 {
    let up = (order / (2.0 * order - 1.0)).ln() + (order - 1.0) / scale;
    let down = ((order - 1.0) / (2.0 * order - 1.0)).ln() - order / scale;
    let sum = up.max(down) + (-(up - down).abs()).exp().ln_1p();
    // Rounded up; never more than pure differential privacy allows.
    (sum / (order - 1.0) * (1.0 + 1e-12) + 1e-15).min(1.0 / scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rdp(q: f64, sigma: f64, order: f64) -> f64 {
        sampled_gaussian(
            SamplingRate::try_from(q).unwrap(),
            NoiseMultiplier::try_from(sigma).unwrap(),
            order,
        )
    }

    #[test]
    fn the_default_orders_are_those_of_dp_accounting() {
        let orders = default_orders();
        assert_eq!(orders.len(), 99 + 53 + 4);
        assert_eq!(orders.first(), Some(&1.1));
        assert_eq!(orders.last(), Some(&1024.0));
        assert!(orders.is_sorted());
    }

    #[test]
    fn order_two_has_a_closed_form() {
        for (q, sigma) in [(1e-9, 1.0), (1e-3, 0.5), (0.3, 2.0), (0.999, 10.0)] {
            let excess: f64 = q * q * f64::exp_m1(1.0 / (sigma * sigma));
            let exact = excess.ln_1p();
            let found = rdp(q, sigma, 2.0);
            assert!(
                found >= exact && found <= exact * (1.0 + 1e-9),
                "{q} {sigma}"
            );
        }
    }

    #[test]
    fn extreme_parameters_give_numbers_that_err_upward() {
        for q in [1e-300, 1e-12, 0.5, 1.0 - 1e-16] {
            for sigma in [1e-9, 1e-3, 0.04, 0.06, 1.0, 1e3, 1e9] {
                for order in default_orders() {
                    let value = rdp(q, sigma, order);
                    assert!(value >= 0.0, "{q} {sigma} {order}: {value}");
                    assert!(
                        value <= rdp(1.0, sigma, order),
                        "{q} {sigma} {order}: {value}"
                    );
                    // A larger sample costs more (to the accuracy of the figures).
                    let larger = rdp(q + (1.0 - q) / 2.0, sigma, order);
                    assert!(
                        value <= larger * (1.0 + 1e-9),
                        "{q} {sigma} {order}: {value}"
                    );
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn fractional_orders_lie_between_their_neighbours_on_the_convex_curve(
            ln_q in -14f64..-0.01, sigma in 0.06f64..20.0, whole in 2u32..10, part in 0.05f64..0.95,
        ) {
            let q = ln_q.exp();
            let order = f64::from(whole) + part;
            // (α - 1) RDP is convex in α: a chord above, the extensions of others below.
            let curve = |order: f64| (order - 1.0) * rdp(q, sigma, order);
            let at = |offset: i32| {
                let order = f64::from(whole) + f64::from(offset);
                if order > 1.0 { curve(order) } else { 0.0 }
            };
            let value = curve(order);
            let chord = at(0) + part * (at(1) - at(0));
            let extension = at(0) + part * (at(0) - at(-1));
            prop_assert!(value <= chord * (1.0 + 1e-8), "{value} above {chord}");
            prop_assert!(value >= extension * (1.0 - 1e-8), "{value} below {extension}");
        }

        #[test]
        fn a_fractional_order_next_to_an_integer_agrees_with_it(
            ln_q in -14f64..-0.01, sigma in 0.06f64..20.0, whole in 2u32..=10,
        ) {
            // Two different methods, quadrature and the finite sum, meet at integers.
            let q = ln_q.exp();
            let order = f64::from(whole);
            let (exact, near) = (rdp(q, sigma, order), rdp(q, sigma, order.next_up()));
            prop_assert!((near / exact - 1.0).abs() < 1e-9, "{near} for {exact}");
        }
    }
}
