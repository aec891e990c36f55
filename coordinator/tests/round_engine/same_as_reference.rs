//! Whatever happens, in whatever order, the engine asks for what the reference asks for.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use umbel_coordinator::round::{Action, Engine, Event, RoundSettings};
use umbel_proto::message::{BlobDigest, ClientId};

use crate::reference::Reference;

const CLIENTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// One more, whom the run doesn't know.
const ANYBODY: [&str; 7] = ["a", "b", "c", "d", "e", "f", "stranger"];
const DIGESTS: u8 = 2;

fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

fn digest(which: u8) -> BlobDigest {
    BlobDigest::from([which; 32])
}

fn settings() -> impl Strategy<Value = RoundSettings> {
    let clients = subsequence(CLIENTS.to_vec(), 0..=CLIENTS.len());
    let quorum = prop::option::of(1..=100u8);
    (
        1..4u32,
        clients,
        0..5usize,
        any::<[bool; 2]>(),
        1..3u32,
        quorum,
    )
        .prop_map(
            |(rounds, clients, minimum, [independent, patient], attempts, quorum)| RoundSettings {
                rounds,
                clients: clients.into_iter().map(client).collect::<BTreeSet<_>>(),
                minimum,
                independent,
                quorum,
                attempts,
                patient,
            },
        )
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
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

fn step() -> impl Strategy<Value = Step> {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_engine_does_what_the_reference_does(
        settings in settings(),
        steps in prop::collection::vec(step(), 0..120),
        broken in prop::option::weighted(0.05, 0..120usize),
    ) {
        let mut engine = Engine::new(settings.clone());
        let mut reference = Reference::new(settings.clone());
        let (mut last, mut open) = (None, 1);
        let joined = settings.clients.iter().cloned().map(|c| Step::Any(Event::Joined(c)));
        for (i, step) in joined.chain(steps).enumerate() {
            let event = match step {
                _ if broken == Some(i) => Event::Broken("the disk is full".into()),
                Step::Any(event) => event,
                Step::Update(client, which) => Event::UpdateArrived {
                    client,
                    round: open,
                    digest: digest(which),
                },
                Step::Answer(drawn) => match answer(last.as_ref(), drawn) {
                    Some(event) => event,
                    None => continue,
                },
            };
            let actions = engine.handle(event.clone());
            prop_assert_eq!(&actions, &reference.handle(event));
            prop_assert_eq!(engine.rounds_done(), reference.rounds_done());
            let present: BTreeSet<ClientId> = reference.present().iter().cloned().collect();
            prop_assert_eq!(engine.present(), &present);
            for (name, which) in ANYBODY.iter().flat_map(|name| [(name, 0), (name, 1)]) {
                let (client, digest) = (client(name), digest(which));
                let admits = |round| engine.admits(&client, round, &digest).ok();
                let expected = |round| reference.admits(&client, round, &digest);
                prop_assert_eq!(admits(open), expected(open));
                prop_assert_eq!(admits(open + 1), expected(open + 1));
            }
            for action in actions {
                if let Action::Open { round, .. } = &action {
                    open = *round;
                }
                last = Some(action);
            }
        }
    }
}
