//! Under local noise a site spends whenever it is asked to train. The run's figure is that of
//! the site that spent most, so that a round which is tried again counts again.

use umbel_coordinator::run::Outcome;
use umbel_coordinator::run::absence::Patience;
use umbel_privacy::ledger::chain;
use umbel_proto::message::Ending;
use umbel_proto::plan::AgreedPlan;

use crate::harness::{self, Clients, PARAMETERS, Setting, paid_draws, plan};

/// Runs a plan in which every update is needed; returns the outcome and the entries' draws.
fn run(
    test: &'static str,
    plan: AgreedPlan,
    attempts: u32,
    clients: fn(&Clients<'_>),
) -> (Outcome, Vec<u64>) {
    let setting = Setting {
        test,
        plan,
        minimum: 2,
        attempts,
        patience: Patience::NONE,
    };
    let outcome = harness::run(setting, clients);
    let snapshot = outcome.ledger.clone().expect("a ledger");
    let chain = chain::verify(&snapshot.bytes).expect("a sound ledger");
    let draws = chain.entries.iter().map(|entry| {
        let event = serde_json::to_value(&entry.event).expect("JSON");
        event["count"].as_u64().unwrap_or(1)
    });
    (outcome, draws.collect())
}

#[test]
fn a_round_that_is_repeated_counts_twice_for_the_site_that_spent_most() {
    let (outcome, draws) = run("twice", plan(8.0, 2), 2, |clients| {
        clients.miss(1);
        clients.take_part(1);
        clients.take_part(2);
    });
    assert_eq!(outcome.ending, Ending::Complete);
    assert_eq!((outcome.rounds, paid_draws(&outcome)), (2, 3));
    assert_eq!(draws, [2, 1]);
}

#[test]
fn a_task_names_the_clients_last_update_that_is_in_the_model_and_none_that_came_to_nothing() {
    let (outcome, _) = run("counted", plan(50.0, 3), 2, |clients| {
        clients.goes_on_from("a", 1, None);
        // It counts, but in an attempt that is given up.
        clients.miss(1);
        clients.goes_on_from("a", 1, None);
        clients.submits("a", 1, [1; PARAMETERS]);
        clients.submits("b", 1, [2; PARAMETERS]);
        clients.goes_on_from("a", 2, Some([1; PARAMETERS]));
        clients.goes_on_from("b", 2, Some([2; PARAMETERS]));
        clients.submits("a", 2, [3; PARAMETERS]);
        clients.be_late();
        clients.goes_on_from("a", 2, Some([1; PARAMETERS]));
        clients.take_part(2);
        clients.goes_on_from("a", 3, Some([0; PARAMETERS]));
        clients.take_part(3);
    });
    assert_eq!(outcome.ending, Ending::Complete);
}

#[test]
fn asking_for_the_same_task_again_is_no_spending() {
    let (outcome, draws) = run("polls", plan(8.0, 2), 2, |clients| {
        for _ in 0..1_000 {
            clients.asked("a", 1);
        }
        clients.take_part(1);
        clients.take_part(2);
    });
    assert_eq!(outcome.ending, Ending::Complete);
    assert_eq!((outcome.rounds, paid_draws(&outcome)), (2, 2));
    assert_eq!(draws, [1, 1]);
}

#[test]
fn a_client_that_polls_and_never_trains_costs_one_draw_an_attempt() {
    let (outcome, draws) = run("idle", plan(8.0, 50), 3, |clients| {
        for _ in 0..3 {
            // Waits for the attempt to begin.
            clients.asked("a", 1);
            for _ in 0..500 {
                clients.asked("b", 1);
            }
            clients.submits("a", 1, [0; PARAMETERS]);
            clients.be_late();
        }
    });
    assert!(matches!(outcome.ending, Ending::Failed { .. }));
    assert_eq!((outcome.rounds, paid_draws(&outcome)), (0, 3));
    assert_eq!(draws, [3]);
}

#[test]
fn a_round_that_came_to_nothing_is_on_record() {
    let (outcome, draws) = run("nothing", plan(8.0, 2), 1, |clients| {
        clients.take_part(1);
        clients.miss(2);
    });
    assert!(
        matches!(outcome.ending, Ending::Failed { .. }),
        "{:?}",
        outcome.ending
    );
    assert_eq!((outcome.rounds, paid_draws(&outcome)), (1, 2));
    assert_eq!(draws, [1, 1]);
}

#[test]
fn a_round_is_not_repeated_where_the_budget_holds_only_one() {
    // One draw costs 1.99, two cost 2.94.
    let (outcome, draws) = run("budget", plan(2.5, 2), 2, |clients| clients.miss(1));
    assert_eq!(outcome.ending, Ending::BudgetExhausted { rounds: 0 });
    assert_eq!((outcome.rounds, paid_draws(&outcome)), (0, 1));
    assert_eq!(draws, [1]);
    assert!(outcome.spent.is_some_and(|spent| spent.epsilon <= 2.5));
}
