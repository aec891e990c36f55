//! Where clients and the driver of a run meet: the shared state behind [`Federation`].
//!
//! Clients' calls come from any thread. They are answered here at once, from the engine's
//! state; what takes time (noise, optimiser, evaluation) is queued as [`Action`]s for the
//! one driver ([`crate::run`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use umbel_privacy::certificate::Countersignature;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::message::{
    BlobDigest, ClientId, Hello, ModelFile, PROTOCOL_VERSION, Receipt, Task, Update, Welcome,
};

use crate::accumulator::UpdateRules;
use crate::round::{Action, Engine, Event, Phase, RoundSettings};
use crate::witness::{Witness, WitnessTerms};

/// What the hall offers to everyone who comes in.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The plan's exact bytes.
    pub plan: Vec<u8>,
    /// The run's label set, which a site's own must equal.
    pub labels: Vec<String>,
    /// The base model's files with their content.
    pub files: Vec<(ModelFile, Arc<[u8]>)>,
}

/// What became of one client's updates over the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attendance {
    /// Updates that count.
    pub counted: u32,
    /// Tasks to train that it was given: attempts at a round, however often it asked for each.
    /// It may have spent for one update in each, whatever became of it.
    pub asked: u32,
    /// Updates that were refused.
    pub refused: u32,
    /// The last refusal.
    pub last_refusal: Option<String>,
    /// Rounds in whose cohort it was without sending anything that counts.
    pub missed: u32,
    /// Whether it ever joined.
    pub joined: bool,
    /// Whether it left before the end.
    pub left: bool,
}

/// The meeting place of one run.
pub struct Hall {
    offer: Offer,
    rules: UpdateRules,
    witness: Witness,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    engine: Engine,
    sum: LatticeVector,
    /// The open round's starting parameters, once the driver has offered them.
    parameters: Option<(BlobDigest, Arc<[u8]>)>,
    actions: VecDeque<Action>,
    attendance: BTreeMap<ClientId, Attendance>,
    /// The last attempt at a round that each client was given.
    given: BTreeMap<ClientId, Attempt>,
    /// Who knows that the run is over.
    told: BTreeSet<ClientId>,
    traffic: Traffic,
}

/// One attempt at one round: a client trains for it once.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Attempt {
    round: u32,
    attempt: u32,
}

/// Payload bytes that crossed between coordinator and clients, not counting framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent by clients.
    pub up: u64,
    /// Sent to clients.
    pub down: u64,
}

impl Hall {
    /// Opens the hall of a run.
    pub fn new(offer: Offer, rules: UpdateRules, settings: RoundSettings) -> Self {
        let attendance = settings
            .clients
            .iter()
            .map(|client| (client.clone(), Attendance::default()))
            .collect();
        let state = State {
            engine: Engine::new(settings),
            sum: rules.empty_sum(),
            parameters: None,
            actions: VecDeque::new(),
            attendance,
            given: BTreeMap::new(),
            told: BTreeSet::new(),
            traffic: Traffic::default(),
        };
        Self {
            offer,
            rules,
            witness: Witness::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Waits for the driver's next action, at most `wait`; `None` if there was none.
    pub(crate) fn next_action(&self, wait: Duration) -> Option<Action> {
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, wait, |state| state.actions.is_empty())
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.actions.pop_front()
    }

    /// Tells the engine what happened.
    pub(crate) fn tell(&self, event: Event) {
        let mut state = self.lock();
        state.handle(event);
        drop(state);
        self.changed.notify_all();
    }

    /// Offers the open round's starting parameters; clients get their tasks from now on.
    pub(crate) fn offer_round(&self, parameters: Arc<[u8]>) {
        let mut state = self.lock();
        state.parameters = Some((BlobDigest::of(&parameters), parameters));
        drop(state);
        self.changed.notify_all();
    }

    /// Takes the round's sum away, leaving an empty one.
    pub(crate) fn take_sum(&self) -> LatticeVector {
        std::mem::replace(&mut self.lock().sum, self.rules.empty_sum())
    }

    /// Notes who was waited for in vain.
    pub(crate) fn note_missing(&self, missing: &[ClientId]) {
        let mut state = self.lock();
        for client in missing {
            if let Some(attendance) = state.attendance.get_mut(client) {
                attendance.missed += 1;
            }
        }
    }

    /// Where the run stands.
    pub fn phase(&self) -> Phase {
        self.lock().engine.phase().clone()
    }

    /// Rounds whose result is out.
    pub fn rounds_done(&self) -> u32 {
        self.lock().engine.rounds_done()
    }

    /// Who took part in what so far.
    pub fn attendance(&self) -> BTreeMap<ClientId, Attendance> {
        self.lock().attendance.clone()
    }

    /// How often the client that was asked most often was asked to train.
    pub(crate) fn most_asked(&self) -> u32 {
        let state = self.lock();
        let asked = state.attendance.values().map(|attendance| attendance.asked);
        asked.max().unwrap_or(0)
    }

    /// Bytes moved so far.
    pub fn traffic(&self) -> Traffic {
        self.lock().traffic
    }

    /// Waits until something happens, at most `wait`.
    pub(crate) fn wait_for_change(&self, wait: Duration) {
        // Whether it was a change or the time makes no difference to who asks again.
        drop(self.changed.wait_timeout(self.lock(), wait));
    }

    /// Lets clients in: the ledger is open, and known is who will sign.
    pub fn open(&self, terms: WitnessTerms) {
        self.witness.open(terms);
    }

    /// What coordinator and sites show each other of their ledgers.
    pub(crate) fn witness(&self) -> &Witness {
        &self.witness
    }

    /// Whether nobody is here any more: all have signed what they were told, or left.
    pub fn everyone_left(&self) -> bool {
        self.lock().engine.present().is_empty()
    }

    /// Whether everyone who is still here has been told that the run is over.
    pub fn everyone_told(&self) -> bool {
        let state = self.lock();
        state
            .engine
            .present()
            .iter()
            .all(|client| state.told.contains(client))
    }

    /// A poisoned lock means that a call panicked half-way; the state is replaced as a
    /// whole or not at all, so the others may go on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn known<'a>(state: &'a mut State, client: &ClientId) -> Result<&'a mut Attendance, Refusal> {
        state.attendance.get_mut(client).ok_or_else(|| Refusal {
            kind: RefusalKind::Foreign,
            reason: format!(
                "`{client}` isn't a client of this run; add it under [[clients]] in the \
                 coordinator's configuration"
            ),
        })
    }

    fn check_hello(&self, hello: &Hello) -> Result<(), Refusal> {
        let mismatch = |reason| Refusal {
            kind: RefusalKind::Mismatch,
            reason,
        };
        if hello.protocol != PROTOCOL_VERSION {
            return Err(mismatch(format!(
                "the client ({}) speaks protocol {}, the coordinator {PROTOCOL_VERSION}; install \
                 the same version on both",
                hello.software, hello.protocol
            )));
        }
        if !hello.labels.is_empty() && hello.labels != self.offer.labels {
            return Err(mismatch(format!(
                "the site's labels are {}, the run's are {}; make data.labels the same on both \
                 sides, in the same order",
                hello.labels.join(", "),
                self.offer.labels.join(", ")
            )));
        }
        Ok(())
    }

    fn take_update(&self, state: &mut State, client: &ClientId, update: &Update) -> Receipt {
        let refused = |reason: String| Receipt::Refused { reason };
        let digest = BlobDigest::of(&update.values);
        match state.engine.admits(client, update.round, &digest) {
            Err(why) => return refused(why.to_string()),
            Ok(false) => return Receipt::Duplicate,
            Ok(true) => {}
        }
        let vector = match self.rules.read(&update.values) {
            Ok(vector) => vector,
            Err(why) => return refused(why.to_string()),
        };
        // The sum is changed before the engine is told, so that it is complete when the
        // engine closes the round.
        if let Err(why) = state.sum.checked_add_assign(&vector) {
            return refused(why.to_string());
        }
        // It has trained for this attempt, even if it never fetched the task.
        state.note_given(client);
        state.handle(Event::UpdateArrived {
            client: client.clone(),
            round: update.round,
            digest,
        });
        Receipt::Accepted
    }
}

impl Attendance {
    fn refuse(&mut self, client: &ClientId, reason: &str) {
        self.refused += 1;
        self.last_refusal = Some(reason.to_owned());
        tracing::warn!(%client, reason, "update refused");
    }
}

impl State {
    fn handle(&mut self, event: Event) {
        let (engine, actions) = self.engine.clone().handle(event);
        self.engine = engine;
        for action in actions {
            match action {
                // The update was added already, under the same lock.
                Action::Count(_) => {}
                Action::Open { .. } => {
                    // Nothing of an earlier round or attempt may count in this one.
                    self.sum = LatticeVector::from_values(vec![0; self.sum.len()]);
                    self.parameters = None;
                    self.actions.push_back(action);
                }
                action => self.actions.push_back(action),
            }
        }
    }

    /// Notes that a client has its task of the open attempt. Asking for it again changes
    /// nothing: an attempt is one update, and a poll is none.
    fn note_given(&mut self, client: &ClientId) {
        let Phase::Collecting { round, attempt, .. } = *self.engine.phase() else {
            return;
        };
        let task = Attempt { round, attempt };
        if self.given.insert(client.clone(), task) != Some(task)
            && let Some(attendance) = self.attendance.get_mut(client)
        {
            attendance.asked = attendance.asked.saturating_add(1);
        }
    }

    fn task_for(&self, client: &ClientId) -> Option<Task> {
        match self.engine.phase() {
            Phase::Done(ending) => Some(Task::Finished(ending.clone())),
            Phase::Collecting {
                round,
                cohort,
                received,
                ..
            } if cohort.contains(client) && !received.contains_key(client) => {
                let (parameters, _) = self.parameters.as_ref()?;
                Some(Task::Train {
                    round: *round,
                    parameters: *parameters,
                })
            }
            _ => None,
        }
    }
}

impl Federation for Hall {
    fn join(&self, client: &ClientId, hello: &Hello) -> Result<Welcome, Refusal> {
        let mut state = self.lock();
        Self::known(&mut state, client)?;
        self.check_hello(hello)?;
        let (coordinator, remembered) = self.witness.greet(client, hello.ledger)?;
        let attendance = Self::known(&mut state, client)?;
        attendance.joined = true;
        attendance.left = false;
        state.handle(Event::Joined(client.clone()));
        drop(state);
        self.changed.notify_all();
        tracing::info!(%client, software = hello.software, "client joined");
        Ok(Welcome {
            plan: self.offer.plan.clone(),
            files: self.offer.files.iter().map(|(f, _)| f.clone()).collect(),
            coordinator,
            remembered,
        })
    }

    fn next_task(&self, client: &ClientId, wait: Duration) -> Result<Option<Task>, Refusal> {
        let mut state = self.lock();
        if !Self::known(&mut state, client)?.joined {
            return Err(Refusal {
                kind: RefusalKind::Mismatch,
                reason: "join the run before asking for a task".into(),
            });
        }
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, wait, |state| state.task_for(client).is_none())
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let task = state.task_for(client);
        match task {
            Some(Task::Finished(_)) => {
                state.told.insert(client.clone());
                self.changed.notify_all();
            }
            Some(Task::Train { .. }) => state.note_given(client),
            None => {}
        }
        Ok(task)
    }

    fn blob(&self, client: &ClientId, digest: &BlobDigest) -> Result<Arc<[u8]>, Refusal> {
        let mut state = self.lock();
        Self::known(&mut state, client)?;
        let current = state
            .parameters
            .as_ref()
            .filter(|(offered, _)| offered == digest)
            .map(|(_, bytes)| bytes);
        let file = || {
            let found = self.offer.files.iter().find(|(f, _)| f.digest == *digest);
            found.map(|(_, bytes)| bytes)
        };
        let ledger = || self.witness.blob(digest);
        let bytes = current
            .or_else(file)
            .cloned()
            .or_else(ledger)
            .ok_or_else(|| Refusal {
                kind: RefusalKind::Missing,
                reason: format!("blob {digest} isn't offered (any more); ask for the next task"),
            })?;
        state.traffic.down += bytes.len() as u64;
        Ok(bytes)
    }

    fn update_bytes(&self) -> u64 {
        self.rules.bytes()
    }

    fn submit(&self, client: &ClientId, update: Update) -> Receipt {
        let mut state = self.lock();
        if let Err(refusal) = Self::known(&mut state, client) {
            return Receipt::Refused {
                reason: refusal.reason,
            };
        }
        state.traffic.up += update.values.len() as u64;
        let receipt = self.take_update(&mut state, client, &update);
        if let Some(attendance) = state.attendance.get_mut(client) {
            match &receipt {
                Receipt::Accepted => attendance.counted += 1,
                Receipt::Duplicate => {}
                Receipt::Refused { reason } => attendance.refuse(client, reason),
            }
        }
        drop(state);
        self.changed.notify_all();
        receipt
    }

    fn note_refusal(&self, client: &ClientId, reason: &str) {
        if let Some(attendance) = self.lock().attendance.get_mut(client) {
            attendance.refuse(client, reason);
        }
    }

    fn countersign(
        &self,
        client: &ClientId,
        signed: Countersignature,
    ) -> Result<Option<LedgerPoint>, Refusal> {
        let mut state = self.lock();
        Self::known(&mut state, client)?;
        if !matches!(state.engine.phase(), Phase::Done(_)) {
            return Err(Refusal {
                kind: RefusalKind::Mismatch,
                reason: "the run isn't over yet; ask for the next task".into(),
            });
        }
        drop(state);
        let ended = self.witness.countersign(client, signed)?;
        self.lock().handle(Event::Left(client.clone()));
        self.changed.notify_all();
        Ok(ended)
    }

    fn leave(&self, client: &ClientId) {
        let mut state = self.lock();
        if let Ok(attendance) = Self::known(&mut state, client) {
            attendance.left = true;
            state.handle(Event::Left(client.clone()));
            tracing::warn!(%client, "client left");
        }
        drop(state);
        self.changed.notify_all();
    }
}
