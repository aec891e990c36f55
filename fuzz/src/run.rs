//! Runs made by the code itself: a plan, what it leaves in a ledger, and the certificate of that.

use std::num::NonZeroUsize;

use umbel_privacy::budget::Budget;
use umbel_privacy::certificate::content::FORMAT_VERSION;
use umbel_privacy::certificate::{
    Certificate, CoordinatorSeen, CostSources, Countersignature, FileStatement, Guarantee,
    LedgerStatement, Participant, RunStatement, SignedCertificate, SigningKey, SiteStatement,
    lineage,
};
use umbel_privacy::ledger::{Ledger, LedgerPoint, MemoryLedgerStorage, chain};
use umbel_privacy::{Adjacency, NoisePlacement, PrivacyUnit, Sha256Digest};
use umbel_proto::classifier::TrainableSet;
use umbel_proto::method::{ClippingRule, Method};
use umbel_proto::plan::{AdaptiveClippingTerms, AgreedPlan, Plan, Protection, WrittenPlan};
use umbel_proto::spending::Spending;
use umbel_proto::unprotected::Marked;

use crate::folder::Folder;

/// The key that signs everything here.
pub fn key() -> SigningKey {
    let text = format!("umbel-ed25519-seed:{}", "5e".repeat(32));
    SigningKey::from_secret_text(&text).expect("it is a key")
}

/// A plan of three rounds, in which the coordinator adds noise to sums of gradients.
pub fn plan() -> Plan {
    Plan::from_json(include_bytes!("../../proto/plan.example.json")).expect("it is a plan")
}

/// One plan of every kind that there is, by name.
pub fn plans() -> Vec<(&'static str, Plan)> {
    let changed = |change: &dyn Fn(&mut WrittenPlan)| plan().changed(change).expect("it is a plan");
    let promise = |change: &dyn Fn(&mut Protection, &mut Method)| {
        changed(&|plan| {
            let promise = plan.protection.as_mut().expect("the example promises");
            change(promise, &mut plan.method);
        })
    };
    let local = r#"{"optimiser": "adam-w", "steps": 4, "batch": 32, "learning_rate": 1e-3,
        "weight_decay": 0.01}"#;
    let deltas = Method::Deltas(serde_json::from_str(local).expect("they are steps"));
    let adapters = r#"{"rank": 4, "alpha": 8, "targets": ["query"], "freeze_a": true, "seed": 7}"#;
    vec![
        ("record-central", plan()),
        (
            "group-adaptive-lora",
            changed(&|plan| {
                let promise = plan.protection.as_mut().expect("the example promises");
                promise.unit = PrivacyUnit::Group;
                promise.rows_per_group = NonZeroUsize::new(8);
                promise.adaptive_clipping = Some(AdaptiveClippingTerms::default());
                plan.classifier.options.train =
                    TrainableSet::Lora(serde_json::from_str(adapters).expect("they are adapters"));
            }),
        ),
        (
            "record-local-automatic",
            promise(&|promise, _| {
                promise.placement = NoisePlacement::Local;
                promise.clipping = ClippingRule::Automatic;
                promise.adjacency = Adjacency::ZeroOut;
            }),
        ),
        (
            "record-local-deltas",
            promise(&|promise, method| {
                promise.placement = NoisePlacement::Local;
                *method = deltas;
            }),
        ),
        (
            "client-central",
            promise(&|promise, method| {
                promise.unit = PrivacyUnit::Client;
                promise.adjacency = Adjacency::ReplaceOne;
                *method = deltas;
            }),
        ),
        (
            "client-local-weak",
            promise(&|promise, method| {
                promise.unit = PrivacyUnit::Client;
                promise.placement = NoisePlacement::Local;
                promise.noise_multiplier = 0.2.try_into().expect("it is a multiplier");
                promise.allow_weak_noise = true;
                promise.budget = Budget::new(200.0, 1e-5).expect("it is a budget");
                *method = deltas;
            }),
        ),
        ("seeded", changed(&|plan| plan.seed = Some(1))),
        ("none", changed(&|plan| plan.protection = None)),
    ]
}

/// The ledger in which a run of this plan spent, after `earlier`; None where nothing can be spent.
pub fn ledger(plan: &[u8], earlier: &[u8]) -> Option<Vec<u8>> {
    let read = AgreedPlan::from_bytes(plan).ok()?;
    let ledger = Ledger::open(MemoryLedgerStorage::with_bytes(earlier.to_vec())).ok()?;
    let Some(promise) = read.protection else {
        let mut marked = Marked::write(ledger, "visits".into(), &read, 1_700_000_000).ok()?;
        return Some(marked.snapshot().ok()?.bytes);
    };
    let mut spending = Spending::open(ledger, "visits".into(), promise.budget, &read).ok()?;
    for round in 1..=read.rounds.get().min(3) {
        spending
            .spend(round, read.events_per_round().into(), 1_700_000_000)
            .ok()?;
    }
    Some(spending.snapshot().ok()?.bytes)
}

/// The certificate of a run that followed `plan` and left `ledger`, of which the entries from `first` on
/// are its own; with the base model's certificate, if there is one. None where nothing can be certified.
pub fn certificate(
    plan: &[u8],
    ledger: &[u8],
    first: u64,
    base: Option<&[u8]>,
    files: Vec<FileStatement>,
) -> Option<Certificate> {
    let read = Plan::from_json(plan).ok()?;
    let terms = read.terms();
    let entries = chain::verify(ledger).ok()?.entries;
    let own = entries.get(usize::try_from(first).ok()?..)?;
    let data_set = own.first().map_or("visits", |entry| &entry.data_set);
    let statement = LedgerStatement {
        data_set: data_set.into(),
        data_set_named: true,
        bytes: ledger.len() as u64,
        sha256: Sha256Digest::of(ledger),
        entries: entries.len() as u64,
        first_of_run: first,
        of_run: own.len() as u64,
        head: entries.last()?.hash,
    };
    let ancestors = match base {
        None => Vec::new(),
        Some(base) => {
            let base = SignedCertificate::read(base).ok()?;
            let before = entries.get(..usize::try_from(first).ok()?)?;
            lineage::lineage(&base, terms.base.weights, before, data_set).ok()?
        }
    };
    let guarantee = match &terms.promise {
        None => None,
        Some(promise) => {
            let sources = CostSources {
                entries: &entries,
                statement: &statement,
                lineage: &ancestors,
            };
            Some(Guarantee::of(promise, terms.seeded, sources).ok()?)
        }
    };
    let by_client = !read.hides_clients();
    Some(Certificate {
        version: FORMAT_VERSION,
        run: RunStatement {
            id: "fuzzed-20260101-120000".into(),
            name: terms.run,
            software: "umbel".into(),
            began: 1_700_000_000,
            ended: 1_700_000_060,
            ending: "complete".into(),
            rounds_planned: terms.rounds,
            rounds_released: terms.rounds,
            plan_sha256: Sha256Digest::of(plan),
        },
        protects_nobody: guarantee.is_none() || terms.seeded,
        guarantee,
        ledger: statement,
        base: terms.base,
        lineage: ancestors,
        participation: by_client.then(|| {
            vec![Participant {
                client: "oslo".into(),
                rounds: 3,
            }]
        }),
        sites: by_client.then(|| vec![countersignature(plan)]),
        files,
        public_key: key().public_key(),
    })
}

/// What the only client signs.
fn countersignature(plan: &[u8]) -> Countersignature {
    let statement = SiteStatement {
        client: "oslo".into(),
        run: terms_of(plan),
        plan_sha256: Sha256Digest::of(plan),
        coordinator: CoordinatorSeen {
            public_key: key().public_key(),
            ledger: LedgerPoint::START,
        },
        ledger_before: LedgerPoint::START,
        ledger_after: LedgerPoint::START,
        rounds: 3,
    };
    Countersignature::sign(statement, &key()).expect("a statement that can be written")
}

/// The run's name, as its plan has it.
fn terms_of(plan: &[u8]) -> String {
    Plan::from_json(plan).map_or(String::new(), |plan| plan.run.to_string())
}

/// A run's folder, with a certificate that holds.
pub fn folder(plan: &Plan, earlier: &[u8], base: Option<&[u8]>, weights: &[u8]) -> Option<Folder> {
    // A line break, so that the next document begins on a line of its own.
    let plan = [plan.to_json().as_slice(), b"\n"].concat();
    let ledger = ledger(&plan, earlier)?;
    let first = chain::verify(earlier).ok()?.entries.len() as u64;
    let released = "model/model.safetensors";
    let files = vec![
        FileStatement::of(released, weights),
        FileStatement::of("plan.json", &plan),
    ];
    let certificate = certificate(&plan, &ledger, first, base, files)?;
    let signed = SignedCertificate::sign(certificate, &key()).ok()?;
    let mut folder: Folder = vec![
        ("certificate.json".into(), signed.bytes().to_vec()),
        ("plan.json".into(), plan),
        ("ledger.jsonl".into(), ledger),
        (released.into(), weights.to_vec()),
    ];
    folder.extend(base.map(|base| ("base_certificate.json".into(), base.to_vec())));
    Some(folder)
}
