//! Epsilons that once came out far below the truth, or not at all, and what must hold of every
//! interval wherever its parameters lie.

mod order;

use std::ops::Range;

use umbel_privacy::accountant::{Interval, PldAccountant, RdpAccountant, calibrate};
use umbel_privacy::{
    Accountant, Adjacency, Budget, BudgetGate, Delta, MechanismEvent, NoiseMultiplier, SamplingRate,
};

fn events(json: serde_json::Value) -> MechanismEvent {
    MechanismEvent::Composed {
        events: serde_json::from_value(json).unwrap(),
    }
}

fn sampled(sigma: f64, q: f64, rounds: u64) -> MechanismEvent {
    MechanismEvent::poisson_gaussian(
        SamplingRate::try_from(q).unwrap(),
        NoiseMultiplier::try_from(sigma).unwrap(),
    )
    .times(rounds)
}

fn interval(event: &MechanismEvent, delta: f64, adjacency: Adjacency) -> Interval {
    let mut accountant = PldAccountant::new(adjacency);
    accountant.compose(event, 1).unwrap();
    accountant.interval(Delta::try_from(delta).unwrap())
}

#[track_caller]
fn assert_epsilon(event: &MechanismEvent, delta: f64, adjacency: Adjacency, truth: Range<f64>) {
    let found = interval(event, delta, adjacency);
    assert!(
        found.upper() >= truth.start && found.lower() <= truth.end,
        "{found:?}"
    );
    assert!(
        found.upper() - found.lower() <= 1e-3 * found.upper(),
        "{found:?}"
    );
}

/// The truths are those of 30-digit sums over the number of sampled rounds, and of tilted convolutions on
/// grids of 2^23 points.
#[test]
fn losses_beyond_the_range_of_floats_are_not_lost() {
    let add = Adjacency::AddOrRemove;
    assert_epsilon(&sampled(0.02, 0.5, 1), 1e-5, add, 1453.71..1453.73);
    assert_epsilon(&sampled(0.02, 0.5, 3), 1e-5, add, 4073.8..4073.9);
    assert_epsilon(&sampled(0.03, 0.5, 3), 1e-5, add, 1881.5..1881.6);
    assert_epsilon(&sampled(0.0509, 0.000696, 11), 1e-5, add, 379.2..379.3);
    let replaced = sampled(0.1116, 0.0189, 199);
    assert_epsilon(&replaced, 3.8e-4, Adjacency::ReplaceOne, 436.5..436.7);
}

#[test]
fn thousands_of_laplace_mechanisms_cost_what_they_cost() {
    let laplace = events(serde_json::json!([
        {"type": "laplace", "scale_over_sensitivity": 1, "count": 5000}
    ]));
    assert_epsilon(&laplace, 1e-5, Adjacency::AddOrRemove, 2080.0..2082.0);
}

#[test]
fn one_more_round_never_makes_the_whole_cheaper() {
    let honest = sampled(1.0, 0.1, 3);
    let before = interval(&honest, 1e-5, Adjacency::AddOrRemove);
    let loud = sampled(0.02, 0.1, 1);
    let after = MechanismEvent::Composed {
        events: vec![honest, loud],
    };
    let after = interval(&after, 1e-5, Adjacency::AddOrRemove);
    assert!(
        after.lower() > 1000.0 && after.upper() > before.upper(),
        "{before:?} {after:?}"
    );
}

#[test]
fn the_gate_stays_shut_for_noise_that_hides_nothing() {
    let budget = Budget::new(3.0, 1e-5).unwrap();
    let accountant = PldAccountant::new(Adjacency::AddOrRemove);
    assert!(BudgetGate::check(&accountant, &sampled(0.02, 0.5, 3), &budget).is_err());
    let rate = calibrate::sampling_rate(
        &budget,
        NoiseMultiplier::try_from(0.02).unwrap(),
        3,
        Adjacency::AddOrRemove,
    );
    // Only a rate at which hardly anybody is ever sampled fits.
    assert!(rate.map_or(true, |rate| rate.get() < 1e-4), "{rate:?}");
}

#[test]
fn rare_sampling_has_narrow_intervals() {
    let add = Adjacency::AddOrRemove;
    let rare = sampled(1.1142901851701166, 0.0001184508683179218, 241);
    assert_epsilon(&rare, 2.374691347587751e-10, add, 0.020980..0.020982);
    let replaced = sampled(0.9786, 3.92e-5, 2525);
    assert_epsilon(
        &replaced,
        2.52e-8,
        Adjacency::ReplaceOne,
        0.018055..0.018058,
    );
    let first = sampled(1.4676672417268757, 5.703948637393237e-6, 12623);
    assert_epsilon(&first, 3.563970197741068e-12, add, 0.0027024..0.0027029);
}

/// Sigma, q, rounds, δ and adjacency of settings whose ends were apart by up to nine tenths, or which took
/// seconds: losses thousands of times as large as epsilon, which hardly ever occur.
#[test]
fn rare_large_losses_leave_intervals_narrow() {
    let (add, replace) = (Adjacency::AddOrRemove, Adjacency::ReplaceOne);
    for (sigma, q, rounds, delta, adjacency) in [
        (
            0.372211787701403,
            2.608093098254655e-7,
            110,
            2.2125564600793613e-14,
            replace,
        ),
        (
            0.6998800228499951,
            1.8008561339393689e-6,
            21,
            1.928190958916575e-14,
            replace,
        ),
        (
            0.7473618143022501,
            4.314521809160284e-6,
            2,
            5.339147899655678e-12,
            replace,
        ),
        (
            0.8378911535143122,
            2.4457868824039005e-6,
            2188,
            1.4412822822662134e-15,
            replace,
        ),
        (
            0.38393093872697276,
            1.6475516318078002e-7,
            340,
            6.554448219108358e-7,
            add,
        ),
        (
            0.5043045150930103,
            2.365996366801155e-7,
            890595,
            9.587087896087348e-15,
            add,
        ),
    ] {
        let event = sampled(sigma, q, rounds);
        assert_epsilon(&event, delta, adjacency, 0.0..f64::INFINITY);
    }
}

#[test]
fn mechanisms_of_unlike_scales_have_narrow_intervals() {
    for (delta, json) in [
        (
            1.8562658871718386e-15,
            serde_json::json!([
                {"type": "poisson_gaussian", "noise_multiplier": 4.782066772859776,
                 "sampling_probability": 0.000038881850033842234, "count": 14088},
                {"type": "discrete_laplace", "parameter": 0.02720464448889165,
                 "integer_sensitivity": 15, "count": 1}
            ]),
        ),
        (
            1.9312290448253827e-8,
            serde_json::json!([
                {"type": "poisson_gaussian", "noise_multiplier": 1.9483882018940903,
                 "sampling_probability": 1.314265416376159e-6, "count": 588861},
                {"type": "discrete_laplace", "parameter": 0.3055140242356498,
                 "integer_sensitivity": 1, "count": 8}
            ]),
        ),
    ] {
        assert_epsilon(
            &events(json),
            delta,
            Adjacency::ReplaceOne,
            0.0..f64::INFINITY,
        );
    }
}

#[test]
fn huge_parameters_are_answered_or_refused_at_once() {
    let wide = events(serde_json::json!([
        {"type": "discrete_laplace", "parameter": 1e-9, "integer_sensitivity": 4294967295u32}
    ]));
    let found = interval(&wide, 1e-5, Adjacency::AddOrRemove);
    assert!(
        found.lower() > 4.2949 && found.upper() < 4.2950,
        "{found:?}"
    );
    let many = interval(&sampled(1.0, 0.01, 1 << 53), 1e-5, Adjacency::AddOrRemove);
    assert!(many.upper() > 1e10, "{many:?}");
    let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
    let bands = events(serde_json::json!([
        {"type": "banded_toeplitz", "noise_multiplier": 8, "rounds": 4000000, "bands": 4000000,
         "min_separation": 1, "max_participations": 4000000}
    ]));
    let refused = accountant.compose(&bands, 1).unwrap_err().to_string();
    assert!(refused.contains("rounds"), "{refused}");
}

/// Nodes of a quadrature once fell on one another, so that they filled all memory.
#[test]
fn noise_too_weak_for_floats_is_answered_at_once() {
    let weak = events(serde_json::json!([
        {"type": "truncated_poisson_gaussian", "dataset_size": 84294,
         "sampling_probability": 6.959583545241808e-6, "truncated_batch_size": 32231,
         "noise_multiplier": 7.962714448041231e-60}
    ]));
    let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
    accountant.compose(&weak, 1).unwrap();
    assert!(accountant.renyi(1.01) > 1e100);
    let mixed = MechanismEvent::Composed {
        events: vec![
            sampled(8.745289304547352e-55, 6.845156217227739e-293, 28),
            sampled(9.2, 0.0017, 5),
        ],
    };
    // Nobody is ever sampled for the weak one.
    let found = interval(&mixed, 1e-7, Adjacency::AddOrRemove);
    assert!(found.lower() < 1.0 && found.upper() > 0.0, "{found:?}");
}

/// A quadrature's points once had no end where σ is small.
#[test]
fn samples_of_fixed_size_with_hardly_any_noise_are_answered_at_once() {
    let epsilon = |sigma: f64| {
        let weak = events(serde_json::json!([
            {"type": "fixed_size_gaussian", "dataset_size": 10000, "sample_size": 100,
             "noise_multiplier": sigma}
        ]));
        let mut accountant = RdpAccountant::new(Adjacency::ReplaceOne);
        accountant.compose(&weak, 1).unwrap();
        accountant.epsilon(Delta::try_from(1e-5).unwrap()).get()
    };
    assert!(epsilon(1e-9) > 1e17 && epsilon(1e-300) > 1e100);
    // Where the coarser bound takes over, epsilon doesn't fall.
    assert!(epsilon(0.0999) >= epsilon(0.1001));
    assert!(epsilon(0.1001) > epsilon(0.11));
}
