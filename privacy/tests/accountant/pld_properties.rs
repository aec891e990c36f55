//! What every certified interval must satisfy, over settings drawn from the whole range
//! that runs use.

use std::cell::Cell;
use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use umbel_privacy::accountant::{Interval, PldAccountant};
use umbel_privacy::{
    Accountant, Adjacency, Delta, MechanismEvent, NoiseMultiplier, RdpAccountant, SamplingRate,
};

#[derive(Clone, Copy, Debug)]
struct Setting {
    sigma: f64,
    q: f64,
    rounds: u64,
    delta: f64,
}

impl Setting {
    fn event(&self) -> MechanismEvent {
        MechanismEvent::poisson_gaussian(
            SamplingRate::try_from(self.q).unwrap(),
            NoiseMultiplier::try_from(self.sigma).unwrap(),
        )
    }

    fn delta(&self) -> Delta {
        Delta::try_from(self.delta).unwrap()
    }

    fn interval(&self) -> Interval {
        let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
        accountant.compose(&self.event(), self.rounds).unwrap();
        accountant.interval(self.delta())
    }
}

fn spread_evenly(range: Range<f64>) -> impl Strategy<Value = f64> {
    (range.start.ln()..range.end.ln()).prop_map(f64::exp)
}

prop_compose! {
    fn any_setting()(
        sigma in spread_evenly(0.4..20.0),
        q in spread_evenly(1e-4..1.0),
        rounds in spread_evenly(1.0..1e5),
        delta in spread_evenly(1e-12..1e-3),
    ) -> Setting {
        Setting { sigma, q, rounds: rounds as u64, delta }
    }
}

/// Of [`SETTINGS`] random ones, so many intervals may be wider than a thousandth. One in 9,000 was, by a
/// count of its own (10⁵ rounds at δ 1e-12, where transforms round): more than two of a thousand
/// have a probability below 1e-3 then.
const MOST_WIDE: u32 = 2;

const SETTINGS: u32 = 1000;

#[test]
fn intervals_are_narrow_and_renyi_is_never_below_them() {
    let wide = Cell::new(Vec::new());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(SETTINGS));
    let outcome = runner.run(&any_setting(), |setting| {
        let found = setting.interval();
        prop_assert!(found.lower() <= found.upper(), "{found:?}");
        prop_assert!(found.upper().is_finite(), "{found:?}");
        if found.upper() - found.lower() > 1e-3 * found.upper() {
            let mut so_far = wide.take();
            so_far.push((setting, found));
            wide.set(so_far);
        }
        let mut renyi = RdpAccountant::new(Adjacency::AddOrRemove);
        renyi.compose(&setting.event(), setting.rounds).unwrap();
        let renyi = renyi.epsilon(setting.delta()).get();
        prop_assert!(renyi >= found.lower(), "{renyi} {found:?}");
        Ok(())
    });
    outcome.unwrap();
    let wide = wide.take();
    assert!(wide.len() as u32 <= MOST_WIDE, "{wide:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn epsilon_falls_with_noise_and_delta_and_rises_with_sampling_and_rounds(
        setting in any_setting(),
    ) {
        let found = setting.interval();
        let larger = [
            Setting { sigma: setting.sigma * 0.97, ..setting },
            Setting { q: (setting.q * 1.03).min(1.0), ..setting },
            Setting { rounds: setting.rounds + setting.rounds / 20 + 1, ..setting },
            Setting { delta: setting.delta * 0.8, ..setting },
        ];
        for costlier in larger {
            let cost = costlier.interval();
            prop_assert!(cost.upper() >= found.lower(), "{found:?}, but {costlier:?} {cost:?}");
        }
    }
}

#[test]
fn where_rounding_takes_the_digits_of_one_method_the_other_makes_the_interval_narrow() {
    let found = Setting {
        sigma: 0.9304059393558466,
        q: 0.00021734171896345544,
        rounds: 85956,
        delta: 3.4232251948036976e-12,
    }
    .interval();
    assert!(
        found.upper() - found.lower() <= 1e-3 * found.upper(),
        "{found:?}"
    );
}

#[test]
fn losses_that_are_rare_and_far_above_epsilon_leave_its_digits_over_many_rounds() {
    let settings = [
        Setting {
            sigma: 0.7374243421163149,
            q: 8.139197895337722e-06,
            rounds: 244288,
            delta: 4.023497073275489e-15,
        },
        Setting {
            sigma: 0.951932648594686,
            q: 1.2653147774573098e-05,
            rounds: 24526,
            delta: 1.4696265085158774e-12,
        },
    ];
    for setting in settings {
        let found = setting.interval();
        let width = found.upper() - found.lower();
        assert!(width <= 1e-3 * found.upper(), "{setting:?} {found:?}");
    }
}

/// An accountant that has seen `events`.
fn composed(events: serde_json::Value) -> PldAccountant {
    let events: Vec<MechanismEvent> = serde_json::from_value(events).unwrap();
    let mut accountant = PldAccountant::new(Adjacency::ReplaceOne);
    let all = MechanismEvent::Composed { events };
    accountant.compose(&all, 1).unwrap();
    accountant
}

#[test]
fn what_costs_nothing_beside_a_largest_loss_leaves_it_known() {
    // All but these rounds have a largest loss: 21 times 2 a and 34 a', together with probability P.
    let (a, other) = (2.1135754596476235f64, 1.029086985625536f64);
    let accountant = composed(serde_json::json!([
        {"type": "poisson_gaussian", "noise_multiplier": 39.2, "sampling_probability": 1.8e-7, "count": 2236},
        {"type": "discrete_laplace", "parameter": a, "integer_sensitivity": 1, "count": 21},
        {"type": "discrete_laplace", "parameter": other, "integer_sensitivity": 17},
    ]));
    let delta = 2.067e-5;
    let found = accountant.interval(Delta::try_from(delta).unwrap());
    let largest = 42.0 * a + 34.0 * other;
    let top = (1.0 + (-a).exp()).powi(-21) / (1.0 + (-other).exp());
    // The rounds are seen with probability 1e-6 at most, so that they take no more of δ.
    let least = largest + (-delta / top).ln_1p();
    assert!(
        (found.lower() - least).abs() < 1e-4 * least,
        "{found:?} {least}"
    );
    assert!(found.lower() <= largest, "{found:?} {largest}");
    assert!(
        found.upper() <= largest * (1.0 + 1e-9),
        "{found:?} {largest}"
    );
    assert!(
        found.upper() - found.lower() < 1e-3 * found.upper(),
        "{found:?}"
    );
}
