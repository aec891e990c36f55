//! A folder whose ledger and certificate tell another story than its plan, all of it properly
//! hashed and signed by whoever made it up.

use std::fs;
use std::path::{Path, PathBuf};

use umbel::coordinator::certificate::verify::{Known, verify};
use umbel::privacy::certificate::key_file::load_or_make;
use umbel::privacy::certificate::{Certificate, Examination, Outcome, SignedCertificate};
use umbel::privacy::ledger::{LedgerEntry, MemoryLedgerStorage, chain};
use umbel::privacy::{EntryDraft, Ledger, Sha256Digest};

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};

fn run_with(bench: &Workbench, sigma: &str, rate: &str) -> PathBuf {
    let configuration = bench.configuration("forged", PRIVATE_GRADIENTS, &SITES);
    let sigma = format!("privacy.noise_multiplier={sigma}");
    let rate = format!("privacy.sampling_rate={rate}");
    let run = bench.simulate(&configuration, &["--set", &sigma, "--set", &rate]);
    bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"))
}

/// The same entries under another plan.
fn entries_under(plan: &[u8], entries: &[LedgerEntry]) -> Vec<u8> {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).expect("a ledger");
    for entry in entries {
        let noise = entry.protection.expect("a round's entry");
        let draft = EntryDraft {
            data_set: entry.data_set.clone(),
            run_id: entry.run_id.clone(),
            last_round: None,
            attempt: 0,
            filter_order: None,
            round: entry.round,
            plan: Some(Sha256Digest::of(plan)),
            unit: noise.unit,
            adjacency: entry.adjacency,
            placement: entry.placement,
            event: entry.event.clone(),
            clipping_norm: noise.clipping_norm,
            lattice_step: noise.lattice_step,
            delta: noise.delta,
            unix_time: entry.unix_time,
            seeded: entry.seeded,
        };
        ledger.spend(draft).expect("an entry");
    }
    ledger.into_storage().bytes().to_vec()
}

fn signed(folder: &Path) -> Certificate {
    let bytes = fs::read(folder.join("certificate.json")).expect("a certificate");
    let signed = SignedCertificate::read(&bytes).expect("a sound one");
    signed.certificate().clone()
}

/// Signs a certificate with the forger's own key, and puts it everywhere.
fn sign(bench: &Workbench, folder: &Path, mut certificate: Certificate) {
    let key = load_or_make(&bench.path().join("forger.key")).expect("a key");
    certificate.public_key = key.public_key();
    let signed = SignedCertificate::sign(certificate, &key).expect("a certificate");
    fs::write(folder.join("certificate.json"), signed.bytes()).expect("a file");
    fs::write(folder.join("model/umbel_certificate.json"), signed.bytes()).expect("a file");
}

fn failures(examination: &Examination) -> Vec<(&'static str, String)> {
    let checks = examination.checks.iter();
    checks
        .filter(|check| check.outcome == Outcome::Fails)
        .map(|check| (check.name, check.detail.clone()))
        .collect()
}

#[test]
fn a_ledger_and_a_certificate_that_the_plan_contradicts_are_no_proof() {
    let bench = Workbench::new(12);
    let told = run_with(&bench, "8.0", "0.01");
    let true_plan = run_with(&bench, "1.0", "0.1").join("plan.json");
    let true_plan = fs::read(true_plan).expect("a plan");
    fs::write(told.join("plan.json"), &true_plan).expect("a file");
    fs::remove_file(told.join("sites/ledgers.jsonl")).expect("a file");
    let ledger = fs::read(told.join("ledger.jsonl")).expect("a ledger");
    let ledger = chain::verify(&ledger).expect("a sound ledger").entries;
    let ledger = entries_under(&true_plan, &ledger);
    fs::write(told.join("ledger.jsonl"), &ledger).expect("a file");

    let mut certificate = signed(&told);
    certificate.run.plan_sha256 = Sha256Digest::of(&true_plan);
    certificate.ledger.bytes = ledger.len() as u64;
    certificate.ledger.sha256 = Sha256Digest::of(&ledger);
    certificate.ledger.head = chain::verify(&ledger).expect("sound").head();
    for file in &mut certificate.files {
        if file.path == "plan.json" {
            file.bytes = true_plan.len() as u64;
            file.sha256 = Sha256Digest::of(&true_plan);
        }
    }
    sign(&bench, &told, certificate);

    let examination = verify(&told, Known::nothing()).expect("a folder");
    assert!(!examination.holds());
    let failures = failures(&examination);
    let names: Vec<&str> = failures.iter().map(|(name, _)| *name).collect();
    // And each site signed for the plan that it really had.
    assert_eq!(names, ["plan", "entries", "sites' word"], "{failures:?}");
    assert!(
        failures[2].1.contains("told different stories"),
        "{failures:?}"
    );
    for word in [
        "guarantee.noise_multiplier is 8.0 in certificate.json, and 1.0 by plan.json",
        "guarantee.sampling_rate is 0.01 in certificate.json, and 0.1 by plan.json",
    ] {
        assert!(failures[0].1.contains(word), "{failures:?}");
    }
    assert!(
        failures[1].1.contains("entry 0 of ledger.jsonl"),
        "{failures:?}"
    );
    let output = bench.umbel(&["verify", told.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(10));
}

#[test]
fn a_folder_without_its_plan_is_not_verified() {
    let bench = Workbench::new(12);
    let folder = run_with(&bench, "8.0", "0.5");
    fs::remove_file(folder.join("plan.json")).expect("a file");
    let examination = verify(&folder, Known::nothing()).expect("a folder");
    let failures = failures(&examination);
    assert_eq!(failures[0].0, "plan", "{failures:?}");
}
