//! What a run's base model had already cost, where an earlier run released it.
//!
//! A model that is trained from a released one reveals what both runs reveal, so that their
//! costs add up. A certificate names the certificate of the run that released its base model,
//! and lists that run, the one before it, and so on, with what each one's ledger had on its
//! data set. Everything is taken from the base model's own certificate, so that whoever has
//! that can make the list again.
//!
//! What isn't known to be about other rows is counted: an ancestor is left out only where both
//! data sets were named by a person, with different names, or where a later ledger holds its
//! entries already.

use serde::{Deserialize, Serialize};

use crate::accountant::event::MechanismEvent;
use crate::certificate::content::Certificate;
use crate::certificate::document::SignedCertificate;
use crate::certificate::key::PublicKey;
use crate::digest::Sha256Digest;
use crate::ledger::{EntryHash, LedgerEntry};
use crate::unit::PrivacyUnit;

/// The base model's weights in a folder that a run released.
const RELEASED_WEIGHTS: &str = "model/model.safetensors";

/// The base model of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseStatement {
    /// SHA-256 of its `model.safetensors`.
    pub weights: Sha256Digest,
    /// SHA-256 of the certificate of the run that released it; `None` where nothing is known
    /// of how it was trained.
    pub certificate: Option<Sha256Digest>,
}

/// A run whose released model a later run's base model descends from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ancestor {
    /// SHA-256 of its certificate.
    pub certificate: Sha256Digest,
    /// The key that signed that.
    pub public_key: PublicKey,
    /// The name of its folder.
    pub run: String,
    /// Whom it protected, if anybody.
    #[serde(with = "crate::unit_word")]
    pub unit: Option<PrivacyUnit>,
    /// The data set that it spent on.
    pub data_set: String,
    /// Whether a person named the data set, or the run's name stood in.
    pub data_set_named: bool,
    /// The hash of its ledger's last entry.
    pub ledger_head: EntryHash,
    /// Whether the ledger of a later run of the lineage holds its entries, so that they are
    /// counted there.
    pub in_later_ledger: bool,
    /// What its ledger had on the data set.
    pub spent: Vec<MechanismEvent>,
}

/// Which rows a run trains on, as far as names tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows<'a> {
    /// The data set's key in the ledger.
    pub data_set: &'a str,
    /// Whether a person named it, or the run's name stood in.
    pub named: bool,
}

/// Why a lineage can't be added to a run's cost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLineage {
    /// The certificate is that of another model.
    #[error(
        "the certificate of run {run} doesn't list a {RELEASED_WEIGHTS} with the base model's \
         SHA-256, {weights}: it is another model's certificate, or the model was changed since"
    )]
    OtherModel {
        /// The certificate's run.
        run: String,
        /// The base model's digest.
        weights: Sha256Digest,
    },
    /// Spending with different units doesn't add up.
    #[error(
        "the base model was released by run {run}, which protects one {found}, and that doesn't \
         add up with unit {asked}; keep to one unit, or, if the two runs' rows have nothing in \
         common, name the data set of each in privacy.data_set"
    )]
    MixedUnits {
        /// The ancestor.
        run: String,
        /// Its unit.
        found: PrivacyUnit,
        /// The run's.
        asked: PrivacyUnit,
    },
    /// An ancestor protected nobody.
    #[error(
        "the base model was released by run {run}, which protected nobody on data set \
         \"{data_set}\", so no finite epsilon holds for what is trained from it on the same \
         rows; start from another base model, or, if the two runs' rows have nothing in common, \
         name the data set of each in privacy.data_set"
    )]
    Unprotected {
        /// The ancestor.
        run: String,
        /// Its data set.
        data_set: String,
    },
}

/// The lineage of a run that starts from the model which `base` certifies, the nearest run
/// first. `ledger` is the run's own, whose entries for `data_set` are counted anyway.
///
/// # Errors
/// [`InvalidLineage::OtherModel`] where `base` is another model's certificate.
pub fn lineage(
    base: &SignedCertificate,
    weights: Sha256Digest,
    ledger: &[LedgerEntry],
    data_set: &str,
) -> Result<Vec<Ancestor>, InvalidLineage> {
    let certificate = base.certificate();
    if !releases(certificate, weights) {
        return Err(InvalidLineage::OtherModel {
            run: certificate.run.id.clone(),
            weights,
        });
    }
    let mut ancestors = vec![Ancestor::of(base)];
    ancestors.extend(certificate.lineage.iter().cloned());
    for ancestor in &mut ancestors {
        // The chain of hashes makes everything before that entry the ancestor's own ledger.
        ancestor.in_later_ledger |= ancestor.data_set == data_set
            && ledger
                .iter()
                .any(|entry| entry.hash == ancestor.ledger_head);
    }
    Ok(ancestors)
}

/// Whether a certificate lists these weights as released.
pub fn releases(certificate: &Certificate, weights: Sha256Digest) -> bool {
    let mut files = certificate.files.iter();
    files.any(|file| file.path == RELEASED_WEIGHTS && file.sha256 == weights)
}

/// The runs of a lineage whose cost comes on top of what a run's own ledger has.
pub fn counted<'a>(lineage: &'a [Ancestor], own: Rows<'a>) -> impl Iterator<Item = &'a Ancestor> {
    lineage.iter().filter(move |ancestor| {
        let both_named = own.named && ancestor.data_set_named;
        let other_rows = both_named && ancestor.data_set != own.data_set;
        !ancestor.in_later_ledger && !other_rows
    })
}

/// What a lineage cost besides a run's own ledger, the earliest run first.
///
/// # Errors
/// [`InvalidLineage::MixedUnits`] where an ancestor protected another unit than `unit`.
pub fn inherited<'a>(
    lineage: &'a [Ancestor],
    own: Rows<'a>,
    unit: PrivacyUnit,
) -> Result<Vec<&'a MechanismEvent>, InvalidLineage> {
    let mut ancestors: Vec<&Ancestor> = counted(lineage, own).collect();
    ancestors.reverse();
    let other = |ancestor: &&Ancestor| {
        let found = ancestor.unit.filter(|found| *found != unit)?;
        Some((ancestor.run.clone(), found))
    };
    match ancestors.iter().find_map(other) {
        Some((run, found)) => Err(InvalidLineage::MixedUnits {
            run,
            found,
            asked: unit,
        }),
        None => Ok(ancestors
            .into_iter()
            .flat_map(|ancestor| &ancestor.spent)
            .collect()),
    }
}

impl Ancestor {
    fn of(signed: &SignedCertificate) -> Self {
        let certificate = signed.certificate();
        let guarantee = certificate.guarantee.as_ref();
        Self {
            certificate: Sha256Digest::of(signed.bytes()),
            public_key: certificate.public_key,
            run: certificate.run.id.clone(),
            unit: guarantee.map(|guarantee| guarantee.unit),
            data_set: certificate.ledger.data_set.clone(),
            data_set_named: certificate.ledger.data_set_named,
            ledger_head: certificate.ledger.head,
            in_later_ledger: false,
            spent: match guarantee {
                Some(guarantee) => guarantee.data_set.events.clone(),
                None => vec![MechanismEvent::NON_PRIVATE],
            },
        }
    }

    /// Refuses an ancestor that protected nobody, for a run that promises protection.
    ///
    /// # Errors
    /// [`InvalidLineage::Unprotected`].
    pub fn check_protected(&self) -> Result<(), InvalidLineage> {
        if self.spent.iter().any(MechanismEvent::protects_nobody) {
            Err(InvalidLineage::Unprotected {
                run: self.run.clone(),
                data_set: self.data_set.clone(),
            })
        } else {
            Ok(())
        }
    }
}
