//! What clients meet: valid updates count, everything else is refused with a reason, and
//! the round goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use umbel_coordinator::aggregate::UpdateRules;
use umbel_coordinator::certificate::witness::WitnessTerms;
use umbel_coordinator::lobby::{Lobby, Offer};
use umbel_coordinator::round::{Engine, Phase, RoundSettings};
use umbel_privacy::Sha256Digest;
use umbel_privacy::certificate::{CoordinatorSeen, Countersignature, SigningKey, SiteStatement};
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::LedgerPoint;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::private_rng::NoiseSource;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::federation::{Federation, RefusalKind};
use umbel_proto::message::{ClientId, Hello, Instance, PROTOCOL_VERSION, Receipt, Update};
use umbel_proto::method::Method;
use umbel_proto::plan::{AgreedPlan, Plan};

const PARAMETERS: usize = 5;

/// A plan of three rounds, in which the coordinator adds noise to sums of gradients.
const EXAMPLE: &[u8] = include_bytes!("../../proto/plan.example.json");

/// A plan in which each client is a unit, clipped to norm 1.
fn plan() -> AgreedPlan {
    let steps = r#"{"optimiser": "sgd", "steps": 1, "batch": 1, "learning_rate": 0.1}"#;
    let example = Plan::from_json(EXAMPLE).expect("a plan");
    let changed = example.changed(|plan| {
        plan.rounds = 1.try_into().expect("a round");
        plan.method = Method::Deltas(serde_json::from_str(steps).expect("steps"));
        plan.sampling_rate = SamplingRate::ALL;
        plan.classifier.parameters = PARAMETERS;
        let promise = plan.protection.as_mut().expect("the example promises");
        promise.unit = PrivacyUnit::Client;
        promise.clipping_norm = 1.0.try_into().expect("a norm");
    });
    changed.expect("a plan").into()
}

fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        software: "test".into(),
        labels: Vec::new(),
        ledger: LedgerPoint::START,
        instance: Instance(1),
    }
}

fn lobby() -> Lobby {
    let plan = plan();
    let offer = Offer {
        plan: plan.bytes().to_vec(),
        labels: plan.classifier.options.labels.clone(),
        files: Vec::new(),
    };
    let settings = RoundSettings {
        rounds: 1,
        clients: [client("a"), client("b")].into(),
        minimum: 1,
        independent: false,
        closes_early: true,
        quorum: None,
        attempts: 1,
        patient: false,
    };
    let rules = UpdateRules::of(&plan);
    let lobby = Lobby::new(offer, rules, Engine::new(settings));
    let ledger = (Arc::from([]), LedgerPoint::START);
    let key = key("coordinator").public_key();
    lobby.open(WitnessTerms::new(&plan, key, ledger, None));
    lobby
}

fn key(of: &str) -> SigningKey {
    SigningKey::generate(&mut NoiseSource::seeded(1, of)).expect("a key")
}

/// An update whose first coordinate is `share` of the clipping norm.
fn update(share: f64) -> Vec<u8> {
    let plan = plan();
    let steps = (share / plan.submitted_step().get()) as i64;
    let mut values = vec![0; PARAMETERS];
    values[0] = steps;
    LatticeVector::from_values(values).encode()
}

/// The reason of a refusal.
fn reason(receipt: Receipt) -> String {
    match receipt {
        Receipt::Refused { reason } | Receipt::Late { reason } => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn strangers_other_versions_and_other_labels_are_refused() {
    let lobby = lobby();
    let foreign = lobby
        .join(&client("x"), &hello())
        .expect_err("x is a stranger");
    assert_eq!(foreign.kind, RefusalKind::Foreign);
    let mut old = hello();
    old.protocol = PROTOCOL_VERSION + 1;
    let old = lobby.join(&client("a"), &old).expect_err("another version");
    assert_eq!(old.kind, RefusalKind::Mismatch);
    let mut long = hello();
    long.software = "x".repeat(900_000);
    let long = lobby.join(&client("a"), &long).expect_err("a long name");
    assert!(
        long.reason.len() < 300 && long.reason.contains("900000"),
        "{long}"
    );
    let mut other = hello();
    other.labels = vec!["yes".into(), "no".into()];
    let other = lobby.join(&client("a"), &other).expect_err("other labels");
    assert!(other.reason.contains("yes, no"), "{other}");
    assert_eq!(lobby.phase(), Phase::Gathering);
    let early = lobby
        .next_task(&client("a"), Instance(1), Duration::ZERO)
        .expect_err("not joined");
    assert_eq!(early.kind, RefusalKind::Missing);
}

#[test]
fn an_update_outside_of_a_round_is_refused() {
    let lobby = lobby();
    lobby.join(&client("a"), &hello()).expect("a is known");
    let early = Update {
        round: 1,
        values: update(0.5),
    };
    assert!(reason(lobby.submit(&client("a"), early)).contains("round 1"));
    let stranger = Update {
        round: 1,
        values: update(0.5),
    };
    assert!(reason(lobby.submit(&client("x"), stranger)).contains("isn't a client"));
}

#[test]
fn what_counts_is_checked_on_what_was_received() {
    let rules = UpdateRules::of(&plan());
    let check = |bytes: &[u8]| rules.check(&rules.readable(&bytes)).map(|_| ());
    check(&update(1.0)).expect("exactly the clipping norm");
    let above = check(&update(1.0 + 1e-7)).expect_err("above the clipping norm");
    assert!(above.to_string().contains("norm"), "{above}");
    let whole = update(0.5);
    let short = check(&whole[..whole.len() - 1]).expect_err("a byte is missing");
    assert!(short.to_string().contains("5 numbers"), "{short}");
    assert!(check(&[]).is_err());
    let largest = plan().largest_coordinate() as i64;
    let beyond = LatticeVector::from_values(vec![0, 0, 0, largest + 1, 0]).encode();
    let beyond = check(&beyond).expect_err("a coordinate that no honest client has");
    assert!(beyond.to_string().contains("coordinate 3"), "{beyond}");
    let everywhere = LatticeVector::from_values(vec![largest; PARAMETERS]).encode();
    assert_eq!(rules.bytes(), everywhere.len() as u64);
}

#[test]
fn attendance_counts_refusals_by_client() {
    let lobby = lobby();
    lobby.join(&client("a"), &hello()).expect("a is known");
    for _ in 0..2 {
        let late = Update {
            round: 7,
            values: update(0.1),
        };
        reason(lobby.submit(&client("a"), late));
    }
    // What its transport refused counts, too; a stranger's doesn't.
    lobby.note_refusal(&client("a"), "the update was altered on its way");
    lobby.note_refusal(&client("stranger"), "too long");
    let attendance: BTreeMap<_, _> = lobby.attendance();
    assert_eq!(attendance[&client("a")].refused, 3);
    assert_eq!(attendance[&client("a")].counted, 0);
    assert!(attendance[&client("a")].last_refusal.is_some());
    assert!(!attendance[&client("b")].joined);
}

#[test]
fn a_site_signs_only_when_the_run_is_over() {
    let lobby = lobby();
    let a = client("a");
    lobby.join(&a, &hello()).expect("a is known");
    let statement = SiteStatement {
        client: "a".into(),
        run: "test".into(),
        plan_sha256: Sha256Digest::of(&plan().to_json()),
        coordinator: CoordinatorSeen {
            public_key: key("coordinator").public_key(),
            ledger: LedgerPoint::START,
        },
        ledger_before: LedgerPoint::START,
        ledger_after: LedgerPoint::START,
        rounds: 1,
    };
    let signed = Countersignature::sign(statement, &key("a")).expect("signed");
    let early = lobby
        .countersign(&a, signed.clone())
        .expect_err("too early");
    assert!(early.reason.contains("isn't over"), "{early}");
    let stranger = lobby.countersign(&client("x"), signed).expect_err("who?");
    assert_eq!(stranger.kind, RefusalKind::Foreign);
}
