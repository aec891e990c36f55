//! From one step of a round to the next, and how a run ends.

use super::*;

#[test]
fn the_gate_is_asked_once_everybody_has_joined() {
    let (mut engine, actions) = after(
        settings(&["a", "b"], 1, 2),
        vec![Event::Joined(client("a"))],
    );
    assert_eq!((engine.phase(), actions), (&Phase::Gathering, vec![]));
    let actions = engine.handle(Event::Joined(client("b")));
    assert_eq!(actions, [Action::AskGate { round: 1 }]);
}

#[test]
fn a_foreign_client_never_counts_as_present() {
    let (engine, actions) = after(settings(&["a"], 1, 1), vec![Event::Joined(client("x"))]);
    assert!(engine.present().is_empty());
    assert_eq!(actions, []);
}

#[test]
fn a_round_goes_from_cohort_to_spending_to_release_to_the_next_gate() {
    let two = ["a", "b"];
    let (mut engine, actions) = after(settings(&two, 2, 2), opened(&two, []));
    let cohort = clients(&two);
    let open = Action::Open {
        round: 1,
        attempt: 0,
        cohort: cohort.clone(),
    };
    assert_eq!(actions, [open]);
    let actions = engine.handle(update("b", 1));
    assert_eq!(actions, [Action::Count(client("b"))]);
    let actions = engine.handle(update("a", 1));
    let spend = Action::RecordSpend { round: 1 };
    assert_eq!(actions, [Action::Count(client("a")), spend]);
    let actions = engine.handle(Event::SpendRecorded);
    let release = Action::Release {
        round: 1,
        participation: Participation {
            counted: cohort,
            missing: vec![],
        },
    };
    assert_eq!(actions, [release]);
    let actions = engine.handle(Event::Released);
    assert_eq!(actions, [Action::AskGate { round: 2 }]);
    assert_eq!(engine.rounds_done(), 1);
}

#[test]
fn the_last_release_completes_the_run() {
    let one = ["a"];
    let end = [update("a", 1), Event::SpendRecorded, Event::Released];
    let (engine, actions) = after(settings(&one, 1, 1), opened(&one, end));
    assert_eq!(actions, [Action::Finish(Ending::Complete)]);
    assert_eq!(engine.rounds_done(), 1);
}

#[test]
fn a_round_that_diverged_is_the_last_and_the_gate_is_not_asked_again() {
    let one = ["a"];
    let end = [
        update("a", 1),
        Event::SpendRecorded,
        Event::Diverged { round: 1 },
    ];
    let (mut engine, actions) = after(settings(&one, 9, 1), opened(&one, end));
    assert_eq!(actions, [Action::Finish(Ending::Diverged { round: 1 })]);
    assert_eq!(engine.rounds_done(), 1, "it is out, and paid for");
    let actions = engine.handle(Event::RoundPermitted);
    assert_eq!(actions, []);
}

#[test]
fn a_round_that_is_not_out_cannot_diverge() {
    let one = ["a"];
    let (engine, _) = after(settings(&one, 2, 1), opened(&one, [update("a", 1)]));
    let mut same = engine.clone();
    let actions = same.handle(Event::Diverged { round: 1 });
    assert_eq!((same, actions), (engine, vec![]));
}

#[test]
fn a_divergence_that_shows_in_the_next_round_ends_the_run_before_that_is_paid_for() {
    let one = ["a"];
    let second = [
        Event::RoundPermitted,
        Event::CohortDrawn(clients(&one)),
        update("a", 2),
    ];
    for later in 0..=second.len() {
        let first = [update("a", 1), Event::SpendRecorded, Event::Released];
        let more = first.into_iter().chain(second[..later].iter().cloned());
        let (mut engine, _) = after(settings(&one, 9, 1), opened(&one, more));
        let actions = engine.handle(Event::Diverged { round: 1 });
        assert_eq!(actions, [Action::Finish(Ending::Diverged { round: 1 })]);
        assert_eq!(engine.rounds_done(), 1);
        assert_eq!(engine.handle(Event::SpendRecorded), []);
    }
}

#[test]
fn what_is_paid_for_is_released_before_an_earlier_round_ends_the_run() {
    let one = ["a"];
    let more = [
        update("a", 1),
        Event::SpendRecorded,
        Event::Released,
        Event::RoundPermitted,
        Event::CohortDrawn(clients(&one)),
        update("a", 2),
        Event::SpendRecorded,
    ];
    let (mut engine, _) = after(settings(&one, 9, 1), opened(&one, more));
    assert_eq!(engine.handle(Event::Diverged { round: 1 }), []);
    assert_eq!(
        engine.handle(Event::Released),
        [Action::AskGate { round: 3 }]
    );
}

#[test]
fn nothing_is_released_before_the_spending_is_recorded() {
    let one = ["a"];
    let (engine, _) = after(settings(&one, 1, 1), opened(&one, [update("a", 1)]));
    let others = [
        Event::Released,
        Event::DeadlinePassed,
        update("a", 1),
        Event::RoundPermitted,
        Event::Left(client("a")),
    ];
    for event in others {
        let mut same = engine.clone();
        let actions = same.handle(event);
        assert_eq!((same.phase(), actions), (engine.phase(), vec![]));
    }
}

#[test]
fn an_exhausted_budget_ends_the_run_before_the_round() {
    let events = vec![Event::Joined(client("a")), Event::BudgetExhausted];
    let (engine, actions) = after(settings(&["a"], 5, 1), events);
    let ending = Ending::BudgetExhausted { rounds: 0 };
    assert_eq!(actions, [Action::Finish(ending)]);
    assert_eq!(engine.rounds_done(), 0);
}

#[test]
fn the_same_update_counts_once_and_another_one_is_refused() {
    let two = ["a", "b"];
    let (mut engine, _) = after(settings(&two, 1, 2), opened(&two, [update("a", 1)]));
    let admits = |name: &str, round, of: &str| engine.admits(&client(name), round, &digest(of));
    assert_eq!(admits("a", 1, "a"), Ok(false));
    assert_eq!(admits("a", 1, "other"), Err(RefusedUpdate::Conflicting));
    assert_eq!(admits("b", 1, "b"), Ok(true));
    assert_eq!(admits("x", 1, "x"), Err(RefusedUpdate::NotInCohort));
    assert_eq!(admits("b", 2, "b"), Err(RefusedUpdate::Closed(2)));
    let actions = engine.handle(update("a", 1));
    assert_eq!(actions, []);
}

#[test]
fn an_empty_poisson_cohort_is_a_noise_only_round() {
    let mut sampled = settings(&["a"], 1, 1);
    sampled.independent = true;
    let events = vec![
        Event::Joined(client("a")),
        Event::RoundPermitted,
        Event::CohortDrawn(vec![]),
    ];
    let (_, actions) = after(sampled, events);
    let open = Action::Open {
        round: 1,
        attempt: 0,
        cohort: vec![],
    };
    assert_eq!(actions, [open, Action::RecordSpend { round: 1 }]);
}

#[test]
fn a_broken_driver_ends_the_run() {
    let events = vec![Event::Broken("the disk is full".into())];
    let (_, actions) = after(settings(&["a"], 1, 1), events);
    assert_eq!(failure(&actions), "the disk is full");
}
