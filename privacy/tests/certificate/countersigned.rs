//! Sites countersign, and their word is held against the certificate.

use std::collections::BTreeMap;

use umbel_privacy::Sha256Digest;
use umbel_privacy::certificate::examine::{COUNTERSIGNED, SiteEvidence};
use umbel_privacy::certificate::{
    Certificate, CoordinatorSeen, Countersignature, Outcome, PublicKey, SigningKey, SiteStatement,
};
use umbel_privacy::ledger::{LedgerPoint, chain};

use super::{PLAN, key, ledger, terms, with};

/// What oslo says of the run, as it was.
fn oslo() -> SiteStatement {
    let entries = chain::verify(&ledger()).unwrap().entries;
    SiteStatement {
        client: "oslo".into(),
        run: "run".into(),
        plan_sha256: Sha256Digest::of(PLAN),
        coordinator: CoordinatorSeen {
            public_key: key(1).public_key(),
            ledger: LedgerPoint::after(&entries[..2]),
        },
        ledger_before: LedgerPoint::START,
        ledger_after: LedgerPoint::after(&entries[..3]),
        rounds: 3,
    }
}

/// What oslo signed, with its own key.
pub(crate) fn word() -> Countersignature {
    signed(oslo(), &key(2))
}

fn signed(statement: SiteStatement, key: &SigningKey) -> Countersignature {
    Countersignature::sign(statement, key).unwrap()
}

/// What comes of a certificate that was changed before it was signed, by these keys of sites.
fn checked(
    change: impl FnOnce(&mut Certificate),
    receipts: &[Countersignature],
    keys: &[(&str, PublicKey)],
) -> (Outcome, String) {
    let keys: BTreeMap<String, PublicKey> = keys
        .iter()
        .map(|(name, key)| ((*name).to_owned(), *key))
        .collect();
    let sites = SiteEvidence {
        receipts,
        keys: &keys,
    };
    let examination = with(change).examine_with(&Ok(terms()), sites);
    let check = examination
        .checks
        .into_iter()
        .find(|check| check.name == COUNTERSIGNED)
        .unwrap();
    (check.outcome, check.detail)
}

/// A run that was countersigned with this statement, seen by whoever knows oslo's key.
fn with_word(change: impl FnOnce(&mut SiteStatement)) -> (Outcome, String) {
    let mut statement = oslo();
    change(&mut statement);
    let signed = signed(statement, &key(2));
    checked(
        |certificate| certificate.sites = Some(vec![signed]),
        &[],
        &[("oslo", key(2).public_key())],
    )
}

#[test]
fn a_site_that_signed_the_plan_with_its_known_key_holds() {
    let (outcome, says) = with_word(|_| {});
    assert_eq!(outcome, Outcome::Holds, "{says}");
    assert!(says.contains("oslo"), "{says}");
}

#[test]
fn without_the_sites_key_its_word_stays_open() {
    let word = word();
    let (outcome, says) = checked(|c| c.sites = Some(vec![word]), &[], &[]);
    assert_eq!(outcome, Outcome::Open, "{says}");
    assert!(says.contains("--site NAME=KEY"), "{says}");
}

#[test]
fn another_key_than_the_one_that_was_given_fails() {
    let word = signed(oslo(), &key(3));
    let known = ("oslo", key(2).public_key());
    let (outcome, says) = checked(|c| c.sites = Some(vec![word]), &[], &[known]);
    assert_eq!(outcome, Outcome::Fails, "{says}");
    assert!(says.contains("another key"), "{says}");
}

#[test]
fn a_site_whose_key_was_given_and_which_signed_nothing_fails() {
    let known = ("oslo", key(2).public_key());
    let (outcome, says) = checked(|c| c.sites = Some(Vec::new()), &[], &[known]);
    assert_eq!(outcome, Outcome::Fails, "{says}");
    let (outcome, says) = checked(|c| c.sites = Some(Vec::new()), &[], &[]);
    assert_eq!(outcome, Outcome::Open, "{says}");
    assert!(says.contains("oslo took part and signed nothing"), "{says}");
}

#[test]
fn a_coordinator_cant_tell_two_stories() {
    let other_plan = with_word(|word| word.plan_sha256 = Sha256Digest::of(b"another plan"));
    let other_run = with_word(|word| word.run = "another".into());
    for (outcome, says) in [other_plan, other_run] {
        assert_eq!(outcome, Outcome::Fails, "{says}");
        assert!(says.contains("different stories"), "{says}");
    }
    let (outcome, says) = with_word(|word| word.coordinator.public_key = key(4).public_key());
    assert_eq!(outcome, Outcome::Fails, "{says}");
    let (outcome, says) = with_word(|word| word.rounds = 2);
    assert_eq!(outcome, Outcome::Fails, "{says}");
    assert!(says.contains("counts 3"), "{says}");
}

#[test]
fn a_site_that_records_nothing_may_know_of_fewer_rounds_than_it_gave() {
    let mut statement = oslo();
    statement.rounds = 2;
    let word = signed(statement, &key(2));
    let unprotected = |certificate: &mut Certificate| {
        certificate.guarantee = None;
        certificate.sites = Some(vec![word]);
    };
    let (outcome, says) = checked(unprotected, &[], &[("oslo", key(2).public_key())]);
    assert_eq!(outcome, Outcome::Holds, "{says}");
}

#[test]
fn a_coordinators_ledger_that_isnt_the_one_which_the_site_saw_fails() {
    let entries = chain::verify(&ledger()).unwrap().entries;
    for (seen, why) in [
        (
            LedgerPoint {
                entries: 2,
                head: entries[2].hash,
            },
            "isn't the one",
        ),
        (LedgerPoint::after(&entries[..4]), "had 4 entries"),
    ] {
        let (outcome, says) = with_word(|word| word.coordinator.ledger = seen);
        assert_eq!(outcome, Outcome::Fails, "{says}");
        assert!(says.contains(why), "{says}");
    }
}

#[test]
fn a_statement_that_was_changed_or_copied_fails() {
    let mut forged = signed(oslo(), &key(2));
    forged.statement.rounds = 4;
    let (outcome, says) = checked(|c| c.sites = Some(vec![forged]), &[], &[]);
    assert_eq!(outcome, Outcome::Fails, "{says}");
    let word = word();
    let (outcome, says) = checked(|c| c.sites = Some(vec![word.clone(), word]), &[], &[]);
    assert_eq!(outcome, Outcome::Fails, "{says}");
    assert!(says.contains("twice"), "{says}");
}

#[test]
fn receipts_that_arent_published_are_checked_where_they_are_handed_over() {
    let hidden = |certificate: &mut Certificate| {
        certificate.sites = None;
        certificate.participation = None;
    };
    let (outcome, says) = checked(hidden, &[], &[]);
    assert_eq!(outcome, Outcome::Open, "{says}");
    let word = word();
    let known = ("oslo", key(2).public_key());
    let (outcome, says) = checked(hidden, std::slice::from_ref(&word), &[known]);
    assert_eq!(outcome, Outcome::Holds, "{says}");
    let (outcome, says) = checked(hidden, &[], &[known]);
    assert_eq!(outcome, Outcome::Fails, "{says}");
}
