//! How a client reaches its coordinator: one trait, two carriers.
//!
//! [`InProcess`] calls the coordinator directly, for the simulation;
//! [`crate::grpc::GrpcTransport`] dials out over gRPC with mutual TLS.

use std::sync::Arc;
use std::time::Duration;

use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::message::{
    BlobDigest, ClientId, Hello, Instance, Receipt, Results, Task, Update, Welcome,
};

use crate::clock::ClockReading;

/// The calls of [`Federation`], made by one client. Each may be repeated.
pub trait Transport: Send {
    /// Which process of the client this is.
    fn instance(&self) -> Instance;

    /// Introduces the client and learns the plan.
    ///
    /// # Errors
    /// [`TransportError`] where the coordinator can't be reached or refuses.
    fn join(&mut self, hello: &Hello) -> Result<Welcome, TransportError>;

    /// Waits for the next task, however long that takes.
    ///
    /// # Errors
    /// [`TransportError`] where the coordinator stays out of reach or refuses.
    fn next_task(&mut self) -> Result<Task, TransportError>;

    /// Fetches a blob and checks that it hashes to `digest`.
    ///
    /// # Errors
    /// [`TransportError`] where it can't be had, is longer than announced or was altered.
    fn blob(&mut self, digest: &BlobDigest) -> Result<Arc<[u8]>, TransportError>;

    /// Hands in an update.
    ///
    /// # Errors
    /// [`TransportError`] where the coordinator stays out of reach. A refused update is no
    /// error: the [`Receipt`] says so.
    fn submit(&mut self, update: &Update) -> Result<Receipt, TransportError>;

    /// Hands in what the site signed, and learns where the coordinator's ledger ended, if that
    /// is known.
    ///
    /// # Errors
    /// [`TransportError`] where the coordinator is gone by now, or refuses.
    fn countersign(
        &mut self,
        signed: &Countersignature,
    ) -> Result<Option<LedgerPoint>, TransportError>;

    /// Waits for what came of the run, for a while; `None` if it isn't ready yet.
    ///
    /// # Errors
    /// [`TransportError`] where the coordinator is gone by now, or refuses.
    fn results(&mut self) -> Result<Option<Results>, TransportError>;

    /// What the coordinator's clock and this machine's said when the last answer came; `None` if the
    /// coordinator doesn't tell its time, or has this machine's clock.
    fn clock(&self) -> Option<ClockReading>;

    /// Waits before something is tried again.
    fn pause(&mut self, pause: Duration) {
        std::thread::sleep(pause);
    }

    /// Tells the coordinator not to wait for this client any more, and why by class. Best
    /// effort: no answer is needed.
    fn leave(&mut self, why: Departure);
}

/// Why a call to the coordinator failed for good.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// The coordinator answered, and won't serve this client.
    #[error("the coordinator refused: {reason}")]
    Refused {
        /// Which kind of refusal it was.
        kind: RefusalKind,
        /// The coordinator's sentence.
        reason: String,
    },
    /// No answer, after all retries.
    #[error("can't reach the coordinator at {address}: {reason}")]
    Unreachable {
        /// Where it was tried.
        address: String,
        /// What the network said, and what to do.
        reason: String,
    },
    /// What came wasn't what was asked for.
    #[error("the coordinator sent something wrong: {reason}")]
    Garbled {
        /// What, and what to do.
        reason: String,
    },
}

impl TransportError {
    /// Whether the coordinator doesn't know the client, or what it asks for, (any more): it was
    /// started again, perhaps, and is to be joined again.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                kind: RefusalKind::Missing,
                ..
            }
        )
    }
}

impl From<Refusal> for TransportError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            kind: refusal.kind,
            reason: refusal.reason,
        }
    }
}

/// A client in the coordinator's own process.
pub struct InProcess {
    client: ClientId,
    coordinator: Arc<dyn Federation>,
}

impl InProcess {
    /// Connects the client of this name.
    pub fn new(client: ClientId, coordinator: Arc<dyn Federation>) -> Self {
        Self {
            client,
            coordinator,
        }
    }
}

/// A thread of the coordinator's own process is the only one of its name.
pub const THREAD: Instance = Instance(0);

/// How long one in-process call waits for a task before it asks again.
const WAIT: Duration = Duration::from_secs(60);

impl Transport for InProcess {
    fn instance(&self) -> Instance {
        THREAD
    }

    fn join(&mut self, hello: &Hello) -> Result<Welcome, TransportError> {
        Ok(self.coordinator.join(&self.client, hello)?)
    }

    fn next_task(&mut self) -> Result<Task, TransportError> {
        loop {
            if let Some(task) = self.coordinator.next_task(&self.client, THREAD, WAIT)? {
                return Ok(task);
            }
        }
    }

    fn blob(&mut self, digest: &BlobDigest) -> Result<Arc<[u8]>, TransportError> {
        Ok(self.coordinator.blob(&self.client, digest)?)
    }

    fn submit(&mut self, update: &Update) -> Result<Receipt, TransportError> {
        Ok(self.coordinator.submit(&self.client, update.clone()))
    }

    fn countersign(
        &mut self,
        signed: &Countersignature,
    ) -> Result<Option<LedgerPoint>, TransportError> {
        Ok(self.coordinator.countersign(&self.client, signed.clone())?)
    }

    fn results(&mut self) -> Result<Option<Results>, TransportError> {
        Ok(self.coordinator.results(&self.client, WAIT)?)
    }

    fn clock(&self) -> Option<ClockReading> {
        None
    }

    fn leave(&mut self, why: Departure) {
        self.coordinator.leave(&self.client, THREAD, why);
    }
}
