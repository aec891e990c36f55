//! Certificates: what was signed holds, and nothing else does.

mod bytes;
mod claims;
mod countersigned;

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use umbel_privacy::accountant::Delta;
use umbel_privacy::certificate::accounting::{AccountantName, merged};
use umbel_privacy::certificate::content::FORMAT_VERSION;
use umbel_privacy::certificate::examine::SiteEvidence;
use umbel_privacy::certificate::{
    Accounted, BaseStatement, Certificate, Evidence, Examination, FileStatement, FoundFile,
    Guarantee, InvalidCertificate, LedgerStatement, Outcome, Participant, PlanEvidence, Promise,
    RunStatement, SignedCertificate, SigningKey, Terms, examine,
};
use umbel_privacy::ledger::{MemoryLedgerStorage, chain};
use umbel_privacy::{
    Adjacency, ClippingNorm, EntryDraft, LatticeStep, Ledger, MechanismEvent, NoiseMultiplier,
    NoisePlacement, PrivacyUnit, SamplingRate, Sha256Digest,
};

const PLAN: &[u8] = b"{\"rounds\": 3}";

/// A run of three rounds after an earlier one on the same data set, with all that it left.
#[derive(Clone)]
struct Run {
    certificate: Vec<u8>,
    ledger: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
}

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

fn sigma() -> NoiseMultiplier {
    NoiseMultiplier::try_from(1.3).unwrap()
}

fn clipping_norm() -> ClippingNorm {
    ClippingNorm::try_from(0.5).unwrap()
}

fn draft(run: &str, data_set: &str, round: u64) -> EntryDraft {
    EntryDraft {
        data_set: data_set.into(),
        run_id: run.into(),
        round,
        last_round: None,
        attempt: 0,
        filter_order: None,
        plan: Some(Sha256Digest::of(PLAN)),
        unit: PrivacyUnit::Record,
        adjacency: Adjacency::AddOrRemove,
        placement: NoisePlacement::Central,
        event: mechanism(),
        clipping_norm: clipping_norm(),
        lattice_step: LatticeStep::for_clipping_norm(clipping_norm()),
        delta: delta(),
        unix_time: 1_700_000_000,
        seeded: false,
    }
}

fn delta() -> Delta {
    Delta::try_from(1e-5).unwrap()
}

fn mechanism() -> MechanismEvent {
    MechanismEvent::poisson_gaussian(SamplingRate::ALL, sigma())
}

/// An earlier run's entry, one on other data, and this run's three.
fn ledger() -> Vec<u8> {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    for (run, data_set, round) in [
        ("earlier", "visits", 1),
        ("earlier", "claims", 1),
        ("run", "visits", 1),
        ("run", "visits", 2),
        ("run", "visits", 3),
    ] {
        ledger.spend(draft(run, data_set, round)).unwrap();
    }
    ledger.into_storage().bytes().to_vec()
}

/// A base model of which nothing is known.
fn base() -> BaseStatement {
    BaseStatement {
        weights: Sha256Digest::of(b"base"),
        certificate: None,
    }
}

fn accounted(count: usize) -> Accounted {
    let events = merged(&vec![mechanism(); count]);
    let epsilon = AccountantName::current().epsilon(&events, Adjacency::AddOrRemove, delta());
    Accounted {
        epsilon: Some(epsilon.unwrap()),
        events,
    }
}

fn certificate(ledger: &[u8], files: &[(String, Vec<u8>)]) -> Certificate {
    let chain = chain::verify(ledger).unwrap();
    Certificate {
        version: FORMAT_VERSION,
        run: RunStatement {
            id: "run-20260101-120000".into(),
            name: "run".into(),
            software: "Umbel".into(),
            began: 1_700_000_000,
            ended: 1_700_000_060,
            ending: "complete".into(),
            rounds_planned: 3,
            rounds_released: 3,
            plan_sha256: Sha256Digest::of(PLAN),
        },
        protects_nobody: false,
        guarantee: Some(Guarantee {
            unit: PrivacyUnit::Record,
            adjacency: Adjacency::AddOrRemove,
            placement: NoisePlacement::Central,
            noise_multiplier: sigma(),
            sampling_rate: SamplingRate::ALL,
            draws_per_round: 1,
            mechanism: mechanism(),
            clipping_norm: clipping_norm(),
            lattice_step: LatticeStep::for_clipping_norm(clipping_norm()),
            seeded: false,
            delta: delta(),
            budget_epsilon: 8.0,
            accountant: AccountantName::current(),
            run: accounted(3),
            data_set: accounted(4),
            total: accounted(4),
        }),
        ledger: LedgerStatement {
            data_set: "visits".into(),
            data_set_named: true,
            bytes: ledger.len() as u64,
            sha256: Sha256Digest::of(ledger),
            entries: 5,
            first_of_run: 2,
            of_run: 3,
            head: chain.head(),
        },
        base: base(),
        lineage: Vec::new(),
        participation: Some(vec![Participant {
            client: "oslo".into(),
            rounds: 3,
        }]),
        sites: Some(Vec::new()),
        files: files
            .iter()
            .map(|(path, content)| FileStatement::of(path, content))
            .collect(),
        public_key: key(1).public_key(),
    }
}

/// What the plan says.
fn terms() -> Terms {
    Terms {
        run: "run".into(),
        rounds: 3,
        seeded: false,
        base: base(),
        promise: Some(Promise {
            unit: PrivacyUnit::Record,
            adjacency: Adjacency::AddOrRemove,
            placement: NoisePlacement::Central,
            noise_multiplier: sigma(),
            sampling_rate: SamplingRate::ALL,
            draws_per_round: 1,
            mechanism: mechanism(),
            clipping_norm: clipping_norm(),
            lattice_step: LatticeStep::for_clipping_norm(clipping_norm()),
            delta: delta(),
            budget_epsilon: 8.0,
        }),
    }
}

fn run() -> Run {
    with(|_| {})
}

/// A run whose certificate was changed before it was signed: what a dishonest signer could do.
fn with(change: impl FnOnce(&mut Certificate)) -> Run {
    let ledger = ledger();
    let files = vec![
        ("model/config.json".to_owned(), b"{}".to_vec()),
        ("model/model.safetensors".to_owned(), vec![7; 100]),
        ("report.html".to_owned(), b"<p>".to_vec()),
    ];
    let mut content = certificate(&ledger, &files);
    change(&mut content);
    let signed = SignedCertificate::sign(content, &key(1)).unwrap();
    Run {
        certificate: signed.bytes().to_vec(),
        ledger,
        files,
    }
}

impl Run {
    fn examine(&self) -> Examination {
        self.examine_by(&Ok(terms()))
    }

    /// Examines it by a plan that says this.
    fn examine_by(&self, terms: &Result<Terms, String>) -> Examination {
        let keys = BTreeMap::new();
        let sites = SiteEvidence {
            receipts: &[],
            keys: &keys,
        };
        self.examine_with(terms, sites)
    }

    /// The same, with what is known of the sites.
    fn examine_with(&self, terms: &Result<Terms, String>, sites: SiteEvidence<'_>) -> Examination {
        let files: Vec<FoundFile> = self
            .files
            .iter()
            .map(|(path, content)| FoundFile {
                path: path.clone(),
                bytes: content.len() as u64,
                sha256: Some(Sha256Digest::of(content)),
            })
            .collect();
        examine(&Evidence {
            certificate: &self.certificate,
            plan: Some(PlanEvidence { bytes: PLAN, terms }),
            ledger: Some(&self.ledger),
            base: None,
            files: &files,
            key: Some(key(1).public_key()),
            sites,
        })
    }

    /// The names of the checks that fail.
    fn failures(&self) -> Vec<&'static str> {
        let examination = self.examine();
        let failed = examination
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Fails)
            .map(|check| check.name)
            .collect::<Vec<_>>();
        assert_eq!(failed.is_empty(), examination.holds());
        failed
    }
}

#[test]
fn an_honest_certificate_holds_in_every_point() {
    let run = with(|certificate| certificate.sites = Some(vec![countersigned::word()]));
    let keys = BTreeMap::from([("oslo".to_owned(), key(2).public_key())]);
    let sites = SiteEvidence {
        receipts: &[],
        keys: &keys,
    };
    let examination = run.examine_with(&Ok(terms()), sites);
    assert!(examination.holds(), "{:?}", examination.checks);
    for check in &examination.checks {
        assert_eq!(check.outcome, Outcome::Holds, "{check:?}");
    }
    let names: Vec<&str> = examination.checks.iter().map(|check| check.name).collect();
    assert_eq!(
        names,
        [
            "certificate",
            "signature",
            "origin",
            "statement",
            "plan",
            "base model",
            "ledger",
            "entries",
            "epsilon",
            "budget",
            "between runs",
            "sites' word",
            "model",
            "documents"
        ]
    );
}

#[test]
fn files_that_are_missing_or_added_are_named() {
    let mut missing = run();
    missing.files.remove(0);
    assert_eq!(missing.failures(), ["model"]);
    let mut added = run();
    added
        .files
        .push(("model/extra.py".into(), b"print()".to_vec()));
    assert_eq!(added.failures(), ["model"]);
    let examination = added.examine();
    assert!(
        examination
            .checks
            .iter()
            .any(|check| check.detail.contains("model/extra.py: added"))
    );
    // A document that isn't there can't be told from one that was never copied.
    let mut without_report = run();
    without_report.files.pop();
    assert_eq!(without_report.failures(), [""; 0]);
}

#[test]
fn a_signature_by_another_key_proves_no_origin() {
    let mut forged = with(|_| {});
    let honest = SignedCertificate::read(&forged.certificate).unwrap();
    let mut content = honest.certificate().clone();
    content.public_key = key(2).public_key();
    let signed = SignedCertificate::sign(content.clone(), &key(2)).unwrap();
    forged.certificate = signed.bytes().to_vec();
    assert_eq!(forged.failures(), ["origin"]);
    content.public_key = key(1).public_key();
    let refused = SignedCertificate::sign(content, &key(2));
    assert_eq!(refused, Err(InvalidCertificate::OtherKey));
}
