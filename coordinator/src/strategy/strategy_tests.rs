//! One suite for every strategy, and what Flower's do with the same updates.

use serde::Deserialize;

use super::kind::{Given, InvalidKey};
use super::*;

const PARAMETERS: usize = 4;
const START: [f32; PARAMETERS] = [0.5, -1.0, 0.0, 3.0];

/// A gradient that looks random.
fn gradient(round: u32) -> Vec<f64> {
    let number = |i: usize| f64::from(round * 7 + i as u32 * 3);
    (0..PARAMETERS).map(|i| (number(i) * 1.7).sin()).collect()
}

/// A step of everybody's, of this rate.
fn of(learning_rate: f64) -> Step {
    Step {
        learning_rate,
        share: Some(1.0),
        reach: Some(0.5),
    }
}

fn fresh(kind: &'static StrategyKind) -> Box<dyn Strategy> {
    kind.make(Given::default(), PARAMETERS)
}

#[test]
fn each_has_a_name_of_its_own_and_defaults_that_it_takes() {
    for kind in ALL {
        assert_eq!(named(kind.name).map(|found| found.name), Ok(kind.name));
        let mut given = Given::default();
        for (key, default) in kind.keys {
            match key {
                Key::Momentum => given.momentum = Some(*default),
                Key::Beta1 => given.beta1 = Some(*default),
                Key::Beta2 => given.beta2 = Some(*default),
                Key::Epsilon => given.epsilon = Some(*default),
            }
        }
        assert_eq!(kind.check(&given), Ok(()), "{}", kind.name);
    }
    let names: std::collections::BTreeSet<&str> = ALL.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn a_mean_of_zeros_moves_nothing_at_first() {
    for kind in ALL {
        let mut parameters = START;
        fresh(kind).step(&mut parameters, &[0.0; PARAMETERS], of(0.1));
        assert_eq!(parameters, START, "{}", kind.name);
    }
}

#[test]
fn a_first_step_goes_down() {
    for kind in ALL {
        let mut parameters = START;
        fresh(kind).step(&mut parameters, &[1.0, -1.0, 2.0, -2.0], of(0.1));
        let down = [true, false, true, false];
        for ((after, before), down) in parameters.iter().zip(START).zip(down) {
            assert_eq!(*after < before, down, "{}", kind.name);
        }
    }
}

#[test]
fn what_was_remembered_goes_on_with_the_same_bits() {
    for kind in ALL {
        let (mut whole, mut parameters) = (fresh(kind), START);
        for round in 1..=10 {
            whole.step(&mut parameters, &gradient(round), of(0.05));
        }
        let (mut first, mut halves) = (fresh(kind), START);
        for round in 1..=5 {
            first.step(&mut halves, &gradient(round), of(0.05));
        }
        let mut second = fresh(kind);
        second.restore(first.state()).expect("its own state");
        for round in 6..=10 {
            second.step(&mut halves, &gradient(round), of(0.05));
        }
        let bits = |w: [f32; PARAMETERS]| w.map(f32::to_bits);
        assert_eq!(bits(halves), bits(parameters), "{}", kind.name);
        assert_eq!(second.state(), whole.state(), "{}", kind.name);
    }
}

/// Numbers that go on as they begin, over more than two stretches.
fn repeated<T: Copy>(numbers: &[T]) -> Vec<T> {
    let long = 2 * STRETCH + 5;
    numbers.iter().copied().cycle().take(long).collect()
}

#[test]
fn a_parameter_moves_the_same_whichever_stretch_it_is_in() {
    for kind in ALL {
        let (mut short, mut few) = (fresh(kind), START);
        let mut many = repeated(&START);
        let mut long = kind.make(Given::default(), many.len());
        for round in 1..=3 {
            let mean = gradient(round);
            short.step(&mut few, &mean, of(0.05));
            long.step(&mut many, &repeated(&mean), of(0.05));
        }
        assert!(many == repeated(&few), "{}", kind.name);
        let expected = short.state().moments;
        for (found, expected) in long.state().moments.iter().zip(&expected) {
            assert!(**found == repeated(expected), "{}", kind.name);
        }
    }
}

#[test]
fn another_models_state_is_refused() {
    for kind in ALL
        .iter()
        .filter(|kind| !fresh(kind).state().moments.is_empty())
    {
        let larger = kind.make(Given::default(), PARAMETERS + 1).state();
        assert!(fresh(kind).restore(larger).is_err(), "{}", kind.name);
        let more = State::zeros(5, PARAMETERS);
        assert!(fresh(kind).restore(more).is_err(), "{}", kind.name);
    }
}

#[test]
fn a_key_that_a_strategy_doesnt_have_or_that_is_out_of_range_is_named() {
    let sgd = named("sgd").expect("there");
    let momentum = Given {
        momentum: Some(0.5),
        ..Given::default()
    };
    let (key, why) = sgd.check(&momentum).expect_err("SGD has no momentum");
    assert_eq!(key.name(), "server.momentum");
    assert!(why.to_string().contains("sgd has no such setting"), "{why}");
    for wrong in [1.0, -0.1, f64::NAN, f64::INFINITY] {
        let given = Given {
            momentum: Some(wrong),
            ..Given::default()
        };
        let (_, why) = named("momentum")
            .expect("there")
            .check(&given)
            .expect_err("out of range");
        assert!(
            matches!(why, InvalidKey::OutOfRange { .. }),
            "{wrong}: {why}"
        );
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = named("adagard").expect_err("misspelt").to_string();
    assert!(ALL.iter().all(|kind| error.contains(kind.name)), "{error}");
}

/// What `examples/make_strategy_fixtures.py` writes.
#[derive(Deserialize)]
struct Flower {
    start: Vec<f64>,
    gradients: Vec<Vec<f64>>,
    strategies: std::collections::BTreeMap<String, Run>,
}

#[derive(Deserialize)]
struct Run {
    learning_rate: f64,
    settings: Settings,
    after: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    momentum: Option<f64>,
    beta1: Option<f64>,
    beta2: Option<f64>,
    epsilon: Option<f64>,
}

/// Every strategy of Flower's that is there, against Flower's own numbers.
#[test]
fn twenty_rounds_come_to_flowers_parameters() {
    let flower: Flower = serde_json::from_str(include_str!("../../tests/strategies/flower.json"))
        .expect("a sound fixture");
    let mut compared = 0;
    for (name, run) in &flower.strategies {
        let Ok(kind) = named(name) else {
            continue;
        };
        let given = Given {
            momentum: run.settings.momentum,
            beta1: run.settings.beta1,
            beta2: run.settings.beta2,
            epsilon: run.settings.epsilon,
        };
        let mut strategy = kind.make(given, flower.start.len());
        let mut parameters: Vec<f32> = flower.start.iter().map(|w| *w as f32).collect();
        for (gradient, after) in flower.gradients.iter().zip(&run.after) {
            strategy.step(&mut parameters, gradient, of(run.learning_rate));
            for (found, expected) in parameters.iter().zip(after) {
                let difference = (f64::from(*found) - expected).abs();
                assert!(difference <= 1e-6, "{name}: {found} for {expected}");
            }
        }
        assert_eq!(run.after.len(), 20);
        compared += 1;
    }
    assert_eq!(compared, flower.strategies.len());
}
