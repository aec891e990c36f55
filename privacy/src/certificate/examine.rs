//! Comparing a certificate with the ledger, the plan and the files that it speaks of.
//!
//! Everything is computed again from the ledger's own bytes; nothing is taken from the
//! certificate but what it claims. Each [`Check`] says in a sentence what holds or what
//! doesn't.

mod base;
mod between_runs;
mod countersigned;
mod entries;
mod exposure;
mod files;
mod planned;
mod spending;

use std::fmt;

pub use between_runs::BETWEEN_RUNS;
pub use countersigned::{COUNTERSIGNED, SiteEvidence};
pub use entries::site_entry;
pub use exposure::{EXPOSED, uses as unprotected_uses};

use crate::certificate::content::{Certificate, FileStatement};
use crate::certificate::document::SignedCertificate;
use crate::certificate::key::PublicKey;
use crate::certificate::terms::Terms;
use crate::digest::Sha256Digest;

/// All that there is of a run.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The bytes of `certificate.json`.
    pub certificate: &'a [u8],
    /// `plan.json`, if it is there.
    pub plan: Option<PlanEvidence<'a>>,
    /// The bytes of `ledger.jsonl`, if it is there.
    pub ledger: Option<&'a [u8]>,
    /// The bytes of `base_certificate.json`, the base model's own, if it is there.
    pub base: Option<&'a [u8]>,
    /// Every file in `model/`, whatever it is, and those of the run's other documents that
    /// are there.
    pub files: &'a [FoundFile],
    /// The key that should have signed, if whoever asks knows it.
    pub key: Option<PublicKey>,
    /// What is known of the sites.
    pub sites: SiteEvidence<'a>,
}

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub struct PlanEvidence<'a> {
    /// The bytes of `plan.json`.
    pub bytes: &'a [u8],
    /// What these very bytes say, derived as sites derive it; or why they can't be read.
    pub terms: &'a Result<Terms, String>,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is, as in [`FileStatement::path`].
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content; `None` for what isn't an ordinary file or can't be read.
    pub sha256: Option<Sha256Digest>,
}

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What the certificate says is so.
    Holds,
    /// It isn't.
    Fails,
    /// It can't be told from what is there.
    Open,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Fails => "FAILS",
            Self::Open => "open",
        })
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What, in a word.
    pub name: &'static str,
    /// Whether it holds.
    pub outcome: Outcome,
    /// A sentence: what holds, or what is wrong, where, and what that means.
    pub detail: String,
}

impl Check {
    /// A check that came out well.
    pub fn holds(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Holds, detail)
    }

    /// A check that didn't.
    pub fn fails(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Fails, detail)
    }

    /// A check that couldn't be made.
    pub fn open(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Open, detail)
    }

    fn new(name: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            name,
            outcome,
            detail: detail.into(),
        }
    }
}

/// What came of it all.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// The certificate, if it could be read and its signature holds.
    pub certificate: Option<Certificate>,
    /// The checks, in the order in which they are worth reading.
    pub checks: Vec<Check>,
}

impl Examination {
    /// Whether nothing failed.
    pub fn holds(&self) -> bool {
        self.certificate.is_some()
            && self
                .checks
                .iter()
                .all(|check| check.outcome != Outcome::Fails)
    }
}

/// Checks everything that can be checked.
pub fn examine(evidence: &Evidence<'_>) -> Examination {
    let signed = match SignedCertificate::read(evidence.certificate) {
        Ok(signed) => signed,
        Err(why) => {
            return Examination {
                certificate: None,
                checks: vec![Check::fails("certificate", format!("{why}"))],
            };
        }
    };
    let certificate = signed.certificate();
    let ledger = spending::ledger(&certificate.ledger, evidence.ledger);
    let entries = ledger.as_deref().ok();
    let mut checks = Vec::from_iter(exposure::check(certificate, entries));
    checks.extend([
        Check::holds(
            "certificate",
            format!(
                "version {}, by {}",
                certificate.version, certificate.run.software
            ),
        ),
        Check::holds(
            "signature",
            format!("Ed25519, key {}", certificate.public_key),
        ),
        origin(certificate, evidence.key),
        statement(certificate),
    ]);
    let (plan, terms) = planned::check(certificate, evidence.plan);
    checks.push(plan);
    checks.push(base::check(certificate, evidence.base, entries));
    checks.extend(spending::checks(certificate, &ledger, terms));
    checks.push(countersigned::check(certificate, evidence.sites, entries));
    let itself = Sha256Digest::of(evidence.certificate);
    checks.extend(files::checks(&certificate.files, evidence.files, itself));
    Examination {
        certificate: Some(certificate.clone()),
        checks,
    }
}

fn origin(certificate: &Certificate, key: Option<PublicKey>) -> Check {
    const NAME: &str = "origin";
    match key {
        Some(key) if key == certificate.public_key => {
            Check::holds(NAME, "signed by the key that you gave")
        }
        Some(key) => Check::fails(
            NAME,
            format!("signed by another key than yours, which is {key}"),
        ),
        None => Check::open(
            NAME,
            "the key is the one in the folder: nothing was changed since, but who signed isn't \
             shown; give the signer's key with --key",
        ),
    }
}

/// Whether the parts of the certificate agree with each other.
fn statement(certificate: &Certificate) -> Check {
    const NAME: &str = "statement";
    let guarantee = certificate.guarantee.as_ref();
    let nobody = guarantee.is_none_or(|guarantee| guarantee.seeded);
    if certificate.protects_nobody != nobody {
        return Check::fails(
            NAME,
            "it contradicts itself on whether anybody is protected",
        );
    }
    if nobody {
        let why = match guarantee {
            None => "there was no privacy unit",
            Some(_) => "the noise came from a seed, and whoever knows that can take it off",
        };
        return Check::open(NAME, format!("this run PROTECTS NOBODY: {why}"));
    }
    let run = &certificate.run;
    Check::holds(
        NAME,
        format!(
            "run {}, {}: {} of {} rounds released",
            run.id, run.ending, run.rounds_released, run.rounds_planned
        ),
    )
}

/// "1 entry", "2 entries".
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The paths of statements, for sentences.
fn listed<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut paths: Vec<&str> = paths.collect();
    let more = paths.len().saturating_sub(3);
    paths.truncate(3);
    let more = match more {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    paths.join(", ") + &more
}

impl FileStatement {
    fn is_about(&self, found: &FoundFile) -> bool {
        self.path == found.path
    }

    fn agrees_with(&self, found: &FoundFile) -> bool {
        self.is_about(found) && self.bytes == found.bytes && Some(self.sha256) == found.sha256
    }
}
