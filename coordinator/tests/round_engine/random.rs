//! Runs drawn at random: settings, and what happens.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use umbel_coordinator::round::{Action, Event, RoundSettings};
use umbel_proto::message::{BlobDigest, ClientId};

pub const CLIENTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// One more, whom the run doesn't know.
pub const ANYBODY: [&str; 7] = ["a", "b", "c", "d", "e", "f", "stranger"];
pub const DIGESTS: u8 = 2;

pub fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

pub fn digest(which: u8) -> BlobDigest {
    BlobDigest::from([which; 32])
}

pub fn settings() -> impl Strategy<Value = RoundSettings> {
    let clients = subsequence(CLIENTS.to_vec(), 0..=CLIENTS.len());
    let quorum = prop::option::of(1..=100u8);
    (
        1..4u32,
        clients,
        0..5usize,
        any::<[bool; 3]>(),
        1..3u32,
        quorum,
    )
        .prop_map(
            |(rounds, clients, minimum, [independent, patient, closes_early], attempts, quorum)| {
                RoundSettings {
                    rounds,
                    clients: clients.into_iter().map(client).collect::<BTreeSet<_>>(),
                    minimum,
                    independent,
                    closes_early,
                    quorum,
                    attempts,
                    patient,
                }
            },
        )
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// This, whether or not it fits.
    Any(Event),
    /// What the last action asks for, so that runs get on.
    Answer(Vec<ClientId>),
    /// An update for the round that was opened last.
    Update(ClientId, u8),
}

fn any_event() -> impl Strategy<Value = Event> {
    let anybody = || select(ANYBODY.to_vec()).prop_map(client);
    let drawn = subsequence(ANYBODY.to_vec(), 0..=ANYBODY.len());
    let update = (anybody(), 0..4u32, 0..DIGESTS);
    prop_oneof![
        3 => anybody().prop_map(Event::Joined),
        3 => anybody().prop_map(Event::Left),
        1 => Just(Event::GatheringOver),
        1 => Just(Event::RoundPermitted),
        1 => Just(Event::BudgetExhausted),
        1 => drawn.prop_map(|names| Event::CohortDrawn(names.into_iter().map(client).collect())),
        2 => update.prop_map(|(client, round, which)| Event::UpdateArrived {
            client,
            round,
            digest: digest(which),
        }),
        2 => Just(Event::DeadlinePassed),
        1 => Just(Event::SpendRecorded),
        1 => Just(Event::Released),
        1 => (0..4u32).prop_map(|round| Event::Diverged { round }),
        1 => Just(Event::Stop),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    let drawn = subsequence(ANYBODY.to_vec(), 3..=ANYBODY.len());
    prop_oneof![
        5 => any_event().prop_map(Step::Any),
        5 => drawn.prop_map(|names| Step::Answer(names.into_iter().map(client).collect())),
        5 => (select(CLIENTS.to_vec()), 0..DIGESTS)
            .prop_map(|(name, which)| Step::Update(client(name), which)),
    ]
}

/// The event that answers an action, if there is one.
fn answer(action: Option<&Action>, drawn: Vec<ClientId>) -> Option<Event> {
    match action? {
        Action::AskGate { .. } => Some(Event::RoundPermitted),
        Action::DrawCohort { .. } => Some(Event::CohortDrawn(drawn)),
        Action::RecordSpend { .. } => Some(Event::SpendRecorded),
        Action::Release { .. } => Some(Event::Released),
        Action::Open { .. }
        | Action::Count(_)
        | Action::GrantGrace { .. }
        | Action::Pause { .. }
        | Action::Finish(_) => None,
    }
}

impl Step {
    /// The event that this is, after the last action and the last round that was opened; `None` for an
    /// answer to what asks for none.
    pub fn event(self, last: Option<&Action>, open: u32) -> Option<Event> {
        match self {
            Self::Any(event) => Some(event),
            Self::Update(client, which) => Some(Event::UpdateArrived {
                client,
                round: open,
                digest: digest(which),
            }),
            Self::Answer(drawn) => answer(last, drawn),
        }
    }
}
