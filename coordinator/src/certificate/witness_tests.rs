//! Sites that were seen before, and what they sign.

use std::path::Path;

use umbel_privacy::certificate::{CoordinatorSeen, SigningKey, SiteStatement};
use umbel_privacy::disk::RealDisk;
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::message::BlobDigest;

use super::*;

fn key(of: &str) -> SigningKey {
    SigningKey::generate(&mut NoiseSource::seeded(1, of)).expect("a key")
}

fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

fn point(entries: u64, head: u8) -> LedgerPoint {
    LedgerPoint {
        entries,
        head: [head; 32].into(),
    }
}

/// A witness of a run, which remembers where sites' ledgers stood, in this folder.
fn witness(folder: &Path) -> Witness {
    let witness = Witness::default();
    let seen = SeenLedgers::beside(&folder.join("ledger.jsonl"), Arc::new(RealDisk))
        .expect("a sound memory");
    witness.open(WitnessTerms {
        run: "run".into(),
        plan: Sha256Digest::of(b"plan"),
        public_key: key("coordinator").public_key(),
        ledger: (Arc::from([]), LedgerPoint::START),
        digest: BlobDigest::of(&[]),
        seen: Some(seen),
    });
    witness.close(Some(point(7, 7)));
    witness
}

fn statement(by: &str) -> SiteStatement {
    SiteStatement {
        client: by.into(),
        run: "run".into(),
        plan_sha256: Sha256Digest::of(b"plan"),
        coordinator: CoordinatorSeen {
            public_key: key("coordinator").public_key(),
            ledger: LedgerPoint::START,
        },
        ledger_before: LedgerPoint::START,
        ledger_after: point(1, 1),
        rounds: 1,
    }
}

fn signed(statement: SiteStatement) -> Countersignature {
    Countersignature::sign(statement, &key("a")).expect("signed")
}

#[test]
fn nobody_is_let_in_before_the_ledger_is_open() {
    let refused = Witness::default().greet(&client("a"), LedgerPoint::START);
    assert!(refused.is_err());
}

#[test]
fn a_site_whose_ledger_got_shorter_or_forked_isnt_let_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let a = client("a");
    let first = witness(folder.path());
    let (_, remembered) = first.greet(&a, point(3, 1)).expect("new");
    assert_eq!(remembered, None);
    // Another process, a day later.
    let second = witness(folder.path());
    let shorter = second.greet(&a, point(2, 1)).expect_err("shorter");
    assert!(shorter.reason.contains("it got shorter"), "{shorter}");
    assert!(shorter.reason.contains("ledger.jsonl.seen"), "{shorter}");
    let forked = second.greet(&a, point(3, 2)).expect_err("forked");
    assert!(forked.reason.contains("continued from a copy"), "{forked}");
    let (_, remembered) = second.greet(&a, point(5, 3)).expect("it went on");
    assert_eq!(remembered, Some(point(3, 1)));
    // Another site's ledger has nothing to do with it.
    second.greet(&client("b"), LedgerPoint::START).expect("new");
}

#[test]
fn what_a_site_signed_is_remembered_for_the_next_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let a = client("a");
    let first = witness(folder.path());
    first.greet(&a, LedgerPoint::START).expect("new");
    let ended = first.countersign(&a, signed(statement("a")));
    assert_eq!(ended.expect("its own word"), Some(point(7, 7)));
    assert_eq!(first.signed(), [signed(statement("a"))]);
    // Put back to where it was before the run.
    let second = witness(folder.path());
    assert!(second.greet(&a, LedgerPoint::START).is_err());
    second.greet(&a, point(1, 1)).expect("as it was left");
}

#[test]
fn only_a_sites_own_word_about_this_run_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let witness = witness(folder.path());
    let a = client("a");
    type Lie = fn(&mut SiteStatement);
    let lies: [(Lie, &str); 5] = [
        (|word| word.client = "b".into(), "b's"),
        (|word| word.run = "x".into(), "another run"),
        (
            |word| word.plan_sha256 = Sha256Digest::of(b"x"),
            "another run or plan",
        ),
        (
            |word| word.coordinator.ledger = point(1, 1),
            "another ledger",
        ),
        (|word| word.ledger_before = point(2, 2), "got shorter"),
    ];
    for (lie, why) in lies {
        let mut word = statement("a");
        lie(&mut word);
        let refused = witness.countersign(&a, signed(word)).expect_err(why);
        assert!(refused.reason.contains(why), "{refused}");
    }
    let mut forged = signed(statement("a"));
    forged.statement.rounds = 9;
    assert!(witness.countersign(&a, forged).is_err());
    assert!(witness.signed().is_empty());
}

#[test]
fn a_site_may_sign_again_but_not_go_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let witness = witness(folder.path());
    let a = client("a");
    for after in [point(1, 1), point(1, 1), point(2, 2)] {
        let mut word = statement("a");
        word.ledger_after = after;
        witness.countersign(&a, signed(word)).expect("it goes on");
    }
    let back = witness.countersign(&a, signed(statement("a")));
    assert!(back.is_err());
}
