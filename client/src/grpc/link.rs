//! One attempt at each call.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::{Departure, leave_request};
use umbel_proto::message::{BlobDigest, Hello, Instance, Results, Task, Welcome};
use umbel_proto::wire;
use umbel_proto::wire::Message;
use umbel_proto::wire::chunk::BlobAssembler;
use umbel_proto::wire::convert::{BlobWish, countersign_request};
use umbel_proto::wire::federation_client::FederationClient;

use super::dial::{DialError, cause};
use super::failure::Failure;
use super::probe::Probe;
use super::{ConnectionSettings, Traffic};
use crate::clock::ClockReading;
use crate::transport::TransportError;

/// The longest message from a coordinator: the plan, with a long list of labels.
const MOST_MESSAGE_BYTES: usize = 16 << 20;
/// How often a sign of life is given, and how long each may take.
const ALIVE: Duration = Duration::from_secs(10);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long handing in a countersignature may take: the coordinator closes its ledger first.
const SIGNING: Duration = Duration::from_secs(15);

/// The wire to one coordinator. Dials when it has to.
pub(super) struct Link {
    pub(super) calls: FederationClient<Channel>,
    address: String,
    probe: Option<Probe>,
    header: Option<MetadataValue<Ascii>>,
    instance: Instance,
    pub(super) stall: Duration,
    pub(super) sent: AtomicU64,
    received: AtomicU64,
    clock: Mutex<Option<ClockReading>>,
}

impl Link {
    /// A link that hasn't dialled yet, or why the settings can't be used.
    pub(super) fn new(settings: &ConnectionSettings) -> Result<Self, String> {
        let probe = settings.probe()?;
        let dialler = settings.dialler()?;
        let channel = settings.endpoint()?.connect_with_connector_lazy(dialler);
        Ok(Self {
            calls: FederationClient::new(channel).max_decoding_message_size(MOST_MESSAGE_BYTES),
            address: settings.address.clone(),
            probe,
            header: settings.header(),
            instance: settings.instance,
            stall: settings.stall,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            clock: Mutex::new(None),
        })
    }

    /// What moved so far.
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    /// What the clocks said when the last answer came, if the coordinator tells the time.
    pub(super) fn clock(&self) -> Option<ClockReading> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the time that an HTTP answer is stamped with.
    fn read_clock<T>(&self, answer: &Response<T>) {
        let stamp = answer.metadata().get("date");
        let told = stamp.and_then(|stamp| httpdate::parse_http_date(stamp.to_str().ok()?).ok());
        let reading = told.map(|coordinator| ClockReading {
            coordinator,
            own: SystemTime::now(),
        });
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }

    /// Introduces the client.
    pub(super) async fn join(&self, hello: &Hello) -> Result<Welcome, Failure> {
        let request = self.request(wire::JoinRequest::from(hello.clone()));
        let reply = self
            .answer(self.calls.clone().join(request), self.stall)
            .await?;
        Welcome::try_from(reply).map_err(Failure::garbled)
    }

    /// Asks for the next task; the coordinator may wait for `wait`.
    pub(super) async fn next_task(&self, wait: Duration) -> Result<Option<Task>, Failure> {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let request = self.request(wire::TaskRequest {
            wait_ms,
            instance: self.instance.0,
        });
        let patience = wait.saturating_add(self.stall);
        let reply = self
            .answer(self.calls.clone().next_task(request), patience)
            .await?;
        Option::<Task>::try_from(reply).map_err(Failure::garbled)
    }

    /// Fetches a blob of at most `most` bytes, from where `arriving` stands. What comes stays
    /// in `arriving` if the attempt fails.
    pub(super) async fn fetch(
        &self,
        digest: &BlobDigest,
        most: u64,
        arriving: &mut Option<BlobAssembler>,
    ) -> Result<Vec<u8>, Failure> {
        let before = arriving.as_ref().map_or(0, BlobAssembler::received);
        let attempt = self.fetch_from(*digest, before, most, arriving).await;
        let after = arriving.as_ref().map_or(0, BlobAssembler::received);
        match attempt {
            Ok(()) => {}
            Err(Failure::Passing { reason, .. }) => {
                return Err(Failure::Passing {
                    reason,
                    progressed: after > before,
                });
            }
            Err(error) => return Err(error),
        }
        let whole = arriving.take().map(BlobAssembler::finish);
        whole
            .unwrap_or_else(|| Ok(Vec::new()))
            .map_err(|e| Failure::garbled(format!("blob {digest}: {e}")))
    }

    /// Adds the rest of a blob to `arriving`; succeeds when it is complete.
    async fn fetch_from(
        &self,
        digest: BlobDigest,
        offset: u64,
        most: u64,
        arriving: &mut Option<BlobAssembler>,
    ) -> Result<(), Failure> {
        let wish = BlobWish { digest, offset };
        let request = self.request(wire::BlobRequest::from(wish));
        let mut calls = self.calls.clone();
        let answer = timeout(self.stall, calls.fetch_blob(request)).await;
        let mut stream = self.in_time(answer).await?.into_inner();
        loop {
            let chunk = timeout(self.stall, stream.message()).await;
            let Some(chunk) = self.in_time(chunk).await? else {
                return Err(Failure::passing("the download broke off"));
            };
            self.count_received(&chunk);
            let assembler = match arriving {
                Some(assembler) => assembler,
                None => arriving.insert(
                    BlobAssembler::new(digest, chunk.total_bytes, most)
                        .map_err(|e| Failure::garbled(format!("blob {digest}: {e}")))?,
                ),
            };
            add(assembler, &chunk)
                .map_err(|reason| Failure::garbled(format!("blob {digest}: {reason}")))?;
            if assembler.is_complete() {
                return Ok(());
            }
        }
    }

    /// Hands in what the site signed.
    pub(super) async fn countersign(
        &self,
        signed: &Countersignature,
    ) -> Result<Option<LedgerPoint>, Failure> {
        let request = self.request(countersign_request(signed).map_err(Failure::garbled)?);
        let reply = self
            .answer(self.calls.clone().countersign(request), SIGNING)
            .await?;
        Option::<LedgerPoint>::try_from(reply).map_err(Failure::garbled)
    }

    /// Asks for what came of the run; the coordinator may wait for `wait`.
    pub(super) async fn results(&self, wait: Duration) -> Result<Option<Results>, Failure> {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let request = self.request(wire::ResultsRequest { wait_ms });
        let patience = wait.saturating_add(self.stall);
        let reply = self
            .answer(self.calls.clone().results(request), patience)
            .await?;
        Option::<Results>::try_from(reply).map_err(Failure::garbled)
    }

    /// Which process of the client this is.
    pub(super) fn instance(&self) -> Instance {
        self.instance
    }

    /// Gives signs of life, for as long as this is waited for. One that doesn't arrive is made up
    /// for by the next.
    pub(super) async fn stay_alive(&self) {
        loop {
            tokio::time::sleep(ALIVE).await;
            let instance = self.instance.0;
            let request = self.request(wire::AliveRequest { instance });
            // The calls that do something say what is wrong.
            let _ = timeout(ALIVE, self.calls.clone().alive(request)).await;
        }
    }

    /// Says goodbye; whether it arrives doesn't matter.
    pub(super) async fn leave(&self, why: Departure) {
        let request = self.request(leave_request(why, self.instance));
        let _ = self
            .answer(self.calls.clone().leave(request), GOODBYE)
            .await;
    }

    pub(super) fn request<T: Message>(&self, message: T) -> Request<T> {
        let bytes = message.encoded_len() as u64;
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.request_stream(message)
    }

    pub(super) fn request_stream<T>(&self, stream: T) -> Request<T> {
        let mut request = Request::new(stream);
        if let Some(name) = &self.header {
            request
                .metadata_mut()
                .insert(wire::CLIENT_HEADER, name.clone());
        }
        request
    }

    pub(super) async fn answer<T: Message>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
        patience: Duration,
    ) -> Result<T, Failure> {
        let answer = self.in_time(timeout(patience, call).await).await?;
        self.read_clock(&answer);
        let reply = answer.into_inner();
        self.count_received(&reply);
        Ok(reply)
    }

    pub(super) async fn in_time<T>(
        &self,
        answer: Result<Result<T, Status>, tokio::time::error::Elapsed>,
    ) -> Result<T, Failure> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(self.failure(&status).await),
            Err(_) => Err(self.stalled()),
        }
    }

    /// What a failed call means; where TLS may be to blame, a probe finds out.
    async fn failure(&self, status: &Status) -> Failure {
        let failure = Failure::of(status);
        if let Some(refused @ DialError::Password { .. }) = status.source().and_then(cause) {
            return Failure::Final(TransportError::Unreachable {
                address: self.address.clone(),
                reason: refused.to_string(),
            });
        }
        match (&failure, &self.probe, status.source()) {
            (Failure::Passing { .. }, Some(probe), Some(_)) => {
                let explanation = probe.explanation().await;
                explanation.map_or(failure, |reason| {
                    Failure::Final(TransportError::Unreachable {
                        address: self.address.clone(),
                        reason,
                    })
                })
            }
            _ => failure,
        }
    }

    pub(super) fn stalled(&self) -> Failure {
        Failure::passing(format!(
            "nothing moved for {} seconds",
            self.stall.as_secs_f64()
        ))
    }

    pub(super) fn count_received(&self, message: &impl Message) {
        let bytes = message.encoded_len() as u64;
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Adds a chunk that continues where the assembler stands.
fn add(assembler: &mut BlobAssembler, chunk: &wire::BlobChunk) -> Result<(), String> {
    if chunk.total_bytes != assembler.announced() {
        return Err(format!(
            "its length was {} bytes before and is {} now",
            assembler.announced(),
            chunk.total_bytes
        ));
    }
    if chunk.offset != assembler.received() {
        return Err(format!(
            "a chunk begins at {}, but the next byte is {}",
            chunk.offset,
            assembler.received()
        ));
    }
    // Empty chunks that lead nowhere could go on for ever.
    if chunk.data.is_empty() && !assembler.is_complete() {
        return Err("a chunk is empty".to_owned());
    }
    assembler.push(&chunk.data).map_err(|e| e.to_string())
}
