//! The engine's transitions: one function an event.

use std::collections::BTreeSet;

use umbel_proto::message::{BlobDigest, ClientId, Ending};

use super::collection::Collection;
use super::event::{Action, Event, RefusedUpdate};
use super::phase::Phase;
use super::protocol::RoundProtocol;
use super::taken_up::Stood;

/// What a run demands of its rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundSettings {
    /// Rounds to do.
    pub rounds: u32,
    /// Everybody who may take part.
    pub clients: BTreeSet<ClientId>,
    /// Clients that must be here before the first round, and updates that a round needs.
    pub minimum: usize,
    /// Whether nobody's part in a round may depend on anybody else's, as where the client is the
    /// unit. Then a round waits for its whole cohort, here or not, until its time is over, needs
    /// no minimum of updates, and whoever is absent adds zero.
    pub independent: bool,
    /// Whether an [independent](Self::independent) round ends before its time is over once its whole
    /// cohort has answered. That excludes nobody, but how long a round takes then tells its clients
    /// whether somebody was absent. In a simulation there is nobody to be told.
    pub closes_early: bool,
    /// Of a round's cohort, the share in percent whose updates are enough to stop waiting for the
    /// others before long; nobody is given up before the deadline if `None`. Without meaning for an
    /// [independent](Self::independent) round.
    pub quorum: Option<u8>,
    /// How often a round is tried while enough clients are here.
    pub attempts: u32,
    /// Whether clients that are missing may come back, so that a run without its minimum pauses
    /// for them. In a simulation none does.
    pub patient: bool,
}

/// The rules that runs follow, and a run's state under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    pub(super) settings: RoundSettings,
    /// Always a part of `settings.clients`.
    pub(super) present: BTreeSet<ClientId>,
    /// Who said before the first round that they can't take part. Never also present.
    departed: BTreeSet<ClientId>,
    pub(super) phase: Phase,
    pub(super) done: u32,
    /// Whether no further round, and no further attempt at one, is to begin.
    stopping: bool,
}

impl Engine {
    /// A run that waits for its clients.
    pub fn new(settings: RoundSettings) -> Self {
        Self {
            settings,
            present: BTreeSet::new(),
            departed: BTreeSet::new(),
            phase: Phase::Gathering,
            done: 0,
            stopping: false,
        }
    }
}

impl RoundProtocol for Engine {
    fn settings(&self) -> &RoundSettings {
        &self.settings
    }

    fn phase(&self) -> &Phase {
        &self.phase
    }

    fn present(&self) -> &BTreeSet<ClientId> {
        &self.present
    }

    fn rounds_done(&self) -> u32 {
        self.done
    }

    fn admits(
        &self,
        client: &ClientId,
        round: u32,
        digest: &BlobDigest,
    ) -> Result<bool, RefusedUpdate> {
        match &self.phase {
            Phase::Collecting {
                round: open,
                collection,
                ..
            } if *open == round => collection.admits(client, digest),
            _ => Err(RefusedUpdate::Closed(round)),
        }
    }

    /// Joining, leaving and updates cost a look-up; only opening and closing a round go through
    /// its cohort.
    fn handle(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Joined(client) => self.joined(client),
            Event::Left(client) => self.left(&client),
            Event::GatheringOver => self.gathering_over(),
            Event::RoundPermitted => self.round_permitted(),
            Event::BudgetExhausted => self.budget_exhausted(),
            Event::CohortDrawn(cohort) => self.cohort_drawn(cohort),
            Event::UpdateArrived {
                client,
                round,
                digest,
            } => self.update_arrived(client, round, digest),
            Event::DeadlinePassed => self.deadline_passed(),
            Event::SpendRecorded => self.spend_recorded(),
            Event::Released => self.released(),
            Event::Diverged { round } => self.diverged(round),
            Event::Stop => self.stop(),
            Event::Broken(reason) => self.finish(Ending::Failed { reason }),
        }
    }

    fn take_up(&mut self, stood: Stood) -> Vec<Action> {
        *self = Self::new(self.settings.clone());
        self.stand(stood)
    }
}

impl Engine {
    fn joined(&mut self, client: ClientId) -> Vec<Action> {
        if !self.settings.clients.contains(&client) {
            return Vec::new();
        }
        if let Phase::Collecting { collection, .. } = &mut self.phase {
            collection.came(&client);
        }
        self.departed.remove(&client);
        self.present.insert(client);
        match self.phase {
            Phase::Gathering => self.begin_if_all_are_known(),
            Phase::Paused { round, attempt } if self.enough_are_here() => {
                self.ask_gate(round, attempt)
            }
            _ => Vec::new(),
        }
    }

    fn left(&mut self, client: &ClientId) -> Vec<Action> {
        self.present.remove(client);
        match &mut self.phase {
            Phase::Gathering if self.settings.clients.contains(client) => {
                self.departed.insert(client.clone());
                self.begin_if_all_are_known()
            }
            Phase::Collecting { collection, .. } => {
                collection.left(client);
                self.close_if_settled()
            }
            _ => Vec::new(),
        }
    }

    /// Begins when it is known of every client whether it takes part.
    fn begin_if_all_are_known(&mut self) -> Vec<Action> {
        // Equal sizes are equal sets: nobody is here who isn't in the settings.
        let known = self.present.len() + self.departed.len();
        if known < self.settings.clients.len() {
            return Vec::new();
        }
        if self.enough_are_here() {
            return self.ask_gate(1, 0);
        }
        if self.settings.patient {
            // Whoever left may come back in time.
            return Vec::new();
        }
        self.give_up_waiting()
    }

    /// Whether a round has a chance of its minimum of updates.
    fn enough_are_here(&self) -> bool {
        self.present.len() >= self.settings.minimum.max(1)
    }

    fn gathering_over(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Gathering if self.enough_are_here() => self.ask_gate(1, 0),
            Phase::Gathering => self.pause(1, 0),
            _ => Vec::new(),
        }
    }

    /// Waits for missing clients, if they may come.
    fn pause(&mut self, round: u32, attempt: u32) -> Vec<Action> {
        if !self.settings.patient {
            return self.give_up_waiting();
        }
        self.phase = Phase::Paused { round, attempt };
        vec![Action::Pause {
            round,
            missing: self.absent().cloned().collect(),
        }]
    }

    fn deadline_passed(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Paused { .. } => self.give_up_waiting(),
            _ => self.close(),
        }
    }

    fn absent(&self) -> impl Iterator<Item = &ClientId> {
        self.settings.clients.difference(&self.present)
    }

    fn give_up_waiting(&mut self) -> Vec<Action> {
        let reason = format!(
            "{} of at least {} clients are here, and the others didn't come in time: {}",
            self.present.len(),
            self.settings.minimum.max(1),
            names(self.absent())
        );
        self.finish(Ending::Failed { reason })
    }

    pub(super) fn ask_gate(&mut self, round: u32, attempt: u32) -> Vec<Action> {
        if self.stopping {
            return self.finish(Ending::Stopped { rounds: round - 1 });
        }
        self.phase = Phase::Gate { round, attempt };
        vec![Action::AskGate { round }]
    }

    fn round_permitted(&mut self) -> Vec<Action> {
        let Phase::Gate { round, attempt } = self.phase else {
            return Vec::new();
        };
        self.phase = Phase::Draw { round, attempt };
        vec![Action::DrawCohort { round, attempt }]
    }

    fn budget_exhausted(&mut self) -> Vec<Action> {
        let Phase::Gate { round, .. } = self.phase else {
            return Vec::new();
        };
        self.finish(Ending::BudgetExhausted { rounds: round - 1 })
    }

    fn cohort_drawn(&mut self, drawn: Vec<ClientId>) -> Vec<Action> {
        let Phase::Draw { round, attempt } = self.phase else {
            return Vec::new();
        };
        let known = |client: &ClientId| self.settings.clients.contains(client);
        let cohort: BTreeSet<ClientId> = drawn.into_iter().filter(known).collect();
        let open = Action::Open {
            round,
            attempt,
            cohort: cohort.iter().cloned().collect(),
        };
        self.phase = Phase::Collecting {
            round,
            attempt,
            collection: Collection::of(cohort, &self.present, self.waits_for_all()),
        };
        let mut actions = vec![open];
        actions.extend(self.close_if_settled());
        actions
    }

    fn update_arrived(&mut self, client: ClientId, of: u32, digest: BlobDigest) -> Vec<Action> {
        let counts = match &mut self.phase {
            Phase::Collecting {
                round, collection, ..
            } => *round == of && collection.give(&client, digest),
            _ => false,
        };
        if !counts {
            return Vec::new();
        }
        let mut actions = vec![Action::Count(client)];
        actions.extend(self.close_if_settled());
        actions.extend(self.quorum_reached(|given, quorum| given == quorum));
        actions
    }

    /// Closes the round if nobody is left to wait for, or too few are.
    pub(super) fn close_if_settled(&mut self) -> Vec<Action> {
        match &self.phase {
            Phase::Collecting { collection, .. }
                if collection.is_settled(self.needed())
                    && (!self.takes_its_time() || collection.was_closed()) =>
            {
                self.close()
            }
            _ => Vec::new(),
        }
    }

    /// Takes no more updates: goes on with those that there are, or tries again, or gives up.
    fn close(&mut self) -> Vec<Action> {
        let Phase::Collecting {
            round,
            attempt,
            collection,
        } = &self.phase
        else {
            return Vec::new();
        };
        let (round, attempt, needed) = (*round, *attempt, self.needed());
        if collection.given() >= needed {
            self.phase = Phase::Spending {
                round,
                participation: collection.participation(),
            };
            return vec![Action::RecordSpend { round }];
        }
        if !self.enough_are_here() && self.settings.patient {
            return self.pause(round, attempt + 1);
        }
        if attempt + 1 < self.settings.attempts && self.enough_are_here() {
            return self.ask_gate(round, attempt + 1);
        }
        let reason = format!(
            "round {round} got {} of at least {needed} updates in {} attempts; missing: {}",
            collection.given(),
            attempt + 1,
            names(collection.participation().missing.iter())
        );
        self.finish(Ending::Failed { reason })
    }

    fn spend_recorded(&mut self) -> Vec<Action> {
        let Phase::Spending {
            round,
            participation,
        } = &mut self.phase
        else {
            return Vec::new();
        };
        let (round, participation) = (*round, std::mem::take(participation));
        self.phase = Phase::Releasing { round };
        vec![Action::Release {
            round,
            participation,
        }]
    }

    fn released(&mut self) -> Vec<Action> {
        let Phase::Releasing { round } = self.phase else {
            return Vec::new();
        };
        self.done = round;
        if round < self.settings.rounds {
            self.ask_gate(round + 1, 0)
        } else {
            self.finish(Ending::Complete)
        }
    }

    /// Ends at once where no site was asked to train, and otherwise once that round is over.
    fn stop(&mut self) -> Vec<Action> {
        self.stopping = true;
        match self.phase {
            Phase::Gathering | Phase::Paused { .. } | Phase::Gate { .. } | Phase::Draw { .. } => {
                self.finish(Ending::Stopped { rounds: self.done })
            }
            Phase::Collecting { .. }
            | Phase::Spending { .. }
            | Phase::Releasing { .. }
            | Phase::Done(_) => Vec::new(),
        }
    }

    /// No later round may cost anything. A round that is paid for is released first: the
    /// driver tells of an earlier one only before it pays.
    fn diverged(&mut self, of: u32) -> Vec<Action> {
        match self.phase {
            Phase::Releasing { round } if round == of => self.done = round,
            Phase::Releasing { .. } | Phase::Done(_) => return Vec::new(),
            _ if of == 0 || of > self.done => return Vec::new(),
            _ => {}
        }
        self.finish(Ending::Diverged { round: of })
    }

    fn finish(&mut self, ending: Ending) -> Vec<Action> {
        self.phase = Phase::Done(ending.clone());
        vec![Action::Finish(ending)]
    }
}

fn names<'a>(clients: impl Iterator<Item = &'a ClientId>) -> String {
    let names: Vec<&str> = clients.map(ClientId::as_str).collect();
    names.join(", ")
}
