//! What is refused, and in which words.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use umbel_client::grpc::{ClientIdentity, ClientTls, ConnectionSettings, GrpcTransport};
use umbel_client::transport::{Transport, TransportError};
use umbel_coordinator::grpc::Security;
use umbel_coordinator::init::InitReport;
use umbel_proto::federation::RefusalKind;
use umbel_proto::message::{BlobDigest, Hello, Instance, ModelFile, Receipt, Update};

use crate::coordinator::{
    Coordinator, Script, blob, certificates, dialling, hello, north, security,
};

/// Two federations that don't know each other, and one whose certificates have expired.
struct Federations {
    ours: InitReport,
    other: InitReport,
    expired: InitReport,
    _dir: tempfile::TempDir,
}

fn federations() -> Federations {
    let dir = tempfile::tempdir().unwrap();
    Federations {
        ours: certificates(&dir.path().join("ours"), 0),
        other: certificates(&dir.path().join("other"), 0),
        expired: certificates(&dir.path().join("expired"), 400),
        _dir: dir,
    }
}

/// The error of joining a coordinator of this security with these files.
fn join_error(security: Security, own: &Path, trusted: &Path) -> TransportError {
    let script = Arc::new(Script::default());
    let coordinator = Coordinator::start(&script, security);
    let settings = dialling(coordinator.address.port(), own, trusted);
    let error = GrpcTransport::connect(settings)
        .unwrap()
        .join(&hello())
        .unwrap_err();
    assert_eq!(script.calls(), [], "nothing may reach the federation");
    error
}

fn unreachable_reason(error: TransportError) -> String {
    match error {
        TransportError::Unreachable { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn a_site_that_is_not_in_the_run_learns_what_to_do() {
    let f = federations();
    // `south` has a certificate of the authority, but isn't among the clients.
    let south = &f.ours.sites[1];
    let error = join_error(security(&f.ours, &f.ours), &south.folder, &south.folder);
    match error {
        TransportError::Refused { kind, reason } => {
            assert_eq!(kind, RefusalKind::Foreign);
            let fingerprint = south.fingerprint.to_string();
            assert!(reason.contains(&fingerprint), "{reason}");
            assert!(
                reason.contains("ask the coordinator's operator"),
                "{reason}"
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_coordinator_of_an_unknown_authority_is_not_spoken_to() {
    let f = federations();
    let own = &f.ours.sites[0].folder;
    let trusted = &f.other.sites[0].folder;
    let reason = unreachable_reason(join_error(security(&f.ours, &f.ours), own, trusted));
    let ca = trusted.join("ca.pem").display().to_string();
    assert!(
        reason.contains("wasn't signed by the authority"),
        "{reason}"
    );
    assert!(reason.contains(&ca), "{reason}");
}

#[test]
fn a_coordinator_whose_certificate_expired_is_not_spoken_to() {
    let f = federations();
    let own = &f.ours.sites[0].folder;
    let trusted = &f.expired.sites[0].folder;
    let reason = unreachable_reason(join_error(security(&f.expired, &f.ours), own, trusted));
    assert!(
        reason.contains("coordinator's certificate has expired"),
        "{reason}"
    );
}

#[test]
fn a_site_whose_certificate_expired_learns_so() {
    let f = federations();
    let own = &f.expired.sites[0].folder;
    let trusted = &f.ours.sites[0].folder;
    let reason = unreachable_reason(join_error(security(&f.ours, &f.expired), own, trusted));
    assert!(reason.contains("client.pem has expired"), "{reason}");
}

#[test]
fn a_site_of_another_authority_learns_which_file_to_check() {
    let f = federations();
    let own = &f.other.sites[0].folder;
    let trusted = &f.ours.sites[0].folder;
    let reason = unreachable_reason(join_error(security(&f.ours, &f.ours), own, trusted));
    let certificate = own.join("client.pem").display().to_string();
    assert!(
        reason.contains("doesn't accept this site's certificate"),
        "{reason}"
    );
    assert!(reason.contains(&certificate), "{reason}");
}

#[test]
fn a_wrong_name_is_answered_with_the_right_ones() {
    let f = federations();
    let coordinator = Coordinator::start(&Arc::default(), security(&f.ours, &f.ours));
    let folder = &f.ours.sites[0].folder;
    let settings = dialling(coordinator.address.port(), folder, folder);
    let ClientIdentity::Certificate { tls, .. } = settings.identity.clone() else {
        panic!("dialling is with certificates");
    };
    let with_name = |name: &str| {
        let server_name = Some(name.to_owned());
        let identity = ClientIdentity::Certificate {
            tls: tls.clone(),
            server_name,
        };
        GrpcTransport::connect(ConnectionSettings {
            identity,
            ..settings.clone()
        })
    };
    let wrong = with_name("umbel.example.org").unwrap().join(&hello());
    let reason = unreachable_reason(wrong.unwrap_err());
    assert!(reason.contains("localhost"), "{reason}");
    assert!(reason.contains("set tls.server_name"), "{reason}");
    let no_name = with_name("no name").err().unwrap().to_string();
    assert!(no_name.contains("tls.server_name"), "{no_name}");
    // The name in the certificate is good whatever the address says.
    with_name("127.0.0.1").unwrap().join(&hello()).unwrap();
}

#[test]
fn a_port_without_tls_is_recognised() {
    let f = federations();
    let folder = &f.ours.sites[0].folder;
    let reason = unreachable_reason(join_error(Security::LoopbackOnly, folder, folder));
    assert!(reason.contains("doesn't speak TLS"), "{reason}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let f = federations();
    let own = &f.ours.sites[0].folder;
    let file = |name: &str| own.join(name);
    let [ca, certificate, key] = [file("ca.pem"), file("client.pem"), file("client.key")];
    let address = "https://localhost:7700";
    let read = |ca: &Path, certificate: &Path, key: &Path| {
        ClientTls::read(address, ca, certificate, key).map_err(unreachable_reason)
    };
    let missing = read(&file("none.pem"), &certificate, &key).unwrap_err();
    assert!(missing.starts_with("tls.ca: "), "{missing}");
    assert!(missing.contains("none.pem"), "{missing}");
    let swapped = read(&ca, &key, &certificate).unwrap_err();
    assert!(
        swapped.contains("client.key: it holds no PEM section `CERTIFICATE`"),
        "{swapped}"
    );
    // A key that isn't the certificate's.
    let tls = read(
        &ca,
        &certificate,
        &f.other.sites[0].folder.join("client.key"),
    )
    .unwrap();
    let identity = ClientIdentity::Certificate {
        tls,
        server_name: None,
    };
    let settings = ConnectionSettings::new(address, identity, Instance(1));
    let reason = unreachable_reason(GrpcTransport::connect(settings).err().unwrap());
    assert!(
        reason.contains("the key must be the certificate's"),
        "{reason}"
    );
}

#[test]
fn what_the_coordinator_refuses_is_not_tried_again() {
    let f = federations();
    let script = Arc::new(Script::default());
    let coordinator = Coordinator::start(&script, security(&f.ours, &f.ours));
    let mut client = north(coordinator.address.port(), &f.ours);
    let other_protocol = Hello {
        protocol: 99,
        ..hello()
    };
    let mismatch = client.join(&other_protocol).unwrap_err();
    let missing = client
        .blob(&BlobDigest::of(b"what nobody has"))
        .unwrap_err();
    for (error, expected) in [
        (mismatch, RefusalKind::Mismatch),
        (missing, RefusalKind::Missing),
    ] {
        match error {
            TransportError::Refused { kind, .. } => assert_eq!(kind, expected),
            other => panic!("{other}"),
        }
    }
    assert_eq!(script.calls().len(), 2);
}

#[test]
fn a_blob_that_is_not_what_was_asked_for_is_refused() {
    let f = federations();
    let asked = BlobDigest::of(b"asked for");
    let script = Arc::new(Script {
        blobs: [(asked, Arc::from(*b"something"))].into(),
        ..Script::default()
    });
    let coordinator = Coordinator::start(&script, security(&f.ours, &f.ours));
    let error = north(coordinator.address.port(), &f.ours)
        .blob(&asked)
        .unwrap_err();
    assert!(matches!(error, TransportError::Garbled { .. }), "{error}");
    assert!(error.to_string().contains("altered"), "{error}");
}

#[test]
fn a_blob_that_is_longer_than_announced_or_allowed_is_refused() {
    let f = federations();
    let model = blob(1_000_000);
    let digest = BlobDigest::of(&model);
    let script = Arc::new(Script {
        files: vec![ModelFile {
            name: "config.json".into(),
            digest,
            bytes: 999_999,
        }],
        ..Script::offering(&model)
    });
    let coordinator = Coordinator::start(&script, security(&f.ours, &f.ours));
    let folder = &f.ours.sites[0].folder;
    let mut settings = dialling(coordinator.address.port(), folder, folder);
    settings.most_blob_bytes = 999_998;
    let mut client = GrpcTransport::connect(settings).unwrap();
    let allowed = client.blob(&digest).unwrap_err().to_string();
    assert!(allowed.contains("at most 999998 are accepted"), "{allowed}");
    client.join(&hello()).unwrap();
    let announced = client.blob(&digest).unwrap_err().to_string();
    assert!(
        announced.contains("at most 999999 are accepted"),
        "{announced}"
    );
}

#[test]
fn an_update_that_is_too_long_is_refused_before_it_is_sent_whole() {
    let f = federations();
    let script = Arc::new(Script {
        update_bytes: 19_999_999,
        ..Script::default()
    });
    let coordinator = Coordinator::start(&script, security(&f.ours, &f.ours));
    let folder = &f.ours.sites[0].folder;
    let mut settings = dialling(coordinator.address.port(), folder, folder);
    // A refusal that got lost would be tried again, and fail this test by time running out.
    settings.retry.patience = Duration::ZERO;
    let mut client = GrpcTransport::connect(settings).unwrap();
    let update = Update {
        round: 1,
        values: blob(20_000_000).to_vec(),
    };
    match client.submit(&update).unwrap() {
        Receipt::Refused { reason } => {
            assert!(reason.contains("at most 19999999 are accepted"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(script.calls().is_empty());
    let sent = client.traffic().sent;
    assert!(sent < 10_000_000, "{sent} bytes were sent");
}
