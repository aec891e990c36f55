//! Certificates: what was signed holds, and nothing else does.

mod countersigned;

use std::collections::BTreeMap;

use proptest::prelude::*;
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
fn a_certificate_reads_back_as_it_was_signed() {
    let run = run();
    let signed = SignedCertificate::read(&run.certificate).unwrap();
    assert_eq!(signed.bytes(), run.certificate);
    let files: Vec<_> = run.files.clone();
    assert_eq!(signed.certificate(), &certificate(&run.ledger, &files));
    assert!(run.certificate.ends_with(b"\"}\n"));
    assert_eq!(run.certificate.iter().filter(|&&b| b == b'\n').count(), 1);
}

#[test]
fn every_change_of_one_bit_of_a_certificate_is_noticed() {
    let run = run();
    for position in 0..run.certificate.len() {
        for bit in 0..8 {
            let mut changed = run.certificate.clone();
            changed[position] ^= 1 << bit;
            assert!(
                SignedCertificate::read(&changed).is_err(),
                "{position} {bit}"
            );
        }
    }
}

#[test]
fn every_change_of_one_bit_of_a_ledger_is_noticed() {
    let run = run();
    for position in 0..run.ledger.len() {
        let mut changed = run.clone();
        changed.ledger[position] ^= 1 << (position % 8);
        assert!(changed.failures().contains(&"ledger"), "{position}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_byte_is_changed_added_or_taken_away_unnoticed(
        which in 0usize..5,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..4,
    ) {
        let honest = run();
        let mut changed = honest.clone();
        let content = match which {
            0 => &mut changed.certificate,
            1 => &mut changed.ledger,
            n => &mut changed.files[n - 2].1,
        };
        let before = content.clone();
        let at = at.index(content.len());
        match how {
            0 => content[at] = byte,
            1 => content.insert(at, byte),
            2 => content.truncate(at),
            _ => content.push(byte),
        }
        let same = *content == before;
        prop_assert_eq!(changed.failures().is_empty(), same);
    }
}

#[test]
fn white_space_and_line_ends_count_like_every_byte() {
    let run = run();
    let text = String::from_utf8(run.certificate.clone()).unwrap();
    for changed in [
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!(" {text}"),
        text.replace('\n', "\r\n"),
        text.replacen(":", ": ", 1),
        text.replace("\"}\n", "\" }\n"),
    ] {
        assert!(
            SignedCertificate::read(changed.as_bytes()).is_err(),
            "{changed}"
        );
    }
    let text = String::from_utf8(run.ledger.clone()).unwrap();
    for changed in [
        text.trim_end().to_owned(),
        format!("{text}\n"),
        text.replace('\n', "\r\n"),
        text.replacen(":", ": ", 1),
        text.lines()
            .take(4)
            .map(|line| format!("{line}\n"))
            .collect(),
    ] {
        let changed = Run {
            ledger: changed.into_bytes(),
            ..run.clone()
        };
        assert!(changed.failures().contains(&"ledger"));
    }
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

#[test]
fn what_the_signer_claims_is_held_against_the_ledger() {
    type Change = fn(&mut Certificate);
    fn guarantee(certificate: &mut Certificate) -> &mut Guarantee {
        certificate.guarantee.as_mut().unwrap()
    }
    let cases: [(&str, Change); 18] = [
        ("epsilon", |c| guarantee(c).data_set.epsilon = Some(0.1)),
        ("epsilon", |c| guarantee(c).run.epsilon = Some(0.1)),
        ("epsilon", |c| guarantee(c).total.epsilon = Some(0.1)),
        ("epsilon", |c| guarantee(c).total = accounted(3)),
        ("plan", |c| c.base.weights = Sha256Digest::of(b"another")),
        ("base model", |c| {
            c.base.certificate = Some(Sha256Digest::of(b"its own"))
        }),
        ("epsilon", |c| guarantee(c).data_set = accounted(3)),
        ("epsilon", |c| {
            guarantee(c).accountant.name = "abacus".into()
        }),
        ("plan", |c| {
            guarantee(c).noise_multiplier = NoiseMultiplier::try_from(2.0).unwrap()
        }),
        ("plan", |c| {
            guarantee(c).sampling_rate = SamplingRate::try_from(0.05).unwrap()
        }),
        ("plan", |c| {
            guarantee(c).clipping_norm = ClippingNorm::try_from(0.1).unwrap()
        }),
        ("plan", |c| c.run.rounds_released = 4),
        ("plan", |c| c.run.name = "another".into()),
        ("plan", |c| c.run.plan_sha256 = Sha256Digest::of(b"another")),
        ("entries", |c| c.ledger.first_of_run = 3),
        ("budget", |c| guarantee(c).budget_epsilon = 0.5),
        ("statement", |c| c.protects_nobody = true),
        ("ledger", |c| c.ledger.entries = 4),
    ];
    for (name, change) in cases {
        let failures = with(change).failures();
        assert!(failures.contains(&name), "{name}: {failures:?}");
    }
}

#[test]
fn a_run_that_protects_nobody_says_so_and_hides_nothing() {
    let seeded = with(|c| {
        c.guarantee.as_mut().unwrap().seeded = true;
        c.protects_nobody = true;
    });
    // The plan says otherwise here.
    assert_eq!(seeded.failures(), ["plan"]);
    let nobody = with(|c| {
        c.guarantee = None;
        c.protects_nobody = true;
    });
    assert_eq!(nobody.failures(), ["plan"], "the plan promises protection");
    let mut planned = terms();
    planned.promise = None;
    let examination = nobody.examine_by(&Ok(planned));
    let entries = examination.checks.iter().find(|c| c.name == "entries");
    let says = &entries.unwrap().detail;
    assert!(says.contains("leaves one mark"), "{says}");
    let statement = nobody.examine().checks.remove(3);
    assert_eq!(
        (statement.name, statement.outcome),
        ("statement", Outcome::Open)
    );
    assert!(
        statement.detail.contains("PROTECTS NOBODY"),
        "{}",
        statement.detail
    );
}

#[test]
fn another_format_asks_for_the_version_that_wrote_it() {
    for other in [FORMAT_VERSION - 1, FORMAT_VERSION + 1] {
        let changed = with(|c| c.version = other);
        let refused = SignedCertificate::read(&changed.certificate);
        assert_eq!(refused, Err(InvalidCertificate::Version(other)));
    }
}

#[test]
fn every_field_that_follows_from_the_plan_is_held_against_it() {
    type Change = fn(&mut Terms);
    fn promise(terms: &mut Terms) -> &mut Promise {
        terms.promise.as_mut().unwrap()
    }
    fn other(sigma: f64) -> NoiseMultiplier {
        NoiseMultiplier::try_from(sigma).unwrap()
    }
    let cases: [(&str, Change); 15] = [
        ("run.name", |t| t.run = "another".into()),
        ("run.rounds_planned", |t| t.rounds = 4),
        ("guarantee.seeded", |t| t.seeded = true),
        ("protects_nobody", |t| t.seeded = true),
        ("guarantee.unit", |t| t.promise = None),
        ("guarantee.unit", |t| promise(t).unit = PrivacyUnit::Group),
        ("guarantee.adjacency", |t| {
            promise(t).adjacency = Adjacency::ReplaceOne
        }),
        ("guarantee.placement", |t| {
            promise(t).placement = NoisePlacement::Local
        }),
        ("guarantee.noise_multiplier", |t| {
            promise(t).noise_multiplier = other(1.0)
        }),
        ("guarantee.sampling_rate", |t| {
            promise(t).sampling_rate = SamplingRate::try_from(0.5).unwrap()
        }),
        ("guarantee.draws_per_round", |t| {
            promise(t).draws_per_round = 2
        }),
        ("guarantee.mechanism", |t| {
            promise(t).mechanism = MechanismEvent::gaussian(other(1.0))
        }),
        ("guarantee.clipping_norm", |t| {
            promise(t).clipping_norm = ClippingNorm::try_from(0.1).unwrap()
        }),
        ("guarantee.delta", |t| {
            promise(t).delta = Delta::try_from(1e-6).unwrap()
        }),
        ("guarantee.budget_epsilon", |t| {
            promise(t).budget_epsilon = 2.0
        }),
    ];
    let run = run();
    for (field, change) in cases {
        let mut planned = terms();
        change(&mut planned);
        let examination = run.examine_by(&Ok(planned));
        assert!(!examination.holds(), "{field}");
        let plan = examination.checks.iter().find(|check| check.name == "plan");
        let says = &plan.unwrap().detail;
        for word in [field, "certificate.json", "plan.json"] {
            assert!(says.contains(word), "{field}: {says}");
        }
    }
    let unreadable = run.examine_by(&Err("it isn't readable".into()));
    assert!(!unreadable.holds());
}

#[test]
fn entries_beyond_the_plan_are_named() {
    let run = run();
    let named = |change: fn(&mut Terms)| {
        let mut planned = terms();
        change(&mut planned);
        let examination = run.examine_by(&Ok(planned));
        let entries = examination.checks.into_iter();
        entries
            .filter(|check| check.name == "entries")
            .map(|check| (check.outcome, check.detail))
            .next()
            .unwrap()
    };
    let (outcome, says) = named(|t| t.rounds = 2);
    assert_eq!(outcome, Outcome::Fails);
    assert!(
        says.contains("its round is 3, and plan.json has rounds 1 to 2"),
        "{says}"
    );
    let (outcome, says) = named(|t| {
        t.promise.as_mut().unwrap().mechanism =
            MechanismEvent::gaussian(NoiseMultiplier::try_from(1.0).unwrap())
    });
    assert_eq!(outcome, Outcome::Fails);
    assert!(says.contains("entry 2 of ledger.jsonl"), "{says}");
    assert!(says.contains("1.3") && says.contains("1.0"), "{says}");
}

#[test]
fn without_the_plan_nothing_holds() {
    let run = run();
    let examination = examine(&Evidence {
        certificate: &run.certificate,
        plan: None,
        ledger: Some(&run.ledger),
        base: None,
        files: &[],
        key: None,
        sites: SiteEvidence {
            receipts: &[],
            keys: &BTreeMap::new(),
        },
    });
    let plan = examination.checks.iter().find(|check| check.name == "plan");
    assert_eq!(plan.unwrap().outcome, Outcome::Fails);
}
