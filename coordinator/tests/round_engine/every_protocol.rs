//! What holds of every protocol, whatever happens and in whatever order: see [`RoundProtocol`].

use std::collections::BTreeSet;

use proptest::prelude::*;
use umbel_coordinator::round::{
    Action, Engine, Event, Participation, RoundProtocol, RoundSettings,
};
use umbel_proto::message::ClientId;

use crate::closes_at_once::ClosesAtOnce;
use crate::random::{Step, settings, step};

/// Every protocol there is.
fn protocols(settings: &RoundSettings) -> [Box<dyn RoundProtocol>; 2] {
    [
        Box::new(Engine::new(settings.clone())),
        Box::new(ClosesAtOnce::new(settings.clone())),
    ]
}

/// An attempt at a round.
struct Attempt {
    round: u32,
    cohort: BTreeSet<ClientId>,
    counted: BTreeSet<ClientId>,
    /// Whether it takes no more updates.
    closed: bool,
    paid: bool,
}

/// What was seen of a run so far.
#[derive(Default)]
struct Seen {
    /// Whether the gate was asked, and hasn't answered.
    asked: bool,
    /// Whether it permitted an attempt that wasn't begun.
    permitted: bool,
    attempt: Option<Attempt>,
    /// The last round that was released.
    released: u32,
    over: bool,
}

impl Seen {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RoundPermitted => self.permitted |= std::mem::take(&mut self.asked),
            Event::SpendRecorded => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.paid = attempt.closed;
                }
            }
            _ => {}
        }
    }

    fn action(&mut self, action: &Action, settings: &RoundSettings) -> Result<(), TestCaseError> {
        prop_assert!(!self.over || matches!(action, Action::Finish(_)));
        match action {
            Action::AskGate { .. } => {
                (self.asked, self.permitted, self.attempt) = (true, false, None);
            }
            Action::DrawCohort { .. } => prop_assert!(self.permitted, "the gate says when"),
            Action::Open { round, cohort, .. } => {
                prop_assert!(std::mem::take(&mut self.permitted), "the gate says when");
                prop_assert_eq!(*round, self.released + 1);
                let cohort: BTreeSet<ClientId> = cohort.iter().cloned().collect();
                prop_assert!(cohort.is_subset(&settings.clients));
                self.attempt = Some(Attempt {
                    round: *round,
                    cohort,
                    counted: BTreeSet::new(),
                    closed: false,
                    paid: false,
                });
            }
            Action::Count(client) => {
                let attempt = self.open()?;
                prop_assert!(attempt.cohort.contains(client));
                prop_assert!(attempt.counted.insert(client.clone()), "counted twice");
            }
            Action::GrantGrace { round, .. } => prop_assert_eq!(self.open()?.round, *round),
            Action::RecordSpend { round } => {
                let attempt = self.open()?;
                prop_assert_eq!(attempt.round, *round);
                attempt.closed = true;
            }
            Action::Release {
                round,
                participation,
            } => self.release(*round, participation)?,
            Action::Pause { .. } => self.attempt = None,
            Action::Finish(_) => self.over = true,
        }
        Ok(())
    }

    /// The attempt that takes updates.
    fn open(&mut self) -> Result<&mut Attempt, TestCaseError> {
        let open = self.attempt.as_mut().filter(|attempt| !attempt.closed);
        open.ok_or_else(|| TestCaseError::fail("no round is open"))
    }

    fn release(&mut self, round: u32, took_part: &Participation) -> Result<(), TestCaseError> {
        let attempt = self.attempt.take().filter(|attempt| attempt.paid);
        let attempt = attempt.ok_or_else(|| TestCaseError::fail("nobody paid for it"))?;
        prop_assert_eq!(attempt.round, round);
        let counted: BTreeSet<ClientId> = took_part.counted.iter().cloned().collect();
        prop_assert_eq!(&counted, &attempt.counted);
        let missing: BTreeSet<ClientId> = took_part.missing.iter().cloned().collect();
        prop_assert_eq!(&attempt.cohort - &counted, missing);
        self.released = round;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_is_released_that_was_not_permitted_counted_and_paid_for(
        settings in settings(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        for mut protocol in protocols(&settings) {
            let mut seen = Seen::default();
            let (mut last, mut open) = (None, 1);
            let joined = settings.clients.iter().cloned().map(|c| Step::Any(Event::Joined(c)));
            for step in joined.chain(steps.clone()) {
                let Some(event) = step.event(last.as_ref(), open) else {
                    continue;
                };
                seen.event(&event);
                for action in protocol.handle(event) {
                    seen.action(&action, &settings)?;
                    if let Action::Open { round, .. } = &action {
                        open = *round;
                    }
                    last = Some(action);
                }
                prop_assert!(protocol.rounds_done() <= seen.released);
                prop_assert!(protocol.present().is_subset(&settings.clients));
            }
        }
    }
}
