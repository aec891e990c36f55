//! The engine as lists of events and the actions that must follow.

mod absence;
mod steps;

use umbel_coordinator::round::{
    Action, Engine, Event, OpenRound, Participation, Phase, RefusedUpdate, RoundProtocol,
    RoundSettings, Stood,
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
        closes_early: true,
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
