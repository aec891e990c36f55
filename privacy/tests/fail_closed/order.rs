//! The order of the ends, whatever ran.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use umbel_privacy::accountant::gaussian;
use umbel_privacy::accountant::mechanisms::Mechanism;

use super::*;

fn log_uniform(range: Range<f64>) -> impl Strategy<Value = f64> {
    (range.start.ln()..range.end.ln()).prop_map(f64::exp)
}

/// Mechanisms of every kind, from those that hide everything to those that hide nothing.
fn any_events() -> impl Strategy<Value = Vec<MechanismEvent>> {
    let gaussian = (
        log_uniform(0.01..50.0),
        log_uniform(1e-7..1.0),
        log_uniform(1.0..1e6),
    )
        .prop_map(|(sigma, q, rounds)| sampled(sigma, q, rounds as u64));
    let laplace = (log_uniform(0.1..100.0), 1u64..1000).prop_map(|(scale, count)| {
        events(serde_json::json!([
            {"type": "laplace", "scale_over_sensitivity": scale, "count": count}
        ]))
    });
    let discrete = (log_uniform(0.01..3.0), 1u32..20, 1u64..1000).prop_map(|(a, s, count)| {
        events(serde_json::json!([
            {"type": "discrete_laplace", "parameter": a, "integer_sensitivity": s, "count": count}
        ]))
    });
    let tree = (log_uniform(0.5..50.0), 1u64..1_000_000).prop_map(|(sigma, steps)| {
        events(serde_json::json!([
            {"type": "tree_aggregation", "noise_multiplier": sigma, "step_count": steps}
        ]))
    });
    let bands = (
        log_uniform(0.5..50.0),
        1u32..2000,
        1u32..30,
        1u32..30,
        1u32..30,
    )
        .prop_map(|(sigma, rounds, bands, separation, participations)| {
            events(serde_json::json!([
                {"type": "banded_toeplitz", "noise_multiplier": sigma, "rounds": rounds,
                 "bands": bands, "min_separation": separation,
                 "max_participations": participations}
            ]))
        });
    let any = prop_oneof![3 => gaussian, 1 => laplace, 1 => discrete, 1 => tree, 1 => bands];
    prop::collection::vec(any, 1..4)
}

/// How long settings are drawn where `UMBEL_SETTINGS` doesn't say how many, and how many are between looks at
/// the time.
const LONG_ENOUGH: Duration = Duration::from_secs(45);
const AT_A_TIME: u32 = 20;

#[test]
fn whatever_ran_the_ends_are_in_order_and_more_never_costs_less() {
    let wanted = std::env::var("UMBEL_SETTINGS").ok();
    let wanted: Option<u32> = wanted.map(|number| number.parse().unwrap());
    let start = Instant::now();
    let mut drawn = 0;
    let any = (any_events(), log_uniform(1e-15..1e-2), any::<bool>());
    while wanted.map_or(start.elapsed() < LONG_ENOUGH, |wanted| drawn < wanted) {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: AT_A_TIME,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let outcome = runner.run(&any, |(events, delta, replace)| {
            let adjacency = if replace {
                Adjacency::ReplaceOne
            } else {
                Adjacency::AddOrRemove
            };
            the_order_holds(&events, delta, adjacency)
        });
        outcome.unwrap();
        drawn += AT_A_TIME;
    }
    println!("{drawn} settings in {:.0?}", start.elapsed());
}

fn the_order_holds(
    events: &[MechanismEvent],
    delta: f64,
    adjacency: Adjacency,
) -> Result<(), TestCaseError> {
    let all = MechanismEvent::Composed {
        events: events.to_vec(),
    };
    let found = interval(&all, delta, adjacency);
    prop_assert!(
        found.lower() <= found.upper() && found.lower() >= 0.0,
        "{found:?}"
    );
    // Of these one is what ran before the others.
    for one in events {
        let alone = interval(one, delta, adjacency);
        prop_assert!(
            found.upper() >= alone.lower(),
            "{found:?} {one:?} {alone:?}"
        );
        let closed = closed_form(one, delta, adjacency);
        prop_assert!(
            found.upper() >= closed * (1.0 - 1e-9),
            "{found:?} {one:?} {closed}"
        );
    }
    Ok(())
}

/// Epsilon of one run of a mechanism, by a closed form of its own; 0 where there is none.
fn closed_form(event: &MechanismEvent, delta: f64, adjacency: Adjacency) -> f64 {
    let sensitivity = if adjacency == Adjacency::ReplaceOne {
        2.0
    } else {
        1.0
    };
    match event {
        MechanismEvent::SelfComposed { event, count } if *count > 0 => {
            closed_form(event, delta, adjacency)
        }
        MechanismEvent::Composed { events } => events
            .iter()
            .map(|event| closed_form(event, delta, adjacency))
            .fold(0.0, f64::max),
        MechanismEvent::Single(mechanism) => closed_form_of_one(mechanism, delta, sensitivity),
        _ => 0.0,
    }
}

fn closed_form_of_one(mechanism: &Mechanism, delta: f64, sensitivity: f64) -> f64 {
    match mechanism {
        Mechanism::Gaussian(it) => {
            let mu = sensitivity / it.noise_multiplier.get();
            gaussian::epsilon(mu, Delta::try_from(delta).unwrap()).get()
        }
        // q δ_G at the epsilon before sampling: Balle, Barthe & Gaboardi 2018, Theorem 8.
        Mechanism::PoissonSampledGaussian(it) if sensitivity == 1.0 => {
            let (q, mu) = (
                it.sampling_probability.get(),
                1.0 / it.noise_multiplier.get(),
            );
            let Ok(before) = Delta::try_from(delta / q) else {
                return 0.0;
            };
            let before = gaussian::epsilon(mu, before).get();
            if before > 30.0 {
                before + q.ln()
            } else {
                (q * before.exp_m1()).ln_1p()
            }
        }
        Mechanism::Laplace(it) if it.sampling_probability.is_all() => {
            let most = sensitivity / it.scale_over_sensitivity.get();
            (most + 2.0 * (-delta).ln_1p()).max(0.0)
        }
        _ => 0.0,
    }
}
