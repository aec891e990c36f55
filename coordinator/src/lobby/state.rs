//! What the lobby's lock guards.
//!
//! All that happens under it is short: look-ups, counters, and the engine's transitions.
//! Nothing here reads an update's numbers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use umbel_proto::federation::{Refusal, RefusalKind};
use umbel_proto::message::{BlobDigest, ClientId, Instance, Task};

use super::asked::Asked;
use super::attendance::{Attendance, Traffic};
use super::results::Released;
use super::standing::Shown;
use crate::aggregate::{RoundSum, UpdateRules};
use crate::round::{Action, Event, Phase, RoundProtocol, Stood};

/// Why a run stops, to be gone on with by another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The operator said so.
    Shutdown,
    /// The operator said so, of the time when the open round is done. Until then nothing changes.
    AfterRound,
    /// What has to be durable can't be stored.
    Store(String),
}

/// The state of a run, as clients and driver meet it.
pub(super) struct State {
    pub(super) engine: Box<dyn RoundProtocol>,
    /// The open attempt's sum; the last one's until there is another.
    pub(super) sum: Option<Arc<RoundSum>>,
    /// The open round's starting parameters, once the driver has offered them.
    pub(super) parameters: Option<(BlobDigest, Arc<[u8]>)>,
    pub(super) actions: VecDeque<Action>,
    pub(super) traffic: Traffic,
    /// The updates that are in the open attempt's sum.
    pub(super) counted: BTreeMap<ClientId, BlobDigest>,
    /// Why the run is to stop and be gone on with later, if it is.
    pub(super) halted: Option<Halt>,
    /// Whether the operator holds the run back before its next round.
    pub(super) held: bool,
    /// Whether the driver waits before a round because of that.
    pub(super) waits_at_gate: bool,
    /// What the driver knows of how the run stands.
    pub(super) shown: Shown,
    /// Whether the driver is to look up although there is no action.
    pub(super) nudged: bool,
    /// Whether clients that wait for a task may find one now.
    pub(super) tasks_changed: bool,
    pub(super) seats: BTreeMap<ClientId, Seat>,
    /// How many of them know that the run is over.
    told: usize,
    /// What came of the run, once that is known; nothing, if it left no model.
    pub(super) results: Option<Option<Released>>,
    rules: Arc<UpdateRules>,
}

/// What is kept for a client of the run.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) attendance: Attendance,
    /// The last attempt at a round that it was given.
    given: Option<Attempt>,
    /// Its last update that is in the model.
    pub(super) in_model: Option<BlobDigest>,
    /// Whether it knows that the run is over.
    told: bool,
    /// Its process that joined last, since this one began.
    pub(super) joined: Option<Instance>,
    /// Its process that is ready to train.
    pub(super) ready: Option<Instance>,
    /// Whether it gave a sign of life since the driver asked last.
    pub(super) heard: bool,
    /// The last round in which an update of it was refused.
    pub(super) refused_in: Option<u32>,
    /// Whether the run goes on without it, since nothing was heard of it.
    pub(super) silent: bool,
}

/// One attempt at one round: a client trains for it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    round: u32,
    attempt: u32,
}

impl Attempt {
    /// The round.
    pub fn round(self) -> u32 {
        self.round
    }

    /// Which one at this round, from 0.
    pub fn attempt(self) -> u32 {
        self.attempt
    }
}

impl State {
    pub(super) fn new(engine: Box<dyn RoundProtocol>, rules: Arc<UpdateRules>) -> Self {
        let seat = |client: &ClientId| (client.clone(), Seat::default());
        Self {
            seats: engine.settings().clients.iter().map(seat).collect(),
            engine,
            sum: None,
            parameters: None,
            actions: VecDeque::new(),
            traffic: Traffic::default(),
            counted: BTreeMap::new(),
            halted: None,
            held: false,
            waits_at_gate: false,
            shown: Shown::default(),
            nudged: false,
            tasks_changed: false,
            told: 0,
            results: None,
            rules,
        }
    }

    /// Tells the engine, and queues what it asks for.
    pub(super) fn handle(&mut self, event: Event) {
        for action in self.engine.handle(event) {
            match action {
                // Whoever submits it adds the update.
                Action::Count(_) => continue,
                Action::Open { .. } => {
                    // Nothing of an earlier round or attempt may count in this one.
                    let sum = RoundSum::empty(&self.rules, self.seats.len());
                    self.sum = Some(Arc::new(sum));
                    self.counted.clear();
                    self.parameters = None;
                }
                Action::Finish(_) => self.tasks_changed = true,
                Action::Release { .. } => self.note_in_model(),
                _ => {}
            }
            self.actions.push_back(action);
        }
    }

    /// Goes on from where the run stood, with the sum of the attempt that was open.
    pub(super) fn take_up(
        &mut self,
        stood: Stood,
        sum: Option<RoundSum>,
        counted: BTreeMap<ClientId, BlobDigest>,
    ) {
        let actions = self.engine.take_up(stood);
        self.sum = sum.map(Arc::new);
        self.counted = counted;
        self.actions = actions.into();
        self.tasks_changed = true;
    }

    /// Notes that what counts in the open attempt goes into the model.
    fn note_in_model(&mut self) {
        for (client, update) in &self.counted {
            if let Some(seat) = self.seats.get_mut(client) {
                seat.in_model = Some(*update);
            }
        }
    }

    /// Notes that a client was given the task of an attempt before the run was cut off;
    /// `counted`: that its attendance says so already.
    pub(super) fn note_asked_before(
        &mut self,
        client: &ClientId,
        (round, attempt): (u32, u32),
        counted: bool,
    ) {
        if let Some(seat) = self.seats.get_mut(client) {
            seat.given = Some(Attempt { round, attempt });
            seat.attendance.asked = seat.attendance.asked.saturating_add(u32::from(!counted));
        }
    }

    /// Who was given the task of this attempt.
    pub(super) fn asked_in(&self, round: u32, attempt: u32) -> Vec<ClientId> {
        let task = Some(Attempt { round, attempt });
        let seats = self.seats.iter().filter(|(_, seat)| seat.given == task);
        seats.map(|(client, _)| client.clone()).collect()
    }

    /// The attendance of a client of this run.
    pub(super) fn known(&mut self, client: &ClientId) -> Result<&mut Attendance, Refusal> {
        match self.seats.get_mut(client) {
            Some(seat) => Ok(&mut seat.attendance),
            None => Err(Refusal {
                kind: RefusalKind::Foreign,
                reason: format!(
                    "`{client}` isn't a client of this run; add it under [[clients]] in the \
                     coordinator's configuration"
                ),
            }),
        }
    }

    /// Who took part in what so far.
    pub(super) fn attendance(&self) -> impl Iterator<Item = (&ClientId, &Attendance)> {
        self.seats
            .iter()
            .map(|(client, seat)| (client, &seat.attendance))
    }

    /// Notes that a client has its task of the open attempt. Asking for it again changes
    /// nothing: an attempt is one update, and a poll is none.
    pub(super) fn note_given(&mut self, client: &ClientId) {
        let Phase::Collecting { round, attempt, .. } = *self.engine.phase() else {
            return;
        };
        let task = Some(Attempt { round, attempt });
        if let Some(seat) = self.seats.get_mut(client)
            && seat.given != task
        {
            seat.given = task;
            seat.attendance.asked = seat.attendance.asked.saturating_add(1);
        }
    }

    /// Notes that a client knows that the run is over.
    pub(super) fn note_told(&mut self, client: &ClientId) {
        if let Some(seat) = self.seats.get_mut(client) {
            self.told += usize::from(!std::mem::replace(&mut seat.told, true));
        }
    }

    /// Whether everyone who is still here knows that the run is over.
    pub(super) fn everyone_is_told(&self) -> bool {
        let present = self.engine.present();
        let knows = |client: &ClientId| self.seats.get(client).is_some_and(|seat| seat.told);
        // Asked again whenever one of thousands is told: until enough of them are, nobody is looked up.
        self.told >= present.len() && present.iter().all(knows)
    }

    /// Whether everybody who heard of the run's end has left with what came of it.
    pub(super) fn everyone_is_home(&self) -> bool {
        let mut told = self.seats.values().filter(|seat| seat.told);
        told.all(|seat| seat.ready.is_none())
    }

    /// Whether this process stops before the run is over.
    pub(super) fn is_going_away(&self) -> bool {
        let stops = !matches!(self.halted, None | Some(Halt::AfterRound));
        stops && !matches!(self.engine.phase(), Phase::Done(_))
    }

    /// What a client is to do now.
    pub(super) fn task_for(&self, client: &ClientId) -> Option<Task> {
        match self.engine.phase() {
            Phase::Done(ending) => Some(Task::Finished(ending.clone())),
            Phase::Collecting {
                round, collection, ..
            } if collection.lacks(client) => {
                let (parameters, _) = self.parameters.as_ref()?;
                Some(Task::Train {
                    round: *round,
                    parameters: *parameters,
                    counted: self.seats.get(client).and_then(|seat| seat.in_model),
                })
            }
            _ => None,
        }
    }

    /// Who is to give an update of the open attempt, once that has begun and where it isn't `after`;
    /// that there will be no other one, once that is known.
    pub(super) fn asked_after(&self, after: Option<Attempt>) -> Option<Asked> {
        match self.engine.phase() {
            Phase::Done(_) => Some(Asked::NoMore),
            _ if self.is_going_away() => Some(Asked::NoMore),
            Phase::Collecting {
                round,
                attempt,
                collection,
                ..
            } => {
                let (round, attempt) = (*round, *attempt);
                let attempt = Attempt { round, attempt };
                if after == Some(attempt) || self.parameters.is_none() {
                    return None;
                }
                let lacking = collection.cohort().filter(|c| collection.lacks(c));
                let clients = lacking.cloned().collect();
                Some(Asked::Train { attempt, clients })
            }
            _ => None,
        }
    }

    /// Whether this is the sum of the attempt that the engine is at.
    pub(super) fn is_open(&self, sum: &Arc<RoundSum>) -> bool {
        self.sum.as_ref().is_some_and(|open| Arc::ptr_eq(open, sum))
    }
}
