//! What a run needs of whatever keeps it.

use std::io;

use umbel_privacy::ledger::{EntryHash, ResultJournal};
use umbel_proto::incoming::{InMemory, Incoming, NotReceived, UpdateBytes};
use umbel_proto::message::{BlobDigest, ClientId, UpdateAnnouncement};

use super::checkpoint::Checkpoint;
use super::error::StoreError;
use super::history::History;
use super::record::{RoundClosed, RoundOpened, RunBegun};

/// Where a run is kept so that another process can go on with it.
///
/// A change is durable when [`RunStore::commit`] returns, and is there as a whole or not at
/// all. After a commit that failed nothing is taken any more: what is stored shows when the
/// store is opened again. `tests/run_store` holds for every implementation.
pub trait RunStore: Send + Sync {
    /// What is known of the run; `None` if it never began.
    ///
    /// # Errors
    /// [`StoreError`] where that can't be read.
    fn load(&self) -> Result<Option<History>, StoreError>;

    /// Makes a change durable.
    ///
    /// # Errors
    /// [`StoreError::OutOfOrder`] for what can't come next, with nothing changed; any other
    /// where it can't be stored.
    fn commit(&self, change: Change<'_>) -> Result<(), StoreError>;

    /// Gets ready for an update of at most `most` bytes that comes a part at a time. Nothing of it
    /// is durable before it is accepted.
    ///
    /// # Errors
    /// [`NotReceived`] where it is longer, where what is here doesn't reach the announced offset,
    /// and where it can't be kept.
    fn receive(
        &self,
        _client: &ClientId,
        announced: UpdateAnnouncement,
        most: u64,
    ) -> Result<Box<dyn Incoming>, NotReceived> {
        Ok(Box::new(InMemory::new(announced, most)?))
    }

    /// How many bytes of an update that broke off are here.
    fn received(&self, _client: &ClientId, _announced: &UpdateAnnouncement) -> u64 {
        0
    }

    /// The bytes of an update that was accepted in the open attempt. `None` if they aren't here
    /// (any more), or aren't what was accepted: then the client that gave them is asked again.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails.
    fn update(
        &self,
        client: &ClientId,
        update: &BlobDigest,
    ) -> Result<Option<Box<dyn UpdateBytes>>, StoreError>;

    /// The result of a round. The last two are kept.
    ///
    /// # Errors
    /// [`StoreError`] where it isn't what was stored.
    fn checkpoint(&self, round: u32) -> Result<Option<Checkpoint>, StoreError>;

    /// Whether a result is stored that this entry paid for, committed or not: whatever a later
    /// process could find and publish.
    ///
    /// # Errors
    /// [`StoreError`] where that can't be told.
    fn has_result(&self, entry: &EntryHash) -> Result<bool, StoreError>;
}

/// Something that happened to a run, with what belongs to it.
#[derive(Clone, Debug)]
pub enum Change<'a> {
    /// The run began.
    Begun(RunBegun),
    /// An attempt was opened. Updates of an earlier one are dropped.
    Opened(RoundOpened),
    /// An update was accepted. If its attempt isn't open any more, that changes nothing.
    Accepted {
        /// The round that it is for.
        round: u32,
        /// The attempt at it.
        attempt: u32,
        /// Whose.
        client: &'a ClientId,
        /// SHA-256 of its bytes.
        update: BlobDigest,
        /// Its bytes. If they came into a file of the store's, that file is kept.
        bytes: &'a dyn UpdateBytes,
    },
    /// The open attempt was closed.
    Closed(RoundClosed),
    /// The ledger has the closed round's entry.
    Spent(EntryHash),
    /// The closed round's result. It is stored when the commit returns, and its updates are
    /// dropped.
    Released(&'a Checkpoint),
    /// The run is over.
    Ended,
    /// A person began another run in its place.
    Abandoned,
}

/// A store, as the ledger asks it.
pub struct Results<'a>(pub &'a dyn RunStore);

impl ResultJournal for Results<'_> {
    fn has_result(&self, entry: &EntryHash) -> io::Result<bool> {
        self.0.has_result(entry).map_err(io::Error::other)
    }
}
