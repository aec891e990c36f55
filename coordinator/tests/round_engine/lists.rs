//! The engine as lists of events and the actions that must follow.

use umbel_coordinator::round::{
    Action, Engine, Event, Participation, Phase, RefusedUpdate, RoundSettings,
};
use umbel_proto::message::{BlobDigest, ClientId, Ending};

fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

fn clients(names: &[&str]) -> Vec<ClientId> {
    names.iter().map(|name| client(name)).collect()
}

fn settings(names: &[&str], rounds: u32, minimum: usize) -> RoundSettings {
    RoundSettings {
        rounds,
        clients: clients(names).into_iter().collect(),
        minimum,
        independent: false,
        quorum: None,
        attempts: 2,
        patient: false,
    }
}

/// The same, where missing clients may come back.
fn patient(names: &[&str], rounds: u32, minimum: usize) -> RoundSettings {
    RoundSettings {
        patient: true,
        ..settings(names, rounds, minimum)
    }
}

fn digest(of: &str) -> BlobDigest {
    BlobDigest::of(of.as_bytes())
}

fn update(name: &str, round: u32) -> Event {
    Event::UpdateArrived {
        client: client(name),
        round,
        digest: digest(name),
    }
}

/// Feeds events and returns the state and the actions of the last one.
fn after(settings: RoundSettings, events: Vec<Event>) -> (Engine, Vec<Action>) {
    let mut engine = Engine::new(settings);
    let last = events
        .into_iter()
        .map(|event| engine.handle(event))
        .last()
        .unwrap_or_default();
    (engine, last)
}

/// Everybody has joined, the gate has opened, the cohort is everybody, and then `more`.
fn opened(names: &[&str], more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let joined = names.iter().map(|name| Event::Joined(client(name)));
    joined
        .chain([Event::RoundPermitted, Event::CohortDrawn(clients(names))])
        .chain(more)
        .collect()
}

/// The reason of the one failure that `actions` must be.
fn failure(actions: &[Action]) -> &str {
    match actions {
        [Action::Finish(Ending::Failed { reason })] => reason,
        other => panic!("expected a failure, got {other:?}"),
    }
}

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

#[test]
fn a_broken_driver_ends_the_run() {
    let events = vec![Event::Broken("the disk is full".into())];
    let (_, actions) = after(settings(&["a"], 1, 1), events);
    assert_eq!(failure(&actions), "the disk is full");
}
