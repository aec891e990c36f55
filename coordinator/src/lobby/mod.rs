//! Where clients and the driver of a run meet: the shared state behind [`Federation`].
//!
//! Clients' calls come from any thread. They are answered here at once, from the engine's
//! state; what takes time (noise, optimiser, evaluation) is queued as [`Action`]s for the
//! one driver ([`crate::run`]).
//!
//! One lock guards the engine and what is kept about clients, and is held for look-ups only.
//! An update is decoded and checked without any lock, by a bounded number of threads, and is
//! added to the sum under a lock of the sum's own.

mod attendance;
mod membership;
mod results;
mod slots;
mod standing;
mod state;
mod submission;
#[cfg(test)]
mod submission_tests;
mod take_up;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use umbel_privacy::certificate::Countersignature;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::incoming::{Arrived, Incoming, NotReceived};
use umbel_proto::message::{
    BlobDigest, ClientId, Hello, Instance, ModelFile, PROTOCOL_VERSION, Receipt, Results, Task,
    Update, UpdateAnnouncement, Welcome,
};

use crate::aggregate::{LostSum, UpdateRules};
use crate::certificate::witness::{Witness, WitnessTerms};
use crate::round::{Action, Event, Phase, RoundSettings};
use crate::store::{CountedUpdate, RunStore};

pub use attendance::{Attendance, Traffic};

pub(crate) use results::Released;
pub use standing::{Absence, Away};
pub(crate) use standing::{Shown, Standing};
pub(crate) use state::Halt;

use slots::Slots;
use state::State;

/// What the lobby offers to everyone who comes in.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The plan's exact bytes.
    pub plan: Vec<u8>,
    /// The run's label set, which a site's own must equal.
    pub labels: Vec<String>,
    /// The base model's files with their content.
    pub files: Vec<(ModelFile, Arc<[u8]>)>,
}

/// The longest name of a client's software, in bytes: it goes into the log.
const LONGEST_NAME: usize = 64;

/// What a round was closed with.
pub(crate) struct ClosedSet {
    pub(crate) updates: Vec<CountedUpdate>,
    /// Who was given the task.
    pub(crate) asked: Vec<ClientId>,
}

/// The meeting place of one run.
pub struct Lobby {
    offer: Offer,
    rules: Arc<UpdateRules>,
    slots: Slots,
    witness: Witness,
    /// Where accepted updates are kept, once the run is open.
    store: OnceLock<Arc<dyn RunStore>>,
    state: Mutex<State>,
    /// Something for the driver, or for whoever waits for clients to go.
    for_driver: Condvar,
    /// Something for clients that wait for a task. Apart from the driver's, so that an update
    /// doesn't wake everybody else who waits.
    for_clients: Condvar,
}

impl Lobby {
    /// Opens the lobby of a run.
    pub fn new(offer: Offer, rules: UpdateRules, settings: RoundSettings) -> Self {
        let rules = Arc::new(rules);
        Self {
            offer,
            slots: Slots::one_a_core(),
            witness: Witness::default(),
            store: OnceLock::new(),
            state: Mutex::new(State::new(settings, Arc::clone(&rules))),
            rules,
            for_driver: Condvar::new(),
            for_clients: Condvar::new(),
        }
    }

    /// Waits for the driver's next action, at most `wait`; `None` if there was none, or if
    /// somebody [nudged](Self::nudge) the driver first.
    pub(crate) fn next_action(&self, wait: Duration) -> Option<Action> {
        let idle = |state: &mut State| state.actions.is_empty() && !state.nudged;
        let (mut state, _) = self
            .for_driver
            .wait_timeout_while(self.lock(), wait, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.nudged) {
            return None;
        }
        state.actions.pop_front()
    }

    /// Has accepted updates kept in `store` from now on.
    pub(crate) fn keep_in(&self, store: Arc<dyn RunStore>) {
        // The driver sets it, and there is one for a lobby.
        let _ = self.store.set(store);
    }

    /// Stops the run, to be gone on with by another process. Clients are told to wait for it.
    /// The first failure is the one that counts.
    pub(crate) fn halt(&self, why: Halt) {
        let mut state = self.lock();
        match &state.halted {
            Some(Halt::Store(_)) => {}
            Some(Halt::Shutdown) if why == Halt::AfterRound => {}
            // A sooner stop goes before a later one, and a failure before what was asked for: a stop
            // waits for the result in hand, which a failure may take away.
            _ => state.halted = Some(why),
        }
        state.nudged = true;
        state.tasks_changed = true;
        self.for_driver.notify_all();
        self.wake(state);
    }

    /// Has the run stop as soon as no result is in hand, to be gone on with later.
    pub fn shut_down(&self) {
        self.halt(Halt::Shutdown);
    }

    /// Has the run end after the round that is open, if one is, with what was released by then.
    pub fn stop(&self) {
        self.tell(Event::Stop);
    }

    /// Why the run is to stop, if it is.
    pub(crate) fn halted(&self) -> Option<Halt> {
        self.lock().halted.clone()
    }

    /// Who is here.
    pub(crate) fn present(&self) -> Vec<ClientId> {
        let state = self.lock();
        state.engine.present().iter().cloned().collect()
    }

    /// What is in the sum of the open attempt, or of the last one that was, in the order of the
    /// clients' names; and who was given its task.
    pub(crate) fn closed_set(&self, round: u32, attempt: u32) -> ClosedSet {
        let state = self.lock();
        let counted = state.counted.iter();
        ClosedSet {
            updates: counted
                .map(|(client, update)| CountedUpdate {
                    client: client.clone(),
                    update: *update,
                })
                .collect(),
            asked: state.asked_in(round, attempt),
        }
    }

    /// Who gave a sign of life since this was asked last.
    pub(crate) fn take_heard(&self) -> BTreeSet<ClientId> {
        self.lock().take_heard()
    }

    /// Nothing is heard of this client, so that nobody waits for it. It is back at its next sign
    /// of life.
    pub(crate) fn note_silent(&self, client: &ClientId) {
        let mut state = self.lock();
        if state.note_silent(client) {
            tracing::warn!(%client, "nothing is heard of this client; the run goes on without it");
        }
        self.wake(state);
    }

    /// Makes the driver look up from waiting for an action.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.for_driver.notify_all();
    }

    /// Tells the engine what happened.
    pub(crate) fn tell(&self, event: Event) {
        let mut state = self.lock();
        state.handle(event);
        self.wake(state);
    }

    /// Offers the open round's starting parameters; clients get their tasks from now on.
    pub(crate) fn offer_round(&self, parameters: Arc<[u8]>) {
        let digest = BlobDigest::of(&parameters);
        let mut state = self.lock();
        state.parameters = Some((digest, parameters));
        state.tasks_changed = true;
        self.wake(state);
    }

    /// Takes away the sum of the round that was closed, with every update in it that counts.
    ///
    /// # Errors
    /// [`LostSum`] where there is no such sum.
    pub(crate) fn take_sum(&self) -> Result<LatticeVector, LostSum> {
        let open = self.lock().sum.clone();
        // Waits for whoever is adding an update that counts already.
        open.ok_or(LostSum)?.take()
    }

    /// Notes which clients missed the round, and says why each did.
    pub(crate) fn note_missing(
        &self,
        round: u32,
        missing: &[ClientId],
    ) -> BTreeMap<ClientId, Absence> {
        let mut state = self.lock();
        for client in missing {
            if let Ok(attendance) = state.known(client) {
                attendance.missed += 1;
            }
        }
        let why = missing.iter();
        why.map(|client| (client.clone(), state.why_missing(client, round)))
            .collect()
    }

    /// Where the run stands.
    pub fn phase(&self) -> Phase {
        self.lock().engine.phase().clone()
    }

    /// Whether the run still waits for its clients to join.
    pub(crate) fn is_gathering(&self) -> bool {
        *self.lock().engine.phase() == Phase::Gathering
    }

    /// Rounds whose result is out.
    pub fn rounds_done(&self) -> u32 {
        self.lock().engine.rounds_done()
    }

    /// Who took part in what so far.
    pub fn attendance(&self) -> BTreeMap<ClientId, Attendance> {
        let state = self.lock();
        let attendance = state.attendance();
        attendance.map(|(c, a)| (c.clone(), a.clone())).collect()
    }

    /// How often the client that was asked most often was asked to train.
    pub(crate) fn most_asked(&self) -> u32 {
        let state = self.lock();
        let asked = state.attendance().map(|(_, attendance)| attendance.asked);
        asked.max().unwrap_or(0)
    }

    /// Bytes moved so far.
    pub fn traffic(&self) -> Traffic {
        self.lock().traffic
    }

    /// Waits until a client leaves a run that is over, or something else happens; at most
    /// `wait`.
    pub(crate) fn wait_for_change(&self, wait: Duration) {
        // Whether it was a change or the time makes no difference to who asks again.
        drop(self.for_driver.wait_timeout(self.lock(), wait));
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
        let mut present = state.engine.present().iter();
        present.all(|client| state.was_told(client))
    }

    /// A poisoned lock means that a call panicked half-way, and that nobody knows what counts.
    /// So the run ends there.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = poisoned.into_inner();
            self.state.clear_poison();
            if !matches!(state.engine.phase(), Phase::Done(_)) {
                let reason = "a call failed inside the coordinator; its log says more";
                state.handle(Event::Broken(reason.into()));
            }
            self.for_driver.notify_all();
            self.for_clients.notify_all();
            state
        })
    }

    /// Gives the lock back and wakes whoever waited for what has changed under it.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let over = matches!(state.engine.phase(), Phase::Done(_));
        let for_driver = over || !state.actions.is_empty();
        let for_clients = std::mem::take(&mut state.tasks_changed);
        drop(state);
        if for_driver {
            self.for_driver.notify_all();
        }
        if for_clients {
            self.for_clients.notify_all();
        }
    }

    /// Notes that an update was refused, and says so in the log.
    fn refuse(&self, client: &ClientId, reason: &str) {
        if let Ok(attendance) = self.lock().known(client) {
            attendance.refuse(reason);
        } else {
            return;
        }
        tracing::warn!(%client, reason, "update refused");
    }

    fn check_hello(&self, hello: &Hello) -> Result<(), Refusal> {
        let mismatch = |reason| Refusal {
            kind: RefusalKind::Mismatch,
            reason,
        };
        if hello.software.len() > LONGEST_NAME {
            return Err(mismatch(format!(
                "the client calls its software by {} bytes, and {LONGEST_NAME} are enough; install \
                 the same version on both",
                hello.software.len()
            )));
        }
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
}

/// What clients are told when the coordinator is about to go, and to come back.
fn away() -> Refusal {
    Refusal {
        kind: RefusalKind::Away,
        reason: "the coordinator stops for a while and will go on with this run; wait for it and \
                 join again"
            .into(),
    }
}

impl Federation for Lobby {
    fn join(&self, client: &ClientId, hello: &Hello) -> Result<Welcome, Refusal> {
        self.lock().known(client)?;
        self.check_hello(hello)?;
        // It writes a file, so not under the lock.
        let (coordinator, remembered) = self.witness.greet(client, hello.ledger)?;
        let mut state = self.lock();
        if state.is_going_away() {
            return Err(away());
        }
        state.note_joined(client, hello.instance);
        drop(state);
        tracing::info!(%client, software = hello.software, "client joined");
        Ok(Welcome {
            plan: self.offer.plan.clone(),
            files: self.offer.files.iter().map(|(f, _)| f.clone()).collect(),
            coordinator,
            remembered,
        })
    }

    fn next_task(
        &self,
        client: &ClientId,
        instance: Instance,
        wait: Duration,
    ) -> Result<Option<Task>, Refusal> {
        let mut state = self.lock();
        state.known(client)?;
        let before = state.actions.len();
        state.take_place(client, instance)?;
        if state.actions.len() > before {
            self.for_driver.notify_all();
        }
        let nothing =
            |state: &mut State| !state.is_going_away() && state.task_for(client).is_none();
        let (mut state, _) = self
            .for_clients
            .wait_timeout_while(state, wait, nothing)
            .unwrap_or_else(PoisonError::into_inner);
        if state.is_going_away() {
            return Err(away());
        }
        let task = state.task_for(client);
        match task {
            Some(Task::Finished(_)) => state.note_told(client),
            Some(Task::Train { .. }) => state.note_given(client),
            None => {}
        }
        self.wake(state);
        Ok(task)
    }

    fn results(&self, client: &ClientId, wait: Duration) -> Result<Option<Results>, Refusal> {
        self.wait_for_results(client, wait)
    }

    fn alive(&self, client: &ClientId, instance: Instance) {
        let mut state = self.lock();
        state.note_alive(client, Some(instance));
        self.wake(state);
    }

    fn blob(&self, client: &ClientId, digest: &BlobDigest) -> Result<Arc<[u8]>, Refusal> {
        self.lock().known(client)?;
        if let Some(bytes) = self.blob_of_results(digest)? {
            self.lock().traffic.down += bytes.len() as u64;
            return Ok(bytes);
        }
        let mut state = self.lock();
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
        self.take_update(client, update.into())
    }

    fn receive(
        &self,
        client: &ClientId,
        announced: UpdateAnnouncement,
    ) -> Result<Box<dyn Incoming>, NotReceived> {
        self.begin_update(client, announced)
    }

    fn received(&self, client: &ClientId, announced: UpdateAnnouncement) -> u64 {
        let store = self.store.get();
        store.map_or(0, |store| store.received(client, &announced))
    }

    fn submit_arrived(&self, client: &ClientId, arrived: Arrived) -> Receipt {
        self.take_update(client, arrived)
    }

    fn note_unstorable(&self, reason: &str) {
        self.halt(Halt::Store(reason.to_owned()));
    }

    fn note_refusal(&self, client: &ClientId, reason: &str) {
        self.refuse(client, reason);
    }

    fn countersign(
        &self,
        client: &ClientId,
        signed: Countersignature,
    ) -> Result<Option<LedgerPoint>, Refusal> {
        let mut state = self.lock();
        state.known(client)?;
        if !matches!(state.engine.phase(), Phase::Done(_)) {
            return Err(Refusal {
                kind: RefusalKind::Mismatch,
                reason: "the run isn't over yet; ask for the next task".into(),
            });
        }
        drop(state);
        let ended = self.witness.countersign(client, signed)?;
        let mut state = self.lock();
        state.handle(Event::Left(client.clone()));
        self.wake(state);
        Ok(ended)
    }

    fn leave(&self, client: &ClientId, instance: Instance, why: Departure) {
        let mut state = self.lock();
        if !state.give_place_up(client, instance, why) {
            return;
        }
        self.wake(state);
        match why {
            Departure::Done => tracing::info!(%client, "client has what it came for"),
            _ => tracing::warn!(%client, %why, "client left"),
        }
    }
}
