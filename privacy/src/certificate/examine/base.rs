//! The base model, and the runs that it descends from.

use super::{Check, counted};
use crate::certificate::content::Certificate;
use crate::certificate::document::SignedCertificate;
use crate::certificate::lineage;
use crate::digest::Sha256Digest;
use crate::ledger::LedgerEntry;

/// Checks that the certificate lists exactly the runs that follow from the base model's own
/// certificate. That the base model is the plan's is checked with the plan.
pub(super) fn check(
    certificate: &Certificate,
    base: Option<&[u8]>,
    ledger: Option<&[LedgerEntry]>,
) -> Check {
    const NAME: &str = "base model";
    match known(certificate, base, ledger) {
        Ok(says) => Check::holds(NAME, says),
        Err(why) => Check::fails(NAME, why),
    }
}

fn known(
    certificate: &Certificate,
    base: Option<&[u8]>,
    ledger: Option<&[LedgerEntry]>,
) -> Result<String, String> {
    let stated = &certificate.base;
    let Some(digest) = stated.certificate else {
        return if certificate.lineage.is_empty() && base.is_none() {
            Ok(format!(
                "{}; nothing is known of how it was trained",
                stated.weights
            ))
        } else {
            Err("the certificate names no certificate of the base model, but there is one".into())
        };
    };
    let bytes = base.ok_or_else(|| {
        format!("base_certificate.json isn't here, the base model's certificate {digest}")
    })?;
    let found = Sha256Digest::of(bytes);
    if found != digest {
        return Err(format!(
            "base_certificate.json has SHA-256 {found}, and certificate.json names {digest}"
        ));
    }
    let base =
        SignedCertificate::read(bytes).map_err(|why| format!("base_certificate.json: {why}"))?;
    let own = &certificate.ledger;
    let entries = ledger.ok_or("its runs can't be told from the ledger's without the ledger")?;
    let before = usize::try_from(own.first_of_run)
        .ok()
        .and_then(|first| entries.get(..first))
        .ok_or("the run's entries aren't where the certificate says")?;
    let derived = lineage::lineage(&base, stated.weights, before, &own.data_set)
        .map_err(|why| format!("base_certificate.json: {why}"))?;
    if derived != certificate.lineage {
        return Err(
            "the runs that certificate.json lists before this one aren't those that follow from \
             base_certificate.json and the ledger"
                .into(),
        );
    }
    let added = lineage::counted(&derived, own.rows()).count() as u64;
    let run = &base.certificate().run.id;
    let signer = base.certificate().public_key;
    let key = match signer == certificate.public_key {
        true => "by the same key".into(),
        false => format!("by ANOTHER key, {signer}: verify that run's folder, too"),
    };
    Ok(format!(
        "{}, released by run {run}, certified {key}; {} on top of this run's ledger",
        stated.weights,
        match added {
            0 => "nothing counts".into(),
            added => counted(
                added,
                "run of its lineage counts",
                "runs of its lineage count"
            ),
        }
    ))
}
