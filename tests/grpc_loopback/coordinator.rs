//! A coordinator for these tests: a scripted federation behind the real server.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use umbel_client::grpc::{ClientIdentity, ClientTls, ConnectionSettings, GrpcTransport};
use umbel_coordinator::grpc::{
    ClientDirectory, Security, ServeError, ServiceLimits, TlsSettings, TrafficMeter, bind, serve,
};
use umbel_coordinator::init::{InitOptions, InitReport, init};
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::message::{
    BlobDigest, ClientId, CoordinatorLedger, Hello, Instance, ModelFile, PROTOCOL_VERSION, Receipt,
    Results, Task, Update, Welcome,
};

/// A federation that says what it was told to say, and notes what it hears.
#[derive(Default)]
pub(crate) struct Script {
    /// The plan that it tells on joining.
    pub(crate) plan: Vec<u8>,
    /// What it offers, by digest: the bytes may be others than the digest's.
    pub(crate) blobs: BTreeMap<BlobDigest, Arc<[u8]>>,
    /// What it tells on joining.
    pub(crate) files: Vec<ModelFile>,
    /// The ledger that it shows; an empty one if `None`.
    pub(crate) ledger: Option<CoordinatorLedger>,
    /// Where it says that it saw the site's ledger.
    pub(crate) remembered: Option<LedgerPoint>,
    /// The answers to calls for the next task, one after the other.
    pub(crate) tasks: Mutex<VecDeque<Option<Task>>>,
    /// What it says came of the run; nothing, if `None`.
    pub(crate) results: Option<Results>,
    /// The longest update.
    pub(crate) update_bytes: u64,
    /// How long it thinks about an update that it has, before it answers.
    pub(crate) thinks: Duration,
    /// Every call that arrived.
    pub(crate) calls: Mutex<Vec<Call>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Join(ClientId),
    NextTask(ClientId),
    Blob(BlobDigest),
    Submit(ClientId, Update),
    Countersign(Box<Countersignature>),
    Leave(ClientId, Departure),
}

impl Script {
    /// One that offers this blob.
    pub(crate) fn offering(blob: &Arc<[u8]>) -> Self {
        Self {
            blobs: [(BlobDigest::of(blob), Arc::clone(blob))].into(),
            ..Self::default()
        }
    }

    /// Every call that arrived.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Federation for Script {
    fn join(&self, client: &ClientId, hello: &Hello) -> Result<Welcome, Refusal> {
        self.note(Call::Join(client.clone()));
        if hello.protocol != PROTOCOL_VERSION {
            return Err(Refusal {
                kind: RefusalKind::Mismatch,
                reason: "another protocol".into(),
            });
        }
        Ok(Welcome {
            plan: self.plan.clone(),
            files: self.files.clone(),
            coordinator: self.ledger.unwrap_or(CoordinatorLedger {
                public_key: [7; 32].into(),
                point: LedgerPoint::START,
                digest: BlobDigest::of(&[]),
            }),
            remembered: self.remembered,
        })
    }

    fn next_task(
        &self,
        client: &ClientId,
        _: Instance,
        _: Duration,
    ) -> Result<Option<Task>, Refusal> {
        self.note(Call::NextTask(client.clone()));
        Ok(self.tasks.lock().unwrap().pop_front().flatten())
    }

    fn blob(&self, _: &ClientId, digest: &BlobDigest) -> Result<Arc<[u8]>, Refusal> {
        self.note(Call::Blob(*digest));
        self.blobs.get(digest).cloned().ok_or_else(|| Refusal {
            kind: RefusalKind::Missing,
            reason: "no such blob".into(),
        })
    }

    fn countersign(
        &self,
        _: &ClientId,
        signed: Countersignature,
    ) -> Result<Option<LedgerPoint>, Refusal> {
        self.note(Call::Countersign(Box::new(signed)));
        Ok(None)
    }

    fn update_bytes(&self) -> u64 {
        self.update_bytes
    }

    fn submit(&self, client: &ClientId, update: Update) -> Receipt {
        let call = Call::Submit(client.clone(), update);
        let receipt = if self.calls().contains(&call) {
            Receipt::Duplicate
        } else {
            Receipt::Accepted
        };
        self.note(call);
        std::thread::sleep(self.thinks);
        receipt
    }

    fn results(&self, _: &ClientId, _: Duration) -> Result<Option<Results>, Refusal> {
        Ok(Some(self.results.unwrap_or(Results::NoModel)))
    }

    fn alive(&self, _: &ClientId, _: Instance) {}

    fn leave(&self, client: &ClientId, _: Instance, why: Departure) {
        self.note(Call::Leave(client.clone(), why));
    }
}

/// A coordinator that serves until it is stopped or dropped.
pub(crate) struct Coordinator {
    pub(crate) address: SocketAddr,
    pub(crate) meter: Arc<TrafficMeter>,
    // Fields drop in this order: the server is told to stop before its runtime ends.
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
    runtime: Runtime,
}

impl Coordinator {
    /// Serves on any free port.
    pub(crate) fn start(script: &Arc<Script>, security: Security) -> Self {
        Self::start_on("127.0.0.1:0", script, security)
    }

    pub(crate) fn start_on(listen: &str, script: &Arc<Script>, security: Security) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(bind(listen, &security)).unwrap();
        let address = listener.local_addr().unwrap();
        let meter = Arc::new(TrafficMeter::default());
        let (stop, stopped) = oneshot::channel();
        let federation: Arc<dyn Federation> = script.clone();
        let counted = Arc::clone(&meter);
        let serving = runtime.spawn(async move {
            let limits = ServiceLimits::default();
            let stopped = async move {
                let _: Result<(), _> = stopped.await;
            };
            serve(federation, security, listener, limits, counted, stopped).await
        });
        Self {
            address,
            meter,
            stop,
            serving,
            runtime,
        }
    }

    /// Serves no more when this returns.
    pub(crate) fn stop(self) {
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.serving).unwrap().unwrap();
    }
}

/// A new federation of `north` and `south` in `dir`, whose certificates began to be good
/// `age` days ago and are good for a year.
pub(crate) fn certificates(dir: &Path, age: u64) -> InitReport {
    let sites = ["north", "south"].map(|name| name.parse().unwrap());
    let now = SystemTime::now() - Duration::from_secs(age * 24 * 60 * 60);
    let options = InitOptions::new("localhost".parse().unwrap(), now);
    init(dir, &sites, &options).unwrap()
}

/// The coordinator's side of `report`, which knows the site `north` alone. It trusts
/// clients by the authority of `authority`.
pub(crate) fn security(report: &InitReport, authority: &InitReport) -> Security {
    let file = |name: &str| report.coordinator.join(name);
    let ca = authority.coordinator.join("ca.pem");
    let north = &authority.sites[0];
    Security::MutualTls {
        tls: TlsSettings::read(&file("server.pem"), &file("server.key"), &ca).unwrap(),
        clients: ClientDirectory::new([(north.fingerprint, north.name.clone())]).unwrap(),
    }
}

/// How the site whose files are in `own` dials, trusting the authority in `trusted`.
pub(crate) fn dialling(port: u16, own: &Path, trusted: &Path) -> ConnectionSettings {
    let address = format!("https://localhost:{port}");
    let [certificate, key]: [PathBuf; 2] = ["client.pem", "client.key"].map(|f| own.join(f));
    let tls = ClientTls::read(&address, &trusted.join("ca.pem"), &certificate, &key).unwrap();
    let identity = ClientIdentity::Certificate {
        tls,
        server_name: None,
    };
    let mut settings = ConnectionSettings::new(address, identity, Instance(1));
    settings.retry.first_pause = Duration::from_millis(20);
    settings.retry.longest_pause = Duration::from_millis(100);
    settings.retry.patience = Duration::from_secs(60);
    settings
}

/// The client `north` of `report`, connected to `port`.
pub(crate) fn north(port: u16, report: &InitReport) -> GrpcTransport {
    let folder = &report.sites[0].folder;
    GrpcTransport::connect(dialling(port, folder, folder)).unwrap()
}

pub(crate) fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        software: "tests".into(),
        labels: Vec::new(),
        ledger: LedgerPoint::START,
        instance: Instance(1),
    }
}

/// A blob that looks random, so that no two chunks are the same.
pub(crate) fn blob(bytes: usize) -> Arc<[u8]> {
    let mut state = 1u64;
    let mut next = || {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}
