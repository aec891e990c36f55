//! A ledger that was put back from a backup, or continued from a copy, is a sound chain; the
//! other side's memory tells, before anything is charged.

use std::fs;
use std::sync::Arc;

use umbel_client::grpc::{ClientIdentity, ConnectionSettings, GrpcTransport};
use umbel_client::participate::participate;
use umbel_coordinator::grpc::Security;
use umbel_privacy::Sha256Digest;
use umbel_privacy::certificate::{Countersignature, PublicKey};
use umbel_privacy::disk::RealDisk;
use umbel_privacy::ledger::{
    Ledger, LedgerPoint, MemoryLedgerStorage, SeenLedgers, UnprotectedDraft, chain,
};
use umbel_privacy::unit::{Adjacency, NoisePlacement};
use umbel_proto::message::{BlobDigest, CoordinatorLedger, Ending, Instance};

use crate::coordinator::{Call, Coordinator, Script};
use crate::site::{Bench, LOCAL, Offered, got, north};

/// A coordinator's ledger with an entry for each of these runs.
fn ledger(runs: &[&str]) -> Vec<u8> {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    for run in runs {
        let draft = UnprotectedDraft {
            data_set: "all".into(),
            run_id: (*run).into(),
            plan: Sha256Digest::of(run.as_bytes()),
            adjacency: Adjacency::AddOrRemove,
            placement: NoisePlacement::Central,
            unix_time: 0,
            seeded: false,
        };
        ledger.mark_unprotected(draft).unwrap();
    }
    ledger.into_storage().bytes().to_vec()
}

fn key() -> PublicKey {
    [7; 32].into()
}

/// What a coordinator says of this ledger.
fn told(bytes: &[u8]) -> CoordinatorLedger {
    CoordinatorLedger {
        public_key: key(),
        point: LedgerPoint::after(&chain::verify(bytes).unwrap().entries),
        digest: BlobDigest::of(bytes),
    }
}

/// Plays this script to the site of the bench. Returns how it ended and the script.
fn play(bench: &Bench, script: Script) -> (Result<Ending, String>, Arc<Script>) {
    let script = Arc::new(script);
    let coordinator = Coordinator::start(&script, Security::LoopbackOnly);
    let address = format!("http://{}", coordinator.address);
    let settings = ConnectionSettings::new(address, ClientIdentity::Name(north()), Instance(1));
    let mut transport = GrpcTransport::connect(settings).unwrap();
    let ending = participate(&mut transport, bench.site(50.0), &mut |_| {});
    coordinator.stop();
    (ending.map_err(|e| e.to_string()), script)
}

/// A run of one round by a coordinator with this ledger.
fn run_with(offered: &Offered, bytes: &[u8]) -> Script {
    let mut script = offered.script(&[(1, 1)]);
    script.ledger = Some(told(bytes));
    script.blobs.insert(BlobDigest::of(bytes), bytes.into());
    script
}

/// The countersignature that a coordinator got.
fn signed(script: &Script) -> Countersignature {
    let calls = script.calls().into_iter();
    let mut signed = calls.filter_map(|call| match call {
        Call::Countersign(signed) => Some(*signed),
        _ => None,
    });
    signed.next().expect("a countersignature")
}

#[test]
fn a_site_signs_what_it_was_told_and_did() {
    let bench = Bench::new();
    let offered = bench.offered("local", 3, LOCAL);
    let mut script = offered.script(&[(1, 1), (2, 2)]);
    script.ledger = Some(told(&ledger(&["before"])));
    let (ending, script) = play(&bench, script);
    assert_eq!(ending, Ok(Ending::Complete));
    let signed = signed(&script);
    assert_eq!(signed.check(), Ok(()));
    let statement = &signed.statement;
    assert_eq!(statement.client, "north");
    assert_eq!(
        *statement.plan_sha256.as_bytes(),
        *offered.plan.digest().as_bytes()
    );
    assert_eq!(
        statement.coordinator.ledger,
        told(&ledger(&["before"])).point
    );
    assert_eq!(statement.ledger_before, LedgerPoint::START);
    assert_eq!(statement.ledger_after, LedgerPoint::after(&bench.entries()));
    assert_eq!((statement.rounds, bench.entries().len()), (2, 2));
    // The site keeps the same for itself.
    let receipt = format!("ledger.jsonl.receipts/{}.json", statement.plan_sha256);
    let receipt = fs::read(bench.path(&receipt)).unwrap();
    assert_eq!(Countersignature::read(&receipt), Ok(signed));
}

#[test]
fn a_sites_ledger_that_was_put_back_is_noticed_before_it_is_charged() {
    let bench = Bench::new();
    let offered = bench.offered("local", 3, LOCAL);
    play(&bench, offered.script(&[(1, 1), (2, 2)])).0.unwrap();
    let after = LedgerPoint::after(&bench.entries());
    let text = fs::read_to_string(bench.path("ledger.jsonl")).unwrap();
    let first_line = text.split_inclusive('\n').next().unwrap();
    fs::write(bench.path("ledger.jsonl"), first_line).unwrap();

    let mut script = offered.named("again").script(&[(1, 1)]);
    script.remembered = Some(after);
    let (ending, script) = play(&bench, script);
    let refused = ending.unwrap_err();
    assert!(refused.contains("it has 1 entries, and had 2"), "{refused}");
    assert!(refused.contains("put the newest copy"), "{refused}");
    assert!(got(&script).is_empty());
    assert_eq!(bench.entries().len(), 1);
}

#[test]
fn a_coordinators_ledger_that_went_on_is_no_offence() {
    let bench = Bench::new();
    let offered = bench.offered("local", 1, LOCAL);
    play(&bench, run_with(&offered, &ledger(&["a"]))).0.unwrap();
    let later = ledger(&["a", "b", "c"]);
    let (ending, _) = play(&bench, run_with(&offered.named("next"), &later));
    assert_eq!(ending, Ok(Ending::Complete));
    let seen = SeenLedgers::beside(&bench.path("ledger.jsonl"), Arc::new(RealDisk)).unwrap();
    assert_eq!(seen.get(&key().to_string()), Some(told(&later).point));
}

#[test]
fn a_coordinators_ledger_that_was_put_back_or_forked_is_noticed_by_the_site() {
    let bench = Bench::new();
    let offered = bench.offered("local", 1, LOCAL);
    play(&bench, run_with(&offered, &ledger(&["a", "b"])))
        .0
        .unwrap();
    let entries = bench.entries().len();
    for (ledger, why) in [
        (ledger(&["a"]), "it has 1 entries, and had 2"),
        (ledger(&["a", "x"]), "its entry 2 isn't the one"),
        (ledger(&["a", "x", "c"]), "its entry 2 isn't the one"),
    ] {
        let (ending, script) = play(&bench, run_with(&offered.named("later"), &ledger));
        let refused = ending.unwrap_err();
        assert!(refused.contains(why), "{refused}");
        assert!(refused.contains(&key().to_string()), "{refused}");
        assert!(got(&script).is_empty());
        assert_eq!(bench.entries().len(), entries);
    }
}

#[test]
fn a_ledger_that_isnt_what_it_is_said_to_be_is_refused() {
    let bench = Bench::new();
    let offered = bench.offered("local", 1, LOCAL);
    play(&bench, run_with(&offered, &ledger(&["a"]))).0.unwrap();
    // It tells of one ledger, and shows another.
    let mut script = run_with(&offered.named("later"), &ledger(&["a", "b"]));
    let mut lie = told(&ledger(&["a", "c"]));
    lie.digest = BlobDigest::of(&ledger(&["a", "b"]));
    script.ledger = Some(lie);
    let refused = play(&bench, script).0.unwrap_err();
    assert!(refused.contains("isn't what it says it is"), "{refused}");
}
