//! Clients that are missing, late or gone.

use super::*;

#[test]
fn a_deadline_closes_a_round_that_has_its_minimum() {
    let three = ["a", "b", "c"];
    let end = [update("a", 1), update("c", 1), Event::DeadlinePassed];
    let (mut engine, actions) = after(settings(&three, 1, 2), opened(&three, end));
    assert_eq!(actions, [Action::RecordSpend { round: 1 }]);
    let actions = engine.handle(Event::SpendRecorded);
    let Some(Action::Release { participation, .. }) = actions.first() else {
        panic!("expected a release, got {actions:?}");
    };
    assert_eq!(participation.missing, [client("b")]);
}

#[test]
fn a_round_below_its_minimum_is_repeated_and_then_fails_the_run() {
    let two = ["a", "b"];
    let late = [update("a", 1), Event::DeadlinePassed];
    let (mut engine, actions) = after(settings(&two, 1, 2), opened(&two, late));
    assert_eq!(actions, [Action::AskGate { round: 1 }]);
    let actions = engine.handle(Event::RoundPermitted);
    let again = Action::DrawCohort {
        round: 1,
        attempt: 1,
    };
    assert_eq!(actions, [again]);
    let _ = engine.handle(Event::CohortDrawn(clients(&two)));
    let actions = engine.handle(Event::DeadlinePassed);
    let reason = failure(&actions);
    assert!(reason.contains("missing: a, b"), "{reason}");
}

#[test]
fn a_round_is_not_repeated_if_the_budget_does_not_allow_it() {
    let two = ["a", "b"];
    let late = [
        update("a", 1),
        Event::DeadlinePassed,
        Event::BudgetExhausted,
    ];
    let (_, actions) = after(settings(&two, 1, 2), opened(&two, late));
    let ending = Ending::BudgetExhausted { rounds: 0 };
    assert_eq!(actions, [Action::Finish(ending)]);
}

#[test]
fn nobody_waits_for_a_client_that_left() {
    let three = ["a", "b", "c"];
    let end = [update("a", 1), update("b", 1), Event::Left(client("c"))];
    let (_, actions) = after(settings(&three, 1, 2), opened(&three, end));
    assert_eq!(actions, [Action::RecordSpend { round: 1 }]);
}

#[test]
fn a_run_that_can_never_reach_its_minimum_fails_at_once() {
    let two = ["a", "b"];
    let end = [Event::Left(client("b"))];
    let (_, actions) = after(settings(&two, 1, 2), opened(&two, end));
    failure(&actions);
}

#[test]
fn gathering_ends_with_enough_clients_or_fails_naming_the_absent() {
    let three = settings(&["a", "b", "c"], 1, 2);
    let joined = |name: &str| Event::Joined(client(name));
    let enough = vec![joined("a"), joined("b"), Event::GatheringOver];
    let (_, actions) = after(three.clone(), enough);
    assert_eq!(actions, [Action::AskGate { round: 1 }]);

    let (_, actions) = after(three, vec![joined("a"), Event::GatheringOver]);
    let reason = failure(&actions);
    assert!(reason.ends_with("in time: b, c"), "{reason}");
}

#[test]
fn gathering_ends_early_once_all_who_are_missing_said_that_they_cannot_come() {
    let joined = |name: &str| Event::Joined(client(name));
    let left = |name: &str| Event::Left(client(name));
    let events = vec![joined("a"), left("b"), joined("c")];
    let (_, actions) = after(settings(&["a", "b", "c"], 1, 2), events.clone());
    assert_eq!(actions, [Action::AskGate { round: 1 }]);
    let (_, actions) = after(settings(&["a", "b", "c"], 1, 3), events.clone());
    assert!(failure(&actions).ends_with("in time: b"));
    let (mut engine, actions) = after(patient(&["a", "b", "c"], 1, 3), events);
    assert_eq!((engine.phase(), actions), (&Phase::Gathering, vec![]));
    let actions = engine.handle(joined("b"));
    assert_eq!(actions, [Action::AskGate { round: 1 }]);
}

#[test]
fn below_its_minimum_a_run_pauses_and_goes_on_when_enough_are_back() {
    let two = ["a", "b"];
    let end = [update("a", 1), Event::Left(client("b"))];
    let (mut engine, actions) = after(patient(&two, 1, 2), opened(&two, end));
    let pause = Action::Pause {
        round: 1,
        missing: clients(&["b"]),
    };
    assert_eq!(actions, [pause]);
    let (round, attempt) = (1, 1);
    assert_eq!(engine.phase(), &Phase::Paused { round, attempt });
    assert_eq!(engine.handle(Event::Joined(client("a"))), []);
    let actions = engine.handle(Event::Joined(client("b")));
    assert_eq!(actions, [Action::AskGate { round }]);
    let actions = engine.handle(Event::RoundPermitted);
    assert_eq!(actions, [Action::DrawCohort { round, attempt }]);
}

#[test]
fn a_pause_ends_the_run_when_nobody_comes_in_time() {
    let two = ["a", "b"];
    let end = [Event::Left(client("b")), Event::DeadlinePassed];
    let (_, actions) = after(patient(&two, 1, 2), opened(&two, end));
    assert!(failure(&actions).ends_with("in time: b"));
    let events = vec![
        Event::Joined(client("a")),
        Event::GatheringOver,
        Event::DeadlinePassed,
    ];
    let (_, actions) = after(patient(&two, 1, 2), events);
    assert!(failure(&actions).starts_with("1 of at least 2 clients"));
}

#[test]
fn where_clients_are_the_unit_a_round_takes_its_time_whoever_is_absent() {
    let two = ["a", "b"];
    let independent = RoundSettings {
        independent: true,
        ..patient(&two, 1, 2)
    };
    let end = [Event::Left(client("b")), update("a", 1)];
    let (mut engine, actions) = after(independent.clone(), opened(&two, end));
    assert_eq!(actions, [Action::Count(client("a"))], "b may still answer");
    let actions = engine.handle(Event::DeadlinePassed);
    assert_eq!(actions, [Action::RecordSpend { round: 1 }]);
    // All have answered, and nobody's part can depend on anybody's any more.
    let end = [update("b", 1), update("a", 1)];
    let (_, actions) = after(independent, opened(&two, end));
    let spend = Action::RecordSpend { round: 1 };
    assert_eq!(actions, [Action::Count(client("a")), spend]);
}

/// Clients see when the next round begins.
#[test]
fn where_clients_are_the_unit_a_rounds_time_can_tell_nothing() {
    let two = ["a", "b"];
    let secret = RoundSettings {
        independent: true,
        closes_early: false,
        ..patient(&two, 1, 2)
    };
    let end = [update("b", 1), update("a", 1)];
    let (mut engine, actions) = after(secret.clone(), opened(&two, end));
    assert_eq!(actions, [Action::Count(client("a"))], "all have answered");
    let actions = engine.handle(Event::DeadlinePassed);
    assert_eq!(actions, [Action::RecordSpend { round: 1 }]);
    // A cohort of nobody takes as long.
    let drawn = [Event::RoundPermitted, Event::CohortDrawn(Vec::new())];
    let here = two.map(|name| Event::Joined(client(name)));
    let (mut engine, actions) = after(secret, here.into_iter().chain(drawn).collect());
    assert!(matches!(actions[..], [Action::Open { .. }]), "{actions:?}");
    let actions = engine.handle(Event::DeadlinePassed);
    assert_eq!(actions, [Action::RecordSpend { round: 1 }]);
}

#[test]
fn a_round_that_was_closed_before_a_restart_isnt_kept_open_for_its_time() {
    let two = ["a", "b"];
    let settings = RoundSettings {
        independent: true,
        closes_early: false,
        ..patient(&two, 1, 2)
    };
    let stood = |given: &[&str], closed: Option<&[&str]>| Stood {
        done: 0,
        present: clients(&two).into_iter().collect(),
        open: Some(OpenRound {
            round: 1,
            attempt: 0,
            cohort: clients(&two).into_iter().collect(),
            given: given
                .iter()
                .map(|name| (client(name), digest(name)))
                .collect(),
            closed: closed.map(|names| clients(names).into_iter().collect()),
        }),
    };
    let mut engine = Engine::new(settings);
    let actions = engine.take_up(stood(&two, None));
    assert!(matches!(actions[..], [Action::Open { .. }]), "{actions:?}");
    let actions = engine.take_up(stood(&["a"], Some(&["a"])));
    assert_eq!(actions.last(), Some(&Action::RecordSpend { round: 1 }));
}

#[test]
fn once_a_quorum_is_here_the_others_have_a_grace() {
    let four = ["a", "b", "c", "d"];
    let quorum = RoundSettings {
        quorum: Some(51),
        ..settings(&four, 1, 2)
    };
    let two = [update("a", 1), update("b", 1)];
    let (mut engine, actions) = after(quorum.clone(), opened(&four, two));
    assert_eq!(
        actions,
        [Action::Count(client("b"))],
        "51 percent of four are three"
    );
    let grace = Action::GrantGrace {
        round: 1,
        attempt: 0,
    };
    let actions = engine.handle(update("c", 1));
    assert_eq!(actions, [Action::Count(client("c")), grace.clone()]);
    let closed = engine.handle(Event::DeadlinePassed);
    assert_eq!(closed, [Action::RecordSpend { round: 1 }]);
    // Everybody's update closes the round, and there is nobody to wait for.
    let all = four.map(|name| update(name, 1));
    let (_, actions) = after(quorum, opened(&four, all));
    assert_eq!(actions.last(), Some(&Action::RecordSpend { round: 1 }));
    // A round never closes with fewer updates than it needs.
    let needs_all = RoundSettings {
        quorum: Some(25),
        ..settings(&four, 1, 4)
    };
    let (_, actions) = after(needs_all, opened(&four, [update("a", 1)]));
    assert_eq!(actions, [Action::Count(client("a"))]);
}

#[test]
fn where_clients_are_the_unit_no_quorum_cuts_anybody_off() {
    let two = ["a", "b"];
    let independent = RoundSettings {
        independent: true,
        quorum: Some(1),
        ..patient(&two, 1, 0)
    };
    let (_, actions) = after(independent, opened(&two, [update("a", 1)]));
    assert_eq!(actions, [Action::Count(client("a"))]);
}
