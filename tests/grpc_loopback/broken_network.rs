//! What a client survives: a cut link, a coordinator that goes away and comes back.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use umbel_client::grpc::GrpcTransport;
use umbel_client::transport::{Transport, TransportError};
use umbel_proto::departure::Departure;
use umbel_proto::message::{BlobDigest, Receipt, Update};

use crate::coordinator::{
    Call, Coordinator, Script, blob, certificates, dialling, hello, north, security,
};
use crate::proxy::{self, Cut};

#[test]
fn a_download_that_is_cut_goes_on_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let model = blob(20_000_000);
    let digest = BlobDigest::of(&model);
    let script = Arc::new(Script::offering(&model));
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let port = proxy::start(coordinator.address, Cut::Down(9_000_000));
    let mut client = north(port, &report);
    assert!(client.blob(&digest).unwrap() == model);
    assert_eq!(script.calls(), [Call::Blob(digest), Call::Blob(digest)]);
    // No chunk came twice: beside the blob itself, each message has some 20 bytes.
    let received = client.traffic().received;
    assert!((20_000_000..20_010_000).contains(&received), "{received}");
}

#[test]
fn an_upload_that_is_cut_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let script = Arc::new(Script {
        update_bytes: 20_000_000,
        ..Script::default()
    });
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let port = proxy::start(coordinator.address, Cut::Up(9_000_000));
    let mut client = north(port, &report);
    let update = Update {
        round: 1,
        values: blob(20_000_000).to_vec(),
    };
    assert_eq!(client.submit(&update).unwrap(), Receipt::Accepted);
    assert_eq!(script.calls().len(), 1);
    assert!(client.traffic().sent > 29_000_000 - 300_000);
}

#[test]
fn a_coordinator_may_go_away_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let script = Arc::new(Script::default());
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let address = coordinator.address;
    let mut client = north(address.port(), &report);
    client.join(&hello()).unwrap();
    coordinator.stop();
    // While it is away, somebody else holds the port and hangs up on the client.
    let stranger = TcpListener::bind(address).unwrap();
    let joining = thread::spawn(move || client.join(&hello()).map(|_| client));
    drop(stranger.accept().unwrap());
    drop(stranger.accept().unwrap());
    drop(stranger);
    let back = Coordinator::start_on(&address.to_string(), &script, security(&report, &report));
    let mut client = joining.join().unwrap().unwrap();
    // And once more, with nothing said in between.
    back.stop();
    let _again = Coordinator::start_on(&address.to_string(), &script, security(&report, &report));
    client.join(&hello()).unwrap();
    assert_eq!(script.calls().len(), 3);
}

#[test]
fn patience_with_a_coordinator_that_stays_away_ends() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    // A port that is free: nobody answers there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = &report.sites[0].folder;
    let mut settings = dialling(port, folder, folder);
    settings.retry.patience = Duration::from_millis(50);
    let mut client = GrpcTransport::connect(settings).unwrap();
    match client.join(&hello()).unwrap_err() {
        TransportError::Unreachable { address, reason } => {
            assert_eq!(address, format!("https://localhost:{port}"));
            assert!(reason.contains("refused"), "{reason}");
            assert!(reason.contains("Check the address"), "{reason}");
        }
        other => panic!("{other}"),
    }
    // Saying goodbye to nobody is no error.
    client.leave(Departure::Unsaid);
}
