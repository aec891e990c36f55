//! The coordinator over gRPC: a [`Transport`] that dials out, retries, and resumes.
//!
//! A call that fails on the way is made again after a growing pause, for as long as
//! [`RetryPolicy::patience`] says; every call may be repeated. What the coordinator
//! refuses stays refused. A broken download or upload goes on where it broke. The way there may lead through
//! an HTTP proxy ([`ProxyChoice`]); TLS goes from end to end in any case.

mod dial;
mod failure;
mod link;
mod probe;
mod proxy;
mod retry;
mod settings;
mod tls;
mod upload;

pub use proxy::{InvalidProxy, ProxyChoice};
pub use retry::RetryPolicy;
pub use settings::{ClientIdentity, ConnectionSettings};
pub use tls::ClientTls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::message::{
    BlobDigest, Hello, Instance, Receipt, Results, Task, Update, UpdateAnnouncement, Welcome,
};
use umbel_proto::wire::chunk::BlobAssembler;

use crate::clock::ClockReading;
use crate::transport::{Transport, TransportError};
use link::Link;
use retry::{RealTimer, Retry};
use upload::Progress;

/// How long a coordinator that may be gone by now is tried for a site's signature.
const PARTING: Duration = Duration::from_secs(10);
/// How long one call for the next task may wait at the coordinator.
const TASK_WAIT: Duration = Duration::from_secs(20);

/// Bytes of protobuf messages that one client sent and received. TLS and HTTP/2 come on
/// top of them, with less than one per cent where blobs make up the bulk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent to the coordinator, repeated calls included.
    pub sent: u64,
    /// Received from it.
    pub received: u64,
}

/// A client's connection to its coordinator.
///
/// Its methods block, so they must not be called from asynchronous code.
pub struct GrpcTransport {
    link: Arc<Link>,
    /// Gives signs of life once the client has joined.
    alive: Option<tokio::task::JoinHandle<()>>,
    retry: Retry,
    /// For the last call, after which nothing of the run depends on the coordinator any more.
    parting: Retry,
    timer: RealTimer,
    /// Lengths of blobs, as far as the coordinator announced them on joining.
    announced: BTreeMap<BlobDigest, u64>,
    most_blob_bytes: u64,
    // One thread of its own answers the coordinator's keep-alive pings while this client
    // trains. An option only so that it can be taken on drop.
    runtime: Option<Runtime>,
}

impl GrpcTransport {
    /// Gets ready to dial; the first call does.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] for an address or certificate that can't be used.
    pub fn connect(settings: ConnectionSettings) -> Result<Self, TransportError> {
        let refuse = |reason: String| TransportError::Unreachable {
            address: settings.address.clone(),
            reason,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("umbel-network")
            .enable_all()
            .build()
            .map_err(|e| refuse(format!("can't start a network thread: {e}")))?;
        let link = {
            let _entered = runtime.enter();
            Arc::new(Link::new(&settings).map_err(refuse)?)
        };
        let retry = Retry::new(settings.retry.clone(), &settings);
        let parting = RetryPolicy {
            patience: settings.retry.patience.min(PARTING),
            ..settings.retry.clone()
        };
        let parting = Retry::new(parting, &settings);
        Ok(Self {
            link,
            alive: None,
            retry,
            parting,
            timer: RealTimer::start(),
            announced: BTreeMap::new(),
            most_blob_bytes: settings.most_blob_bytes,
            runtime: Some(runtime),
        })
    }

    /// What moved so far.
    pub fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    /// Runs `call` until it succeeds or fails for good.
    fn persist<T>(
        &self,
        call: impl AsyncFnMut() -> Result<T, failure::Failure>,
    ) -> Result<T, TransportError> {
        self.persist_by(&self.retry, call)
    }

    fn persist_by<T>(
        &self,
        retry: &Retry,
        call: impl AsyncFnMut() -> Result<T, failure::Failure>,
    ) -> Result<T, TransportError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(retry.persist(&self.timer, call)),
            // Only on drop is it taken.
            None => Err(TransportError::Unreachable {
                address: String::new(),
                reason: "the connection is closed".to_owned(),
            }),
        }
    }
}

impl Transport for GrpcTransport {
    fn instance(&self) -> Instance {
        self.link.instance()
    }

    fn join(&mut self, hello: &Hello) -> Result<Welcome, TransportError> {
        let welcome = self.persist(async || self.link.join(hello).await)?;
        if let (None, Some(runtime)) = (&self.alive, &self.runtime) {
            let link = Arc::clone(&self.link);
            self.alive = Some(runtime.spawn(async move { link.stay_alive().await }));
        }
        self.announced = welcome.files.iter().map(|f| (f.digest, f.bytes)).collect();
        Ok(welcome)
    }

    fn next_task(&mut self) -> Result<Task, TransportError> {
        loop {
            // Each answer, if only that there is nothing yet, starts patience anew.
            if let Some(task) = self.persist(async || self.link.next_task(TASK_WAIT).await)? {
                return Ok(task);
            }
        }
    }

    fn blob(&mut self, digest: &BlobDigest) -> Result<Arc<[u8]>, TransportError> {
        let most = self.announced.get(digest).copied();
        let most = most.unwrap_or(self.most_blob_bytes);
        let mut arriving: Option<BlobAssembler> = None;
        self.persist(async || self.link.fetch(digest, most, &mut arriving).await)
            .map(Into::into)
    }

    fn submit(&mut self, update: &Update) -> Result<Receipt, TransportError> {
        let announcement = UpdateAnnouncement::of(update);
        let mut progress = Progress::of(&announcement);
        self.persist(async || self.link.submit(update, announcement, &mut progress).await)
    }

    fn countersign(
        &mut self,
        signed: &Countersignature,
    ) -> Result<Option<LedgerPoint>, TransportError> {
        self.persist_by(&self.parting, async || self.link.countersign(signed).await)
    }

    fn results(&mut self) -> Result<Option<Results>, TransportError> {
        self.persist(async || self.link.results(TASK_WAIT).await)
    }

    fn clock(&self) -> Option<ClockReading> {
        self.link.clock()
    }

    fn leave(&mut self, why: Departure) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(self.link.leave(why));
        }
    }
}

impl Drop for GrpcTransport {
    fn drop(&mut self) {
        // An ordinary drop would wait, which asynchronous code mustn't do.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
