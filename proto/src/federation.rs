//! The calls that a client makes, whatever carries them.
//!
//! A coordinator implements [`Federation`] once. The simulation calls it directly;
//! the gRPC service answers each network call by it; so both are the same run.
//! Clients dial out, and every call is short and may be repeated.

use std::sync::Arc;
use std::time::Duration;

use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;

use crate::departure::Departure;
use crate::incoming::{Arrived, InMemory, Incoming, NotReceived};
use crate::message::{
    BlobDigest, ClientId, Hello, Instance, Receipt, Results, Task, Update, UpdateAnnouncement,
    Welcome,
};

/// What a coordinator offers to a client whose name the transport has established.
///
/// Calls block; [`Federation::next_task`] for up to `wait`.
pub trait Federation: Send + Sync {
    /// Admits a client to the run. May be called again at will.
    ///
    /// # Errors
    /// [`Refusal`] for a foreign client, another protocol version or other labels.
    fn join(&self, client: &ClientId, hello: &Hello) -> Result<Welcome, Refusal>;

    /// The client's next task, or `None` if there was none within `wait`. By asking for the first
    /// time, a client says that it is ready to train.
    ///
    /// # Errors
    /// [`Refusal`] for a client that hasn't joined, and for a process of it whose place a later
    /// one took.
    fn next_task(
        &self,
        client: &ClientId,
        instance: Instance,
        wait: Duration,
    ) -> Result<Option<Task>, Refusal>;

    /// What came of the run, or `None` if that wasn't ready within `wait`. The files are blobs then.
    ///
    /// # Errors
    /// [`Refusal`] for a foreign client.
    fn results(&self, client: &ClientId, wait: Duration) -> Result<Option<Results>, Refusal>;

    /// The client is still there, whatever it is doing.
    fn alive(&self, client: &ClientId, instance: Instance);

    /// A blob by its digest: a file of the base model or the current parameters.
    ///
    /// # Errors
    /// [`Refusal`] for a client that hasn't joined and for a blob that isn't offered (any more).
    fn blob(&self, client: &ClientId, digest: &BlobDigest) -> Result<Arc<[u8]>, Refusal>;

    /// The longest update that this run takes, in bytes. A transport refuses longer ones
    /// before it has them in memory.
    fn update_bytes(&self) -> u64;

    /// Hands in an update. Sent again, the same update counts once.
    fn submit(&self, client: &ClientId, update: Update) -> Receipt;

    /// Gets ready for an update that comes a part at a time, from the announced offset on. By
    /// default it comes together in memory.
    ///
    /// # Errors
    /// [`NotReceived`] says why it needn't come, or can't.
    fn receive(
        &self,
        _client: &ClientId,
        announced: UpdateAnnouncement,
    ) -> Result<Box<dyn Incoming>, NotReceived> {
        Ok(Box::new(InMemory::new(announced, self.update_bytes())?))
    }

    /// How many bytes of this update are here, if it broke off.
    fn received(&self, _client: &ClientId, _announced: UpdateAnnouncement) -> u64 {
        0
    }

    /// Hands in an update that came a part at a time.
    fn submit_arrived(&self, client: &ClientId, arrived: Arrived) -> Receipt {
        match arrived.into_update() {
            Ok(update) => self.submit(client, update),
            Err(error) => Receipt::NotNow {
                reason: error.to_string(),
            },
        }
    }

    /// What came of an update can't be kept.
    fn note_unstorable(&self, _reason: &str) {}

    /// A transport refused an update before it was whole, for this reason.
    fn note_refusal(&self, _client: &ClientId, _reason: &str) {}

    /// Hands in what the site signed of the run, when it is over. Answers where the
    /// coordinator's ledger stands now, for the site to remember; `None` where that isn't
    /// known. May be called again.
    ///
    /// # Errors
    /// [`Refusal`] for a statement about something else, and before the run's end.
    fn countersign(
        &self,
        client: &ClientId,
        signed: Countersignature,
    ) -> Result<Option<LedgerPoint>, Refusal>;

    /// The client can't go on, so nobody need wait for it. It says why by class at most: an
    /// error message may quote a row, and stays at the site. A client that left may join again.
    fn leave(&self, client: &ClientId, instance: Instance, why: Departure);
}

/// Why a coordinator won't serve a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Which kind of refusal it is.
    pub kind: RefusalKind,
    /// What was wrong and what to do, in a sentence.
    pub reason: String,
}

/// The kinds of [`Refusal`], each with its own gRPC status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The client isn't part of this run (PERMISSION_DENIED).
    Foreign,
    /// The client and the run don't fit together (FAILED_PRECONDITION).
    Mismatch,
    /// There is no such thing, or this coordinator doesn't know the client: it should join again
    /// (NOT_FOUND).
    Missing,
    /// The coordinator stops for a while: the client should wait for it and join again
    /// (UNAVAILABLE).
    Away,
}
