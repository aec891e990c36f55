//! A run's certificate beside its plan, its ledger and its files, as `umbel verify` examines them.

use std::collections::BTreeMap;

use umbel_privacy::certificate::examine::SiteEvidence;
use umbel_privacy::certificate::{
    Certificate, Evidence, Examination, FoundFile, PlanEvidence, SignedCertificate, Terms, examine,
};
use umbel_privacy::ledger::chain;
use umbel_privacy::{Accountant, MechanismEvent, PldAccountant, Sha256Digest};
use umbel_proto::plan::Plan;

use super::effort::{is_mild, mechanisms};
use super::folder::{self, Folder};

/// Mechanisms in a ledger that is examined: the time of an epsilon grows with their number.
const MOST_MECHANISMS: usize = 12;

/// Examines the folder, and checks what must hold of everything that is believed.
pub fn check(input: &[u8]) {
    let folder = folder::read(input);
    let Some(certificate) = folder::document(&folder, "certificate.json") else {
        return;
    };
    let signed = match SignedCertificate::read(certificate) {
        Ok(signed) => signed,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    reads_back(&signed, certificate);
    no_byte_is_free(certificate);
    if is_small(&signed, &folder) {
        is_examined(signed.certificate(), &folder);
    }
}

fn reads_back(signed: &SignedCertificate, bytes: &[u8]) {
    assert_eq!(signed.bytes(), bytes);
    let written =
        serde_json::to_string(signed.certificate()).expect("what was read can be written");
    let again: Certificate = serde_json::from_str(&written).expect("and read again");
    assert_eq!(&again, signed.certificate());
}

/// One changed bit breaks the signature, wherever it is.
fn no_byte_is_free(certificate: &[u8]) {
    let place = certificate
        .iter()
        .map(|byte| usize::from(*byte))
        .sum::<usize>();
    let mut changed = certificate.to_vec();
    changed[place % certificate.len()] ^= 1;
    assert!(SignedCertificate::read(&changed).is_err());
}

/// Whether all epsilons that are to be computed again are those of few events of usual sizes.
fn is_small(signed: &SignedCertificate, folder: &Folder) -> bool {
    let ledger = folder::document(folder, "ledger.jsonl").unwrap_or_default();
    let entries = chain::verify(ledger).map_or(Vec::new(), |chain| chain.entries);
    let of_ledger = entries.iter().map(|entry| &entry.event);
    let of_base = signed
        .certificate()
        .lineage
        .iter()
        .flat_map(|run| &run.spent);
    let events: Vec<&MechanismEvent> = of_ledger.chain(of_base).collect();
    events.iter().map(|event| mechanisms(event)).sum::<usize>() <= MOST_MECHANISMS
        && events.iter().all(|event| is_mild(event))
}

/// What examining a folder finds; None without a certificate.
pub fn examined(folder: &Folder) -> Option<Examination> {
    let plan = folder::document(folder, "plan.json");
    let terms = plan.map(terms);
    let files = files(folder);
    Some(examine(&Evidence {
        certificate: folder::document(folder, "certificate.json")?,
        plan: plan
            .zip(terms.as_ref())
            .map(|(bytes, terms)| PlanEvidence { bytes, terms }),
        ledger: folder::document(folder, "ledger.jsonl"),
        base: folder::document(folder, "base_certificate.json"),
        files: &files,
        key: None,
        sites: SiteEvidence {
            receipts: &[],
            keys: &BTreeMap::new(),
        },
    }))
}

fn is_examined(certificate: &Certificate, folder: &Folder) {
    let found = examined(folder).expect("there is a certificate");
    assert!(found.checks.iter().all(|check| !check.detail.is_empty()));
    assert_eq!(found.certificate.as_ref(), Some(certificate));
    if !found.holds() {
        return;
    }
    is_true(certificate, folder);
    // What one document says depends on every other.
    for name in ["plan.json", "ledger.jsonl"] {
        let fewer = folder.iter().filter(|(found, _)| found != name).cloned();
        let fewer = examined(&fewer.collect()).expect("there is a certificate");
        assert!(!fewer.holds(), "it holds without {name}");
    }
}

/// What follows from a plan's bytes, as `umbel verify` derives it.
fn terms(plan: &[u8]) -> Result<Terms, String> {
    let plan = Plan::from_json(plan).map_err(|why| why.to_string())?;
    Ok(plan.terms())
}

fn files(folder: &Folder) -> Vec<FoundFile> {
    let files = folder
        .iter()
        .filter(|(name, _)| name.contains('/') || name == "plan.json");
    files
        .map(|(name, content)| FoundFile {
            path: name.clone(),
            bytes: content.len() as u64,
            sha256: Some(Sha256Digest::of(content)),
        })
        .collect()
}

/// A certificate that holds promises no less than its ledger costs, at the plan's terms.
fn is_true(certificate: &Certificate, folder: &Folder) {
    let document = |name| folder::document(folder, name).expect("it was checked");
    let terms = terms(document("plan.json")).expect("they were compared");
    let entries = chain::verify(document("ledger.jsonl"))
        .expect("it was checked")
        .entries;
    assert_eq!(certificate.guarantee.is_some(), terms.promise.is_some());
    let (Some(guarantee), Some(promise)) = (&certificate.guarantee, &terms.promise) else {
        return assert!(certificate.protects_nobody);
    };
    assert_eq!(guarantee.noise_multiplier, promise.noise_multiplier);
    assert_eq!(certificate.protects_nobody, terms.seeded);
    if certificate.protects_nobody {
        return;
    }
    let claimed = guarantee
        .total
        .epsilon
        .expect("what protects has an epsilon");
    assert!(claimed <= promise.budget_epsilon);
    let mut accountant = PldAccountant::new(promise.adjacency);
    for entry in entries
        .iter()
        .filter(|e| e.data_set == certificate.ledger.data_set)
    {
        assert!(entry.unprotected_use().is_none());
        accountant
            .compose(&entry.event, 1)
            .expect("it was composed");
    }
    let least = accountant.interval(promise.delta).lower();
    assert!(
        claimed >= least * (1.0 - 2e-6),
        "{claimed} is claimed, and it is {least}"
    );
}
