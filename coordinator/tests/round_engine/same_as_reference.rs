//! Whatever happens, in whatever order, the engine asks for what the reference asks for.

use std::collections::BTreeSet;

use proptest::prelude::*;
use umbel_coordinator::round::{Action, Engine, Event, RoundProtocol};
use umbel_proto::message::ClientId;

use crate::random::{ANYBODY, Step, client, digest, settings, step};
use crate::reference::Reference;

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
            let event = match broken == Some(i) {
                true => Some(Event::Broken("the disk is full".into())),
                false => step.event(last.as_ref(), open),
            };
            let Some(event) = event else {
                continue;
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
