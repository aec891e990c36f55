//! A sum is divided by a public number, whoever came: neither a site's rows nor its absence
//! change how much another site's update weighs.

use std::sync::Arc;

use umbel_coordinator::run::absence::Patience;
use umbel_proto::message::Ending;

use crate::harness::{Clients, PARAMETERS, Setting, run, unprotected};

const STEPS: [i64; PARAMETERS] = [1 << 30, -(1 << 29), 7];

/// The parameters after one round without noise.
fn parameters(test: &'static str, clients: fn(&Clients<'_>)) -> Arc<[f32]> {
    let plan = unprotected();
    let setting = Setting {
        test,
        plan,
        minimum: 1,
        attempts: 1,
        patience: Patience::NONE,
    };
    let outcome = run(setting, clients);
    assert_eq!(outcome.ending, Ending::Complete);
    assert!(outcome.ledger.is_none() && outcome.spent.is_none());
    let (round, parameters) = outcome.kept.expect("a sound round");
    assert_eq!(round, 1);
    parameters
}

#[test]
fn a_sum_is_divided_by_the_expected_batch_and_not_by_who_came() {
    // Plain gradient descent at rate 0.1 on a sum divided by 10.
    let step = unprotected().submitted_step().get();
    let expected: Vec<f32> = STEPS
        .iter()
        .map(|&steps| (-0.1 * (steps as f64 * step / 10.0)) as f32)
        .collect();
    assert!(expected[0] != 0.0);
    let with_a_zero = parameters("zero", |clients| {
        clients.asked("a", 1);
        clients.asked("b", 1);
        clients.submits("a", 1, STEPS);
        clients.submits("b", 1, [0; PARAMETERS]);
    });
    let one_left = parameters("left", |clients| {
        clients.asked("a", 1);
        clients.asked("b", 1);
        clients.submits("a", 1, STEPS);
        clients.leaves("b");
    });
    let one_late = parameters("late", |clients| {
        clients.asked("a", 1);
        clients.asked("b", 1);
        clients.submits("a", 1, STEPS);
        clients.be_late();
    });
    for found in [with_a_zero, one_left, one_late] {
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= expected.abs() * 1e-6,
                "{found} {expected}"
            );
        }
    }
}
