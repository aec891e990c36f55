//! A federation for these tests, and the real server around it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tonic::Request;
use tonic::transport::Channel;
use umbel_coordinator::grpc::{Security, ServiceLimits, TrafficMeter, bind, serve};
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::message::{
    BlobDigest, ClientId, CoordinatorLedger, Hello, Instance, Receipt, Results, Task, Update,
    Welcome,
};
use umbel_proto::wire;
use umbel_proto::wire::federation_client::FederationClient;

pub(crate) const MOST: u64 = 1_000;

/// A federation with one blob, which notes what reaches it.
#[derive(Default)]
pub(crate) struct Mock {
    pub(crate) blob: Arc<[u8]>,
    pub(crate) reached: Mutex<Vec<String>>,
}

impl Mock {
    fn note(&self, what: impl Into<String>) {
        self.reached.lock().unwrap().push(what.into());
    }

    pub(crate) fn reached(&self) -> Vec<String> {
        self.reached.lock().unwrap().clone()
    }
}

impl Federation for Mock {
    fn join(&self, client: &ClientId, hello: &Hello) -> Result<Welcome, Refusal> {
        self.note(format!("{client} joins with {}", hello.software));
        let refuse = |kind| {
            let reason = "because".to_owned();
            Err(Refusal { kind, reason })
        };
        match hello.software.as_str() {
            "foreign" => refuse(RefusalKind::Foreign),
            "mismatch" => refuse(RefusalKind::Mismatch),
            "missing" => refuse(RefusalKind::Missing),
            "panic" => panic!("a bug"),
            _ => Ok(Welcome {
                plan: b"{}".to_vec(),
                files: Vec::new(),
                coordinator: CoordinatorLedger {
                    public_key: [7; 32].into(),
                    point: LedgerPoint::START,
                    digest: BlobDigest::of(&[]),
                },
                remembered: None,
            }),
        }
    }

    fn results(&self, _: &ClientId, _: Duration) -> Result<Option<Results>, Refusal> {
        Ok(None)
    }

    fn alive(&self, client: &ClientId, instance: Instance) {
        self.note(format!("{client} is alive as {}", instance.0));
    }

    fn next_task(
        &self,
        client: &ClientId,
        _: Instance,
        wait: Duration,
    ) -> Result<Option<Task>, Refusal> {
        self.note(format!("{client} waits {wait:?}"));
        Ok(None)
    }

    fn blob(&self, _: &ClientId, digest: &BlobDigest) -> Result<Arc<[u8]>, Refusal> {
        if digest.matches(&self.blob) {
            return Ok(Arc::clone(&self.blob));
        }
        Err(Refusal {
            kind: RefusalKind::Missing,
            reason: "no such blob".into(),
        })
    }

    fn countersign(
        &self,
        client: &ClientId,
        signed: Countersignature,
    ) -> Result<Option<LedgerPoint>, Refusal> {
        self.note(format!("{client} signs for {}", signed.statement.run));
        Ok(Some(signed.statement.ledger_after))
    }

    fn update_bytes(&self) -> u64 {
        MOST
    }

    fn submit(&self, client: &ClientId, update: Update) -> Receipt {
        let bytes = update.values.len();
        self.note(format!(
            "{client} submits {bytes} bytes for round {}",
            update.round
        ));
        Receipt::Accepted
    }

    fn note_refusal(&self, client: &ClientId, reason: &str) {
        self.note(format!("{client} is refused: {reason}"));
    }

    fn leave(&self, client: &ClientId, _: Instance, _: Departure) {
        self.note(format!("{client} leaves"));
    }
}

/// A coordinator that serves until it is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

pub(crate) async fn start(federation: Arc<dyn Federation>, security: Security) -> Served {
    let listener = bind("127.0.0.1:0", &security).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let limits = ServiceLimits::default();
    let meter = Arc::new(TrafficMeter::default());
    tokio::spawn(serve(
        federation,
        security,
        listener,
        limits,
        meter,
        async move {
            let _: Result<(), _> = stopped.await;
        },
    ));
    Served {
        address,
        _stop: stop,
    }
}

/// A coordinator without TLS, and a client that says it is `north`.
pub(crate) async fn plain(mock: &Arc<Mock>) -> (Served, FederationClient<Channel>) {
    let served = start(Arc::clone(mock) as _, Security::LoopbackOnly).await;
    let url = format!("http://{}", served.address);
    let client = FederationClient::connect(url).await.unwrap();
    (served, client)
}

pub(crate) fn as_north<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert(wire::CLIENT_HEADER, "north".parse().unwrap());
    request
}

pub(crate) fn hello(software: &str) -> wire::JoinRequest {
    wire::JoinRequest {
        software: software.into(),
        ..Default::default()
    }
}
