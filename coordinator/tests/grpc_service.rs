//! The service as any client of the protocol meets it, over real sockets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use umbel_coordinator::grpc::{
    ClientDirectory, Security, ServeError, ServiceLimits, TlsSettings, TrafficMeter, bind, serve,
};
use umbel_coordinator::init::{InitOptions, InitReport, init};
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::message::{BlobDigest, ClientId, Hello, Receipt, Task, Update, Welcome};
use umbel_proto::wire;
use umbel_proto::wire::federation_client::FederationClient;
use umbel_proto::wire::submit_reply::Outcome;
use umbel_proto::wire::update_chunk::Part;

const MOST: u64 = 1_000;

/// A federation with one blob, which notes what reaches it.
#[derive(Default)]
struct Mock {
    blob: Arc<[u8]>,
    reached: Mutex<Vec<String>>,
}

impl Mock {
    fn note(&self, what: impl Into<String>) {
        self.reached.lock().unwrap().push(what.into());
    }

    fn reached(&self) -> Vec<String> {
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
            }),
        }
    }

    fn next_task(&self, client: &ClientId, wait: Duration) -> Result<Option<Task>, Refusal> {
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

    fn update_bytes(&self) -> u64 {
        MOST
    }

    fn submit(&self, client: &ClientId, update: Update) -> Receipt {
        let bytes = update.values.len();
        self.note(format!("{client} submits {bytes} bytes for round {}", update.round));
        Receipt::Accepted
    }

    fn leave(&self, client: &ClientId) {
        self.note(format!("{client} leaves"));
    }
}

/// A coordinator that serves until it is dropped.
struct Served {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

async fn start(federation: Arc<dyn Federation>, security: Security) -> Served {
    let listener = bind("127.0.0.1:0", &security).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let limits = ServiceLimits::default();
    let meter = Arc::new(TrafficMeter::default());
    tokio::spawn(serve(federation, security, listener, limits, meter, async move {
        let _: Result<(), _> = stopped.await;
    }));
    Served {
        address,
        _stop: stop,
    }
}

/// A coordinator without TLS, and a client that says it is `north`.
async fn plain(mock: &Arc<Mock>) -> (Served, FederationClient<Channel>) {
    let served = start(Arc::clone(mock) as _, Security::LoopbackOnly).await;
    let url = format!("http://{}", served.address);
    let client = FederationClient::connect(url).await.unwrap();
    (served, client)
}

fn as_north<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(wire::CLIENT_HEADER, "north".parse().unwrap());
    request
}

fn hello(software: &str) -> wire::JoinRequest {
    wire::JoinRequest {
        software: software.into(),
        ..Default::default()
    }
}

fn upload(total_bytes: u64, digest: BlobDigest, data: &[&[u8]]) -> Vec<wire::UpdateChunk> {
    let header = Part::Header(wire::UpdateHeader {
        round: 7,
        total_bytes,
        digest: digest.as_bytes().to_vec(),
    });
    let data = data.iter().map(|bytes| Part::Data(bytes.to_vec()));
    std::iter::once(header)
        .chain(data)
        .map(|part| wire::UpdateChunk { part: Some(part) })
        .collect()
}

async fn submitted(
    client: &mut FederationClient<Channel>,
    chunks: Vec<wire::UpdateChunk>,
) -> Result<Outcome, Status> {
    let reply = client.submit_update(as_north(tokio_stream::iter(chunks))).await?;
    Ok(reply.into_inner().outcome.unwrap())
}

async fn fetched(
    client: &mut FederationClient<Channel>,
    digest: &[u8],
    offset: u64,
) -> Result<Vec<wire::BlobChunk>, Status> {
    let digest = digest.to_vec();
    let request = as_north(wire::BlobRequest { digest, offset });
    let mut stream = client.fetch_blob(request).await?.into_inner();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.message().await? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

#[tokio::test]
async fn each_kind_of_refusal_has_its_status() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    for (software, code) in [
        ("foreign", Code::PermissionDenied),
        ("mismatch", Code::FailedPrecondition),
        ("missing", Code::NotFound),
    ] {
        let status = client.join(as_north(hello(software))).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "because"));
    }
}

#[tokio::test]
async fn a_call_that_panics_is_an_error_and_the_next_one_is_answered() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let status = client.join(as_north(hello("panic"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    let welcome = client.join(as_north(hello("tests"))).await.unwrap();
    assert_eq!(welcome.into_inner().plan, b"{}");
}

#[tokio::test]
async fn nobody_waits_for_a_task_longer_than_twenty_seconds() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    for wait_ms in [5, u32::MAX] {
        client.next_task(as_north(wire::TaskRequest { wait_ms })).await.unwrap();
    }
    assert_eq!(mock.reached(), ["north waits 5ms", "north waits 20s"]);
}

#[tokio::test]
async fn a_blob_comes_from_any_offset() {
    let blob: Vec<u8> = (0..600_000u32).map(|i| i as u8).collect();
    let mock = Arc::new(Mock {
        blob: blob.as_slice().into(),
        ..Mock::default()
    });
    let (_served, mut client) = plain(&mock).await;
    let digest = *BlobDigest::of(&blob).as_bytes();
    for (offset, expected_chunks) in [(0, 3), (1, 3), (300_000, 2), (600_000, 1)] {
        let chunks = fetched(&mut client, &digest, offset).await.unwrap();
        assert_eq!(chunks.len(), expected_chunks);
        let mut next = offset;
        for chunk in &chunks {
            assert_eq!((chunk.offset, chunk.total_bytes), (next, 600_000));
            next += chunk.data.len() as u64;
        }
        let data: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
        assert_eq!(data, blob[offset as usize..]);
    }
    let code = |result: Result<_, Status>| result.unwrap_err().code();
    assert_eq!(code(fetched(&mut client, &digest, 600_001).await), Code::OutOfRange);
    assert_eq!(code(fetched(&mut client, &[1; 32], 0).await), Code::NotFound);
    assert_eq!(code(fetched(&mut client, &[1; 31], 0).await), Code::InvalidArgument);
}

#[tokio::test]
async fn an_update_is_handed_on_only_if_it_is_what_was_announced() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let digest = BlobDigest::of(b"abcdef");
    let cases = [
        (upload(MOST + 1, digest, &[b"abcdef"]), "1001 bytes are announced, but 1000 is the most"),
        (upload(6, digest, &[b"abc", b"deF"]), "altered"),
        (upload(6, digest, &[b"abc"]), "only 3 of the announced 6 bytes"),
        (upload(5, digest, &[b"abc", b"def"]), "more than the announced 5 bytes"),
    ];
    for (chunks, expected) in cases {
        match submitted(&mut client, chunks).await.unwrap() {
            Outcome::Refused(refused) => {
                assert!(refused.reason.contains(expected), "{}", refused.reason);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(mock.reached().is_empty());
    let outcome = submitted(&mut client, upload(6, digest, &[b"abc", b"def"])).await;
    assert!(matches!(outcome, Ok(Outcome::Accepted(_))));
    assert_eq!(mock.reached(), ["north submits 6 bytes for round 7"]);
}

#[tokio::test]
async fn an_upload_without_header_is_an_invalid_argument() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let mut chunks = upload(6, BlobDigest::of(b"abcdef"), &[b"abcdef"]);
    chunks.remove(0);
    let status = submitted(&mut client, chunks).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn without_tls_a_client_must_name_itself() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let status = client.join(hello("tests")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("umbel-client"), "{}", status.message());
}

#[tokio::test]
async fn without_tls_only_loopback_addresses_are_served() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let error = bind(listen, &Security::LoopbackOnly).await.unwrap_err();
        assert!(matches!(error, ServeError::Exposed { .. }), "{error}");
    }
    let exposed = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = serve(
        Arc::new(Mock::default()),
        Security::LoopbackOnly,
        exposed,
        ServiceLimits::default(),
        Arc::new(TrafficMeter::default()),
        std::future::pending(),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, ServeError::Exposed { .. }), "{error}");
}

fn federation(dir: &Path) -> InitReport {
    let sites = ["north", "south"].map(|name| name.parse().unwrap());
    let options = InitOptions::new("localhost".parse().unwrap(), SystemTime::now());
    init(dir, &sites, &options).unwrap()
}

fn server_tls(report: &InitReport) -> TlsSettings {
    let [certificate, key, ca] =
        ["server.pem", "server.key", "ca.pem"].map(|file| report.coordinator.join(file));
    TlsSettings::read(&certificate, &key, &ca).unwrap()
}

/// A coordinator that knows `north` alone, though `south` has a certificate, too.
async fn tls(mock: &Arc<Mock>, report: &InitReport) -> Served {
    let north = &report.sites[0];
    let clients = ClientDirectory::new([(north.fingerprint, north.name.clone())]).unwrap();
    let tls = server_tls(report);
    start(Arc::clone(mock) as _, Security::MutualTls { tls, clients }).await
}

/// Joins with the certificate in `own`, if there is one, trusting the authority in `trusted`.
async fn joined(served: &Served, trusted: &Path, own: Option<&Path>) -> Result<(), Status> {
    let read = |path: &Path, file: &str| std::fs::read(path.join(file)).unwrap();
    let mut config = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(read(trusted, "ca.pem")));
    if let Some(own) = own {
        config = config.identity(Identity::from_pem(
            read(own, "client.pem"),
            read(own, "client.key"),
        ));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", served.address)).unwrap();
    let channel = endpoint.tls_config(config).unwrap().connect_lazy();
    FederationClient::new(channel).join(hello("tests")).await.map(drop)
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    let mock = Arc::new(Mock::default());
    let served = tls(&mock, &report).await;
    let north = &report.sites[0].folder;
    joined(&served, north, Some(north)).await.unwrap();
    assert_eq!(mock.reached(), ["north joins with tests"]);
}

#[tokio::test]
async fn a_certificate_that_belongs_to_no_client_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    let mock = Arc::new(Mock::default());
    let served = tls(&mock, &report).await;
    let south = &report.sites[1];
    let status = joined(&served, &south.folder, Some(&south.folder)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let fingerprint = south.fingerprint.to_string();
    for part in [fingerprint.as_str(), "belongs to no client of this run", "[[clients]]"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    assert!(mock.reached().is_empty());
}

#[tokio::test]
async fn without_a_certificate_of_the_authority_nothing_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(&dir.path().join("ours"));
    let other = federation(&dir.path().join("other"));
    let mock = Arc::new(Mock::default());
    let served = tls(&mock, &report).await;
    let trusted = &report.sites[0].folder;
    assert!(joined(&served, trusted, None).await.is_err());
    assert!(joined(&served, trusted, Some(&other.sites[0].folder)).await.is_err());
    assert!(mock.reached().is_empty());
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    let file = |name: &str| report.coordinator.join(name);
    let [certificate, key, ca] = [file("server.pem"), file("server.key"), file("ca.pem")];
    let missing = TlsSettings::read(&file("none.pem"), &key, &ca).unwrap_err().to_string();
    assert!(missing.starts_with("serve.certificate: "), "{missing}");
    let swapped = TlsSettings::read(&certificate, &ca, &ca).unwrap_err().to_string();
    assert!(swapped.contains("ca.pem: it holds no PEM section `PRIVATE KEY`"), "{swapped}");

    // A key that isn't the certificate's.
    let foreign_key = report.sites[0].folder.join("client.key");
    let security = Security::MutualTls {
        tls: TlsSettings::read(&certificate, &foreign_key, &ca).unwrap(),
        clients: ClientDirectory::default(),
    };
    let listener = bind("127.0.0.1:0", &security).await.unwrap();
    let error = serve(
        Arc::new(Mock::default()),
        security,
        listener,
        ServiceLimits::default(),
        Arc::new(TrafficMeter::default()),
        std::future::pending(),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, ServeError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn serving_ends_when_it_is_told_to() {
    let security = Security::LoopbackOnly;
    let listener = bind("127.0.0.1:0", &security).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving: JoinHandle<Result<(), ServeError>> = tokio::spawn(serve(
        Arc::new(Mock::default()),
        security,
        listener,
        ServiceLimits::default(),
        Arc::new(TrafficMeter::default()),
        async move {
            let _: Result<(), _> = stopped.await;
        },
    ));
    // An idle connection doesn't hold it up.
    let client = FederationClient::connect(format!("http://{address}")).await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    drop(client);
    // The port is free again.
    TcpListener::bind(address).await.unwrap();
}
