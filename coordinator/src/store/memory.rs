//! A run's store in memory, for tests and for runs that nobody would take up again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use umbel_privacy::ledger::EntryHash;
use umbel_proto::incoming::UpdateBytes;
use umbel_proto::message::{BlobDigest, ClientId};

use super::checkpoint::Checkpoint;
use super::error::StoreError;
use super::history::History;
use super::record::Record;
use super::run_store::{Change, RunStore};

/// A run's store that is gone with the process.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    history: Option<History>,
    updates: BTreeMap<(ClientId, BlobDigest), Vec<u8>>,
    checkpoints: BTreeMap<u32, Checkpoint>,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is made as a whole, so that a poisoned lock means nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunStore for MemoryStore {
    fn load(&self) -> Result<Option<History>, StoreError> {
        Ok(self.lock().history.clone())
    }

    fn commit(&self, change: Change<'_>) -> Result<(), StoreError> {
        let mut state = self.lock();
        History::add(&mut state.history, change.record()).map_err(StoreError::OutOfOrder)?;
        match change {
            Change::Opened(_) | Change::Ended | Change::Abandoned => state.updates.clear(),
            Change::Accepted {
                client,
                update,
                bytes,
                ..
            } => {
                let mut copy = Vec::new();
                let read = bytes
                    .open()
                    .and_then(|mut from| from.read_to_end(&mut copy));
                read.map_err(StoreError::io(Path::new("memory")))?;
                state.updates.insert((client.clone(), update), copy);
            }
            Change::Released(checkpoint) => {
                let round = checkpoint.round;
                state.checkpoints.insert(round, checkpoint.clone());
                state.checkpoints.retain(|kept, _| kept + 1 >= round);
                state.updates.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn update(
        &self,
        client: &ClientId,
        update: &BlobDigest,
    ) -> Result<Option<Box<dyn UpdateBytes>>, StoreError> {
        let key = (client.clone(), *update);
        let found = self.lock().updates.get(&key).cloned();
        Ok(found.map(|bytes| Box::new(bytes) as _))
    }

    fn checkpoint(&self, round: u32) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.lock().checkpoints.get(&round).cloned())
    }

    fn has_result(&self, entry: &EntryHash) -> Result<bool, StoreError> {
        let state = self.lock();
        let mut kept = state.checkpoints.values();
        Ok(kept.any(|checkpoint| checkpoint.entry.as_ref() == Some(entry)))
    }
}

impl Change<'_> {
    /// What the journal says of it.
    pub(super) fn record(&self) -> Record {
        match self {
            Self::Begun(begun) => Record::Begun(begun.clone()),
            Self::Opened(opened) => Record::Opened(opened.clone()),
            Self::Accepted {
                round,
                attempt,
                client,
                update,
                ..
            } => Record::Accepted {
                round: *round,
                attempt: *attempt,
                client: (*client).clone(),
                update: *update,
            },
            Self::Closed(closed) => Record::Closed(closed.clone()),
            Self::Spent(entry) => Record::Spent { entry: *entry },
            Self::Released(checkpoint) => Record::Released(checkpoint.record()),
            Self::Ended => Record::Ended,
            Self::Abandoned => Record::Abandoned,
        }
    }
}
