//! What the sites signed, against what the coordinator certifies.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::certificate::content::Certificate;
use crate::certificate::countersignature::Countersignature;
use crate::certificate::key::PublicKey;
use crate::ledger::LedgerEntry;

/// The name of the check of the sites' countersignatures.
pub const COUNTERSIGNED: &str = "sites' word";

/// What is known of the sites besides the certificate.
#[derive(Clone, Copy, Debug)]
pub struct SiteEvidence<'a> {
    /// Receipts that aren't in the certificate, as where the client is the unit.
    pub receipts: &'a [Countersignature],
    /// Sites' keys that whoever asks has from elsewhere, by the site's name.
    pub keys: &'a BTreeMap<String, PublicKey>,
}

/// Checks every countersignature, and that none is missing whose key was given.
pub(super) fn check(
    certificate: &Certificate,
    evidence: SiteEvidence<'_>,
    ledger: Option<&[LedgerEntry]>,
) -> Check {
    let signed = certificate.sites.as_deref();
    let signed = signed.unwrap_or(evidence.receipts);
    let sound = each_once(signed).and_then(|()| {
        let mut each = signed.iter();
        each.try_for_each(|signed| one(certificate, signed, ledger))
    });
    if let Err(why) = sound.and_then(|()| keys(signed, evidence.keys)) {
        return Check::fails(COUNTERSIGNED, why);
    }
    conclusion(certificate, signed, evidence.keys)
}

fn each_once(signed: &[Countersignature]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    match signed.iter().find(|signed| !names.insert(name(signed))) {
        Some(twice) => Err(format!("{} signed twice", name(twice))),
        None => Ok(()),
    }
}

/// Whether one site's statement is its own, and about this run.
fn one(
    certificate: &Certificate,
    signed: &Countersignature,
    ledger: Option<&[LedgerEntry]>,
) -> Result<(), String> {
    let (name, statement) = (name(signed), &signed.statement);
    let wrong = |why: String| Err(format!("what {name} signed: {why}"));
    if let Err(why) = signed.check() {
        return wrong(why.to_string());
    }
    let run = &certificate.run;
    if (&statement.run, statement.plan_sha256) != (&run.name, run.plan_sha256) {
        return wrong(format!(
            "it followed another plan, {} of run {}: sites were told different stories",
            statement.plan_sha256, statement.run
        ));
    }
    if statement.coordinator.public_key != certificate.public_key {
        return wrong(format!(
            "its coordinator signs with another key, {}",
            statement.coordinator.public_key
        ));
    }
    if let Err(why) = statement
        .ledger_before
        .check_before(&statement.ledger_after)
    {
        return wrong(format!("its own ledger: {why}"));
    }
    let seen = statement.coordinator.ledger;
    if seen.entries > certificate.ledger.first_of_run {
        return wrong(format!(
            "the coordinator's ledger had {} entries before the run, and the certificate says {}",
            seen.entries, certificate.ledger.first_of_run
        ));
    }
    if let Some(Err(why)) = ledger.map(|entries| seen.check_in(entries)) {
        return wrong(format!("the coordinator's ledger, as it saw it: {why}"));
    }
    // Without protection a site has no ledger entries, and after a restart it knows no earlier round.
    let recorded = certificate.guarantee.is_some();
    match counted(certificate, name) {
        Some(rounds) if recorded && rounds > statement.rounds => wrong(format!(
            "it gave updates in {} rounds, and the certificate counts {rounds}",
            statement.rounds
        )),
        _ => Ok(()),
    }
}

/// Whether the keys that were given are those that signed.
fn keys(signed: &[Countersignature], given: &BTreeMap<String, PublicKey>) -> Result<(), String> {
    given.iter().try_for_each(|(site, key)| {
        let found = signed.iter().find(|signed| name(signed) == site);
        match found {
            None => Err(format!("{site} signed nothing that is here")),
            Some(found) if found.public_key != *key => Err(format!(
                "{site} signed with another key than yours, which is {}",
                found.public_key
            )),
            Some(_) => Ok(()),
        }
    })
}

fn conclusion(
    certificate: &Certificate,
    signed: &[Countersignature],
    given: &BTreeMap<String, PublicKey>,
) -> Check {
    let names: BTreeSet<&str> = signed.iter().map(name).collect();
    let silent: Vec<&str> = certificate
        .participation
        .iter()
        .flatten()
        .filter(|participant| participant.rounds > 0)
        .map(|participant| participant.client.as_str())
        .filter(|client| !names.contains(client))
        .collect();
    let unknown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !given.contains_key(*name))
        .collect();
    if !silent.is_empty() {
        return Check::open(
            COUNTERSIGNED,
            format!(
                "{} took part and signed nothing: what they were told isn't shown",
                silent.join(", ")
            ),
        );
    }
    if names.is_empty() {
        let why = match certificate.sites {
            Some(_) => "no site signed what it was told",
            None => {
                "where the client is the unit, a certificate names no client; the receipts are \
                 with the coordinator's operator and with each site"
            }
        };
        return Check::open(COUNTERSIGNED, why);
    }
    let says = format!(
        "{} signed this plan, where their ledgers stood, and the rounds they gave",
        names.iter().copied().collect::<Vec<_>>().join(", ")
    );
    if unknown.is_empty() {
        return Check::holds(
            COUNTERSIGNED,
            format!("{says}; with the keys that you gave"),
        );
    }
    Check::open(
        COUNTERSIGNED,
        format!(
            "{says}; but nothing here shows whose keys these are ({}): give each with --site \
             NAME=KEY, as the site itself tells you",
            unknown.join(", ")
        ),
    )
}

fn name(signed: &Countersignature) -> &str {
    &signed.statement.client
}

/// In how many rounds the certificate counts an update of this client.
fn counted(certificate: &Certificate, client: &str) -> Option<u32> {
    let participants = certificate.participation.as_deref()?;
    let found = participants.iter().find(|found| found.client == client)?;
    Some(found.rounds)
}
