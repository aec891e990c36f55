//! A run whose numbers stop being finite ends there: the round that shows it is paid for, and
//! no other.

use umbel_coordinator::run::absence::Patience;
use umbel_privacy::ledger::chain;
use umbel_proto::message::Ending;

use crate::harness::{Clients, PARAMETERS, Setting, paid_draws, plan, run_at};

const LARGE: [i64; PARAMETERS] = [1 << 30, -(1 << 29), 7];
/// No update but zero survives this one.
const LEARNING_RATE: f64 = 1e300;

fn setting(test: &'static str) -> Setting {
    Setting {
        test,
        plan: plan(8.0, 9),
        minimum: 2,
        attempts: 1,
        patience: Patience::NONE,
    }
}

/// Both are asked, and answer with large numbers.
fn blow_up(clients: &Clients<'_>, round: u32) {
    for name in ["a", "b"] {
        clients.asked(name, round);
        clients.submits(name, round, LARGE);
    }
}

#[test]
fn a_run_whose_parameters_are_not_finite_ends_and_spends_no_more() {
    let outcome = run_at(LEARNING_RATE, setting("diverged"), |clients| {
        blow_up(clients, 1);
        for name in ["a", "b"] {
            assert_eq!(clients.told(name), Ending::Diverged { round: 1 });
        }
    });
    assert_eq!(outcome.ending, Ending::Diverged { round: 1 });
    assert_eq!(
        (outcome.rounds, paid_draws(&outcome)),
        (1, 1),
        "one of nine rounds"
    );
    assert_eq!(outcome.kept, None, "there is no sound model");
    let ledger = outcome.ledger.expect("a ledger");
    let chain = chain::verify(&ledger.bytes).expect("a sound ledger");
    assert_eq!(chain.entries.len(), 1, "what was charged stays charged");
}

#[test]
fn the_last_sound_round_is_what_is_kept_of_a_run_that_diverged_later() {
    let outcome = run_at(LEARNING_RATE, setting("later"), |clients| {
        clients.take_part(1);
        blow_up(clients, 2);
    });
    assert_eq!(outcome.ending, Ending::Diverged { round: 2 });
    assert_eq!((outcome.rounds, paid_draws(&outcome)), (2, 2));
    let (round, parameters) = outcome.kept.expect("round 1 was sound");
    assert_eq!((round, &parameters[..]), (1, &[0.0; PARAMETERS][..]));
}
