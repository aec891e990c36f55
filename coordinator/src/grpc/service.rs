//! Each gRPC call, answered by the federation.
//!
//! A federation's calls block, so each runs on the pool of blocking threads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use umbel_privacy::certificate::Countersignature;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::message::{ClientId, Hello, Instance, Receipt, UpdateAnnouncement};
use umbel_proto::wire;
use umbel_proto::wire::convert::BlobWish;
use umbel_proto::wire::federation_server::Federation as FederationCalls;

use super::TrafficMeter;
use super::door::ConnectionLimits;
use super::download;
use super::identity::client_of;
use super::upload::{Upload, Uploads, receive};

/// What one client, or all of them, may take up.
#[derive(Clone, Debug)]
pub struct ServiceLimits {
    /// How long a call for the next task may wait: short enough for any proxy between.
    pub longest_wait: Duration,
    /// How long an upload or download may stand still.
    pub stall: Duration,
    /// How many calls for the next task hold a thread at a time; more of them queue.
    pub waiting_calls: usize,
    /// How many calls one connection may have under way.
    pub calls_per_connection: u32,
    /// How long calls under way may go on when the server stops.
    pub grace: Duration,
    /// How many connections there may be.
    pub connections: ConnectionLimits,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self {
            longest_wait: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            // Tokio has 512 blocking threads: half of them stay free for all other calls.
            waiting_calls: 256,
            calls_per_connection: 8,
            grace: Duration::from_secs(5),
            connections: ConnectionLimits::for_clients(64),
        }
    }
}

/// The service around a federation.
pub(super) struct FederationService {
    federation: Arc<dyn Federation>,
    limits: ServiceLimits,
    meter: Arc<TrafficMeter>,
    uploads: Uploads,
    waiting: Arc<Semaphore>,
}

impl FederationService {
    pub(super) fn new(
        federation: Arc<dyn Federation>,
        limits: ServiceLimits,
        meter: Arc<TrafficMeter>,
    ) -> Self {
        Self {
            federation,
            meter,
            uploads: Uploads::default(),
            waiting: Arc::new(Semaphore::new(
                limits.waiting_calls.min(Semaphore::MAX_PERMITS),
            )),
            limits,
        }
    }

    /// Who calls, and what they say.
    fn open<T: wire::Message>(&self, request: Request<T>) -> Result<(ClientId, T), Status> {
        let client = client_of(&request)?;
        let message = request.into_inner();
        self.meter.count_received(&message);
        Ok((client, message))
    }

    /// How long a call may wait, and the thread that it may hold meanwhile. Where all threads for
    /// waiting are taken, it queues for one, and still asks the federation once, at the end.
    async fn turn(&self, wait_ms: u32) -> (Duration, Option<OwnedSemaphorePermit>) {
        let wait = Duration::from_millis(wait_ms.into()).min(self.limits.longest_wait);
        let turn = tokio::time::timeout(wait, Arc::clone(&self.waiting).acquire_owned()).await;
        match turn {
            Ok(turn) => (wait, turn.ok()),
            Err(_) => (Duration::ZERO, None),
        }
    }

    fn answer<T: wire::Message>(&self, message: T) -> Response<T> {
        self.meter.count_sent(&message);
        Response::new(message)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Federation) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let federation = Arc::clone(&self.federation);
        tokio::task::spawn_blocking(move || call(&*federation))
            .await
            .map_err(|error| {
                tracing::error!(%error, "a call failed inside the coordinator");
                Status::internal("the coordinator failed at this call; its log says more")
            })
    }
}

fn refused(refusal: Refusal) -> Status {
    match refusal.kind {
        RefusalKind::Foreign => Status::permission_denied(refusal.reason),
        RefusalKind::Mismatch => Status::failed_precondition(refusal.reason),
        RefusalKind::Missing => Status::not_found(refusal.reason),
        RefusalKind::Away => Status::unavailable(refusal.reason),
    }
}

#[tonic::async_trait]
impl FederationCalls for FederationService {
    type FetchBlobStream = ReceiverStream<Result<wire::BlobChunk, Status>>;

    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinReply>, Status> {
        let (client, message) = self.open(request)?;
        let hello = Hello::try_from(message)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let welcome = self
            .blocking(move |federation| federation.join(&client, &hello))
            .await?
            .map_err(refused)?;
        Ok(self.answer(welcome.into()))
    }

    async fn next_task(
        &self,
        request: Request<wire::TaskRequest>,
    ) -> Result<Response<wire::TaskReply>, Status> {
        let (client, message) = self.open(request)?;
        let instance = Instance(message.instance);
        let (wait, turn) = self.turn(message.wait_ms).await;
        let task = self
            .blocking(move |federation| {
                // Held for as long as the thread is, even if the client hangs up.
                let _turn = turn;
                federation.next_task(&client, instance, wait)
            })
            .await?
            .map_err(refused)?;
        Ok(self.answer(task.into()))
    }

    async fn fetch_blob(
        &self,
        request: Request<wire::BlobRequest>,
    ) -> Result<Response<Self::FetchBlobStream>, Status> {
        let (client, message) = self.open(request)?;
        let wish = BlobWish::try_from(message)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let blob = self
            .blocking(move |federation| federation.blob(&client, &wish.digest))
            .await?
            .map_err(refused)?;
        if wish.offset > blob.len() as u64 {
            return Err(Status::out_of_range(format!(
                "the blob {} has {} bytes, so it can't be sent from {} on; begin at 0",
                wish.digest,
                blob.len(),
                wish.offset
            )));
        }
        let meter = Arc::clone(&self.meter);
        let chunks = download::stream(blob, wish.offset, self.limits.stall, meter);
        Ok(Response::new(chunks))
    }

    async fn submit_update(
        &self,
        request: Request<Streaming<wire::UpdateChunk>>,
    ) -> Result<Response<wire::SubmitReply>, Status> {
        let client = client_of(&request)?;
        let newer_begins = self.uploads.begin(client.clone());
        let begin = async |announced| {
            let client = client.clone();
            self.blocking(move |federation| federation.receive(&client, announced))
                .await
        };
        let upload = tokio::select! {
            upload = receive(request.into_inner(), self.limits.stall, &self.meter, begin) => upload?,
            _ = newer_begins => {
                return Err(Status::aborted("this client began a newer upload"));
            }
        };
        let receipt = match upload {
            Upload::Whole(arrived) => {
                self.blocking(move |federation| federation.submit_arrived(&client, arrived))
                    .await?
            }
            Upload::Answered(receipt) => receipt,
            Upload::Unstorable(reason) => {
                tracing::error!(%client, reason, "what came of an update can't be stored");
                self.blocking(move |federation| federation.note_unstorable(&reason))
                    .await?;
                return Err(Status::unavailable(
                    "the coordinator can't store updates; its log says more",
                ));
            }
            Upload::Refused(reason) => {
                let said = reason.clone();
                self.blocking(move |federation| federation.note_refusal(&client, &said))
                    .await?;
                Receipt::Refused { reason }
            }
        };
        match receipt {
            Receipt::NotNow { reason } => Err(Status::unavailable(reason)),
            receipt => Ok(self.answer(receipt.into())),
        }
    }

    async fn update_progress(
        &self,
        request: Request<wire::UpdateHeader>,
    ) -> Result<Response<wire::UpdateProgressReply>, Status> {
        let (client, message) = self.open(request)?;
        let announced = UpdateAnnouncement::try_from(message)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let received = self
            .blocking(move |federation| federation.received(&client, announced))
            .await?;
        Ok(self.answer(wire::UpdateProgressReply { received }))
    }

    async fn countersign(
        &self,
        request: Request<wire::CountersignRequest>,
    ) -> Result<Response<wire::CountersignReply>, Status> {
        let (client, message) = self.open(request)?;
        let signed = Countersignature::try_from(message)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let ended = self
            .blocking(move |federation| federation.countersign(&client, signed))
            .await?
            .map_err(refused)?;
        Ok(self.answer(ended.into()))
    }

    async fn leave(
        &self,
        request: Request<wire::LeaveRequest>,
    ) -> Result<Response<wire::LeaveReply>, Status> {
        let (client, message) = self.open(request)?;
        let instance = Instance(message.instance);
        let why = Departure::from(message);
        self.blocking(move |federation| federation.leave(&client, instance, why))
            .await?;
        Ok(self.answer(wire::LeaveReply {}))
    }

    async fn results(
        &self,
        request: Request<wire::ResultsRequest>,
    ) -> Result<Response<wire::ResultsReply>, Status> {
        let (client, message) = self.open(request)?;
        let (wait, turn) = self.turn(message.wait_ms).await;
        let results = self
            .blocking(move |federation| {
                let _turn = turn;
                federation.results(&client, wait)
            })
            .await?
            .map_err(refused)?;
        Ok(self.answer(results.into()))
    }

    async fn alive(
        &self,
        request: Request<wire::AliveRequest>,
    ) -> Result<Response<wire::AliveReply>, Status> {
        let (client, message) = self.open(request)?;
        let instance = Instance(message.instance);
        self.blocking(move |federation| federation.alive(&client, instance))
            .await?;
        Ok(self.answer(wire::AliveReply {}))
    }
}
