//! Who is served at all.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::net::TcpListener;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use umbel_coordinator::grpc::{
    ClientDirectory, Security, ServeError, ServiceLimits, TlsSettings, TrafficMeter, bind, serve,
};
use umbel_coordinator::init::{InitOptions, InitReport, init};
use umbel_proto::wire::federation_client::FederationClient;

use crate::served::{Mock, Served, hello, start};

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
    FederationClient::new(channel)
        .join(hello("tests"))
        .await
        .map(drop)
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
    let status = joined(&served, &south.folder, Some(&south.folder))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let fingerprint = south.fingerprint.to_string();
    for part in [
        fingerprint.as_str(),
        "belongs to no client of this run",
        "[[clients]]",
    ] {
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
    assert!(
        joined(&served, trusted, Some(&other.sites[0].folder))
            .await
            .is_err()
    );
    assert!(mock.reached().is_empty());
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    let file = |name: &str| report.coordinator.join(name);
    let [certificate, key, ca] = [file("server.pem"), file("server.key"), file("ca.pem")];
    let missing = TlsSettings::read(&file("none.pem"), &key, &ca)
        .unwrap_err()
        .to_string();
    assert!(missing.starts_with("serve.certificate: "), "{missing}");
    let swapped = TlsSettings::read(&certificate, &ca, &ca)
        .unwrap_err()
        .to_string();
    assert!(
        swapped.contains("ca.pem: it holds no PEM section `PRIVATE KEY`"),
        "{swapped}"
    );

    // A key that others may read.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = file("readable.key");
        std::fs::copy(&key, &readable).unwrap();
        std::fs::set_permissions(&readable, PermissionsExt::from_mode(0o644)).unwrap();
        let refused = TlsSettings::read(&certificate, &readable, &ca).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }

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
