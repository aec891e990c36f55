//! How fast an update travels, as a share of what plain TLS reaches on this machine.
//! `cargo bench --workspace --bench upload`, or with a size in bytes: `-- 200000000`.
//!
//! Both go over the loopback device, with the same certificates and the same library. Plain TLS
//! carries the bytes and nothing else; an upload is gRPC with TLS on both sides, hashed by either,
//! and ends with its receipt. The two take turns.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream,
};
use tokio::sync::oneshot;
use umbel_client::grpc::{ClientIdentity, ClientTls, ConnectionSettings, GrpcTransport};
use umbel_client::transport::Transport as _;
use umbel_coordinator::grpc::{
    ClientDirectory, Security, ServiceLimits, TlsSettings, TrafficMeter, bind, serve,
};
use umbel_coordinator::init::{InitOptions, InitReport, init};
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation, Refusal, RefusalKind};
use umbel_proto::message::{
    BlobDigest, ClientId, Hello, Instance, Receipt, Results, Task, Update, Welcome,
};

/// An update of BERT-base, at 1.88 bytes a coordinate.
const BYTES: usize = 207_000_000;
const TURNS: usize = 5;

fn main() {
    let bytes = std::env::args().find_map(|text| text.parse().ok());
    let bytes = bytes.unwrap_or(BYTES);
    let folder = tempfile::tempdir().expect("a folder");
    let sites = ["north".parse().expect("a name")];
    let options = InitOptions::new(
        "localhost".parse().expect("a host"),
        std::time::SystemTime::now(),
    );
    let report = init(folder.path(), &sites, &options).expect("certificates");
    let payload: Vec<u8> = (0..bytes as u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect();
    let mut plain = Vec::new();
    let mut uploads = Vec::new();
    for _ in 0..TURNS {
        plain.push(plain_tls(&report, &payload));
        uploads.push(upload(&report, &payload));
    }
    let rate = |times: &mut Vec<Duration>| {
        times.sort();
        bytes as f64 / 1e6 / times[TURNS / 2].as_secs_f64()
    };
    let (plain, uploads) = (rate(&mut plain), rate(&mut uploads));
    println!(
        "{} MB, medians of {TURNS}: plain TLS {plain:.0} MB/s, an upload {uploads:.0} MB/s, {:.0} %",
        bytes / 1_000_000,
        100.0 * uploads / plain
    );
}

/// How long plain TLS takes to carry these bytes, and one byte back.
fn plain_tls(report: &InitReport, payload: &[u8]) -> Duration {
    let file = |name: &str| report.coordinator.join(name);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let chain = certificates(&file("server.pem"));
    let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a server");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&file("ca.pem")) {
        roots.add(certificate).expect("an authority");
    }
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut connection = ServerConnection::new(Arc::new(server)).expect("a connection");
            let mut stream = Stream::new(&mut connection, &mut socket);
            let mut buffer = vec![0; 1 << 16];
            let mut left = payload.len();
            while left > 0 {
                left -= stream.read(&mut buffer).expect("bytes");
            }
            stream.write_all(&[1]).expect("an answer");
        });
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connection = ClientConnection::new(Arc::new(client), name).expect("a connection");
        let mut socket = TcpStream::connect(address).expect("a connection");
        let mut stream = Stream::new(&mut connection, &mut socket);
        let begun = Instant::now();
        stream.write_all(payload).expect("it is sent");
        stream.read_exact(&mut [0]).expect("an answer");
        begun.elapsed()
    })
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let read = CertificateDer::pem_file_iter(path).expect("a file");
    read.collect::<Result<_, _>>().expect("certificates")
}

/// How long a client's upload takes, until it has its receipt.
fn upload(report: &InitReport, payload: &[u8]) -> Duration {
    let file = |name: &str| report.coordinator.join(name);
    let site = &report.sites[0];
    let security = Security::MutualTls {
        tls: TlsSettings::read(&file("server.pem"), &file("server.key"), &file("ca.pem"))
            .expect("certificates"),
        clients: ClientDirectory::new([(site.fingerprint, site.name.clone())]).expect("clients"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime
        .block_on(bind("127.0.0.1:0", &security))
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (stop, stopped) = oneshot::channel::<()>();
    let federation: Arc<dyn Federation> = Arc::new(Sink(payload.len() as u64));
    let serving = runtime.spawn(async move {
        let stopped = async move {
            let _: Result<(), _> = stopped.await;
        };
        let (limits, meter) = (ServiceLimits::default(), Arc::new(TrafficMeter::default()));
        serve(federation, security, listener, limits, meter, stopped).await
    });
    let address = format!("https://localhost:{port}");
    let own = |name: &str| site.folder.join(name);
    let tls = ClientTls::read(
        &address,
        &own("ca.pem"),
        &own("client.pem"),
        &own("client.key"),
    );
    let identity = ClientIdentity::Certificate {
        tls: tls.expect("certificates"),
        server_name: None,
    };
    let settings = ConnectionSettings::new(address, identity, Instance(1));
    let mut client = GrpcTransport::connect(settings).expect("a connection");
    let update = Update {
        round: 1,
        values: payload.to_vec(),
    };
    // The connection is made by the first call.
    let _ = client.next_task();
    let begun = Instant::now();
    let receipt = client.submit(&update).expect("a receipt");
    let took = begun.elapsed();
    assert_eq!(receipt, Receipt::Accepted);
    drop(client);
    let _: Result<(), _> = stop.send(());
    runtime
        .block_on(serving)
        .expect("it ends")
        .expect("it served");
    took
}

/// A federation that takes updates of up to so many bytes, and nothing else.
struct Sink(u64);

fn nothing<T>() -> Result<T, Refusal> {
    Err(Refusal {
        kind: RefusalKind::Missing,
        reason: "there is nothing here".into(),
    })
}

impl Federation for Sink {
    fn join(&self, _: &ClientId, _: &Hello) -> Result<Welcome, Refusal> {
        nothing()
    }

    fn next_task(&self, _: &ClientId, _: Instance, _: Duration) -> Result<Option<Task>, Refusal> {
        nothing()
    }

    fn blob(&self, _: &ClientId, _: &BlobDigest) -> Result<Arc<[u8]>, Refusal> {
        nothing()
    }

    fn countersign(
        &self,
        _: &ClientId,
        _: Countersignature,
    ) -> Result<Option<LedgerPoint>, Refusal> {
        nothing()
    }

    fn update_bytes(&self) -> u64 {
        self.0
    }

    fn submit(&self, _: &ClientId, _: Update) -> Receipt {
        Receipt::Accepted
    }

    fn results(&self, _: &ClientId, _: Duration) -> Result<Option<Results>, Refusal> {
        nothing()
    }

    fn alive(&self, _: &ClientId, _: Instance) {}

    fn leave(&self, _: &ClientId, _: Instance, _: Departure) {}
}
