//! Uses of the run's data set that protect nobody: said before anything else.

use std::collections::BTreeSet;

use super::Check;
use crate::certificate::content::Certificate;
use crate::certificate::lineage;
use crate::ledger::{LedgerEntry, UnprotectedUse};

/// The name of the check that tells of uses without protection.
pub const EXPOSED: &str = "data set";

/// What is known of uses of the data set without protection, if there are any. It fails a
/// certificate that promises protection.
pub(super) fn check(certificate: &Certificate, ledger: Option<&[LedgerEntry]>) -> Option<Check> {
    let own = &certificate.ledger;
    let mut says = uses(ledger.unwrap_or_default(), &own.data_set);
    let unprotected = |ancestor: &&lineage::Ancestor| ancestor.check_protected().is_err();
    says.extend(
        lineage::counted(&certificate.lineage, own.rows())
            .filter(unprotected)
            .map(|ancestor| {
                format!(
                    "the base model descends from run {}, which protected nobody on data set \
                     \"{}\"",
                    ancestor.run, ancestor.data_set
                )
            }),
    );
    if says.is_empty() {
        return None;
    }
    let says = says.join("; ");
    Some(if certificate.protects_nobody {
        Check::open(EXPOSED, says)
    } else {
        Check::fails(
            EXPOSED,
            format!("{says}: no finite epsilon holds for its rows"),
        )
    })
}

/// The uses of a data set that protected nobody, the first of each run, as sentences.
pub fn uses(ledger: &[LedgerEntry], data_set: &str) -> Vec<String> {
    let mut runs = BTreeSet::new();
    ledger
        .iter()
        .filter(|entry| entry.data_set == data_set)
        .filter_map(LedgerEntry::unprotected_use)
        .filter(|found| runs.insert((found.run_id.clone(), found.exposure.to_string())))
        .map(|found: UnprotectedUse| found.to_string())
        .collect()
}
