//! The calls that clients make, answered from the lobby's state.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::incoming::{Arrived, Incoming, NotReceived};
use umbel_proto::message::{
    BlobDigest, ClientId, Hello, Instance, PROTOCOL_VERSION, Receipt, Results, Task, Update,
    UpdateAnnouncement, Welcome,
};

use super::state::State;
use super::{Halt, Lobby};
use crate::round::{Event, Phase};

/// The longest name of a client's software, in bytes: it goes into the log.
const LONGEST_NAME: usize = 64;

impl Lobby {
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
