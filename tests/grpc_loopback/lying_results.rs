//! A coordinator that gives sites another model or another certificate than they took part in.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use umbel_client::grpc::{ClientIdentity, ConnectionSettings, GrpcTransport};
use umbel_client::participate::participate;
use umbel_client::results::ResultsPlace;
use umbel_coordinator::grpc::Security;
use umbel_privacy::certificate::{
    Certificate, FileStatement, SignedCertificate, SigningKey, key_file,
};
use umbel_privacy::disk::RealDisk;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::message::{BlobDigest, CoordinatorLedger, Instance, Results};

use crate::coordinator::{Coordinator, Script};
use crate::site::{Bench, LOCAL, Offered, PER_CLIENT, north};

/// A real run's certificate, and the key that signs it.
fn certified(bench: &Bench) -> (Certificate, SigningKey) {
    let configuration = bench.configuration("real", 1, LOCAL);
    let text = fs::read_to_string(&configuration).unwrap();
    let data = format!("name = \"north\"\ndata = {:?}", bench.path("rows.csv"));
    fs::write(&configuration, text.replace("name = \"north\"", &data)).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_umbel"))
        .args([
            "simulate",
            configuration.to_str().unwrap(),
            "--json",
            "--device",
            "cpu",
        ])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
    let said: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let folder = bench.path(said["run_dir"].as_str().unwrap());
    let bytes = fs::read(folder.join("certificate.json")).unwrap();
    let key = key_file::load(&bench.path("runs/signing.key"))
        .unwrap()
        .unwrap();
    let certificate = SignedCertificate::read(&bytes).unwrap();
    (certificate.certificate().clone(), key)
}

/// What the client says to these results of a run that it took part in, and what it kept.
fn given(
    bench: &Bench,
    offered: &Offered,
    key: &SigningKey,
    certificate: &[u8],
    more: &[&[u8]],
) -> (String, usize) {
    let digest = BlobDigest::of(certificate);
    let mut script: Script = offered.script(&[(1, 1)]);
    script.results = Some(Results::Certified(digest));
    script.ledger = Some(CoordinatorLedger {
        public_key: key.public_key(),
        point: LedgerPoint::START,
        digest: BlobDigest::of(&[]),
    });
    script.blobs.insert(BlobDigest::of(&[]), Arc::from([]));
    for blob in more.iter().chain([&certificate]) {
        script.blobs.insert(BlobDigest::of(blob), Arc::from(*blob));
    }
    let script = Arc::new(script);
    let coordinator = Coordinator::start(&script, Security::LoopbackOnly);
    let address = format!("http://{}", coordinator.address);
    let settings = ConnectionSettings::new(address, ClientIdentity::Name(north()), Instance(1));
    let mut transport = GrpcTransport::connect(settings).unwrap();
    let mut site = bench.site(50.0);
    let folder = bench.path("results");
    site.results = Some(ResultsPlace {
        folder: folder.clone(),
        disk: Arc::new(RealDisk),
    });
    // Each of these is a run of its own.
    site.ledger.path = bench.path(&format!("ledger-{digest}.jsonl"));
    let ended = participate(&mut transport, site, &mut |_| {});
    coordinator.stop();
    let kept = fs::read_dir(&folder).map_or(0, Iterator::count);
    (ended.err().map(|e| e.to_string()).unwrap_or_default(), kept)
}

#[test]
fn a_certificate_that_is_not_of_the_sites_own_run_is_refused_and_nothing_is_kept() {
    let bench = Bench::new();
    let (real, key) = certified(&bench);
    let offered = bench.offered("own", 1, LOCAL);
    let signed = |certificate: &Certificate, key: &SigningKey| {
        let mut certificate = certificate.clone();
        certificate.public_key = key.public_key();
        SignedCertificate::sign(certificate, key)
            .unwrap()
            .bytes()
            .to_vec()
    };
    let mut of_this_plan = real.clone();
    of_this_plan.run.plan_sha256 = (*offered.plan.digest().as_bytes()).into();
    let other_key = key_file::new_key().unwrap();
    let mut altered = signed(&of_this_plan, &key);
    let place = altered.iter().position(|byte| *byte == b'9').unwrap();
    altered[place] = b'8';
    let cases = [
        (signed(&real, &key), "it is about the plan"),
        (
            signed(&of_this_plan, &other_key),
            "it is signed with the key",
        ),
        (signed(&of_this_plan, &key), "what this site signed"),
        (altered, "the coordinator's certificate isn't one"),
        (b"{}".to_vec(), "the coordinator's certificate isn't one"),
    ];
    for (certificate, expected) in cases {
        let (said, kept) = given(&bench, &offered, &key, &certificate, &[]);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(said.contains("nothing of it was kept"), "{said}");
        assert_eq!(kept, 0, "{expected}");
    }
}

#[test]
fn a_released_file_never_leads_out_of_the_sites_folder() {
    let bench = Bench::new();
    let (mut certificate, key) = certified(&bench);
    // Where clients are the unit, no site's word is in the certificate.
    let offered = bench.offered("clients", 20, PER_CLIENT);
    certificate.run.plan_sha256 = (*offered.plan.digest().as_bytes()).into();
    certificate.sites = None;
    for path in [
        "model/../../../evil",
        "model//evil/x",
        "model/a\\..\\..\\evil",
    ] {
        let mut certificate = certificate.clone();
        certificate.files = vec![FileStatement::of(path, b"evil")];
        let signed = SignedCertificate::sign(certificate, &key);
        // What can't even be signed can't be sent.
        let Ok(signed) = signed else { continue };
        let (said, _) = given(&bench, &offered, &key, signed.bytes(), &[b"evil"]);
        let released = FileStatement::of(path, b"evil").is_released();
        assert!(
            !released || said.contains("no plain path"),
            "{path}: {said}"
        );
        for place in ["evil", "results/evil", "../evil"] {
            assert!(!bench.path(place).exists(), "{path}");
        }
    }
}
