//! Where clients and the driver of a run meet: the shared state behind
//! [`Federation`](umbel_proto::federation::Federation).
//!
//! Clients' calls come from any thread. They are answered here at once, from the engine's
//! state; what takes time (noise, optimiser, evaluation) is queued as [`Action`]s for the
//! one driver ([`crate::run`]).
//!
//! One lock guards the engine and what is kept about clients, and is held for look-ups only.
//! An update is decoded and checked without any lock, by a bounded number of threads, and is
//! added to the sum under a lock of the sum's own.

mod asked;
mod attendance;
mod calls;
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

use umbel_privacy::lattice::LatticeVector;
use umbel_proto::message::{BlobDigest, ClientId, ModelFile};

use crate::aggregate::{LostSum, UpdateRules};
use crate::certificate::witness::{Witness, WitnessTerms};
use crate::round::{Action, Event, Phase, RoundProtocol};
use crate::store::{CountedUpdate, RunStore};

pub use asked::Asked;
pub use attendance::{Attendance, Traffic};

pub(crate) use results::Released;
pub use standing::{Absence, Away};
pub(crate) use standing::{Shown, Standing};
pub use state::Attempt;
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

/// What a round was closed with.
pub(crate) struct ClosedSet {
    pub(crate) updates: Vec<CountedUpdate>,
    /// Who was given the task.
    pub(crate) asked: Vec<ClientId>,
}

/// What the driver has to look at.
pub(crate) enum Woken {
    /// Something to carry out.
    Action(Action),
    /// Something else: a verdict on a model, a word of the operator's.
    Nudged,
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
    /// Opens the lobby of a run whose rounds go by this protocol.
    pub fn new(offer: Offer, rules: UpdateRules, protocol: impl RoundProtocol + 'static) -> Self {
        let rules = Arc::new(rules);
        Self {
            offer,
            slots: Slots::one_a_core(),
            witness: Witness::default(),
            store: OnceLock::new(),
            state: Mutex::new(State::new(Box::new(protocol), Arc::clone(&rules))),
            rules,
            for_driver: Condvar::new(),
            for_clients: Condvar::new(),
        }
    }

    /// Waits for the driver's next action, at most `wait`; or until somebody
    /// [nudges](Self::nudge) the driver. `None` if there was neither.
    pub(crate) fn next_action(&self, wait: Duration) -> Option<Woken> {
        let idle = |state: &mut State| state.actions.is_empty() && !state.nudged;
        let (mut state, _) = self
            .for_driver
            .wait_timeout_while(self.lock(), wait, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.nudged) {
            return Some(Woken::Nudged);
        }
        state.actions.pop_front().map(Woken::Action)
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
        self.tell_at(|_| true, event);
    }

    /// Tells the engine what happened, if the run is still at what that is about.
    pub(crate) fn tell_at(&self, is_at: impl FnOnce(&Phase) -> bool, event: Event) {
        let mut state = self.lock();
        if is_at(state.engine.phase()) {
            state.handle(event);
        }
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
        self.lock().everyone_is_told()
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
}
