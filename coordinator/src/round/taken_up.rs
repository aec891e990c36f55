//! Where a run stood when it was cut off, as far as the engine is concerned, and how it goes on.

use std::collections::{BTreeMap, BTreeSet};

use umbel_proto::message::{BlobDigest, ClientId};

use super::collection::Collection;
use super::engine::Engine;
use super::event::Action;
use super::phase::Phase;

/// Where a run stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stood {
    /// Rounds whose result is stored.
    pub done: u32,
    /// Who was here. They are expected back, so that a round is open for them and waits for
    /// them until its deadline.
    pub present: BTreeSet<ClientId>,
    /// The attempt that was open.
    pub open: Option<OpenRound>,
}

/// An attempt at a round that was open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRound {
    /// The round.
    pub round: u32,
    /// Tries before this one.
    pub attempt: u32,
    /// Who was to train.
    pub cohort: BTreeSet<ClientId>,
    /// The updates that are in the sum, by their digests.
    pub given: BTreeMap<ClientId, BlobDigest>,
    /// If it was closed already: with whose updates. Nobody else's count any more.
    pub closed: Option<BTreeSet<ClientId>>,
}

impl Engine {
    /// From a new run to one that was cut off, and what is to be done first.
    pub(super) fn stand(&mut self, stood: Stood) -> Vec<Action> {
        let known = |client: &ClientId| self.settings.clients.contains(client);
        self.present = stood.present.into_iter().filter(known).collect();
        self.done = stood.done;
        match stood.open {
            Some(open) => self.reopen(open),
            // The driver looks at the last result once more before anybody hears of the end.
            None if stood.done > 0 && stood.done >= self.settings.rounds => {
                self.done = stood.done - 1;
                self.phase = Phase::Releasing { round: stood.done };
                Vec::new()
            }
            None if stood.done > 0 => self.ask_gate(stood.done + 1, 0),
            None => {
                self.present.clear();
                Vec::new()
            }
        }
    }

    /// Goes on with an attempt at a round, or with closing it.
    fn reopen(&mut self, mut open: OpenRound) -> Vec<Action> {
        open.cohort
            .retain(|client| self.settings.clients.contains(client));
        let again = Action::Open {
            round: open.round,
            attempt: open.attempt,
            cohort: open.cohort.iter().cloned().collect(),
        };
        self.phase = Phase::Collecting {
            round: open.round,
            attempt: open.attempt,
            collection: Collection::taken_up(&open, &self.present, self.waits_for_all()),
        };
        let mut actions = vec![again];
        actions.extend(self.close_if_settled());
        actions.extend(self.quorum_reached(|given, quorum| given >= quorum));
        actions
    }
}
