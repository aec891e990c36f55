//! Verifying the folder of a run: everything is read, computed again, and compared with what
//! its certificate says.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use umbel_privacy::Sha256Digest;
use umbel_privacy::accountant::event::MechanismEvent;
use umbel_privacy::certificate::accounting::TOLERANCE;
use umbel_privacy::certificate::content::RELEASED;
use umbel_privacy::certificate::examine::{EXPOSED, SiteEvidence, site_entry, unprotected_uses};
use umbel_privacy::certificate::{
    Certificate, Check, Countersignature, Evidence, Examination, FoundFile, PlanEvidence,
    PublicKey, SiteStatement, Terms, examine,
};
use umbel_privacy::ledger::LedgerEntry;
use umbel_privacy::ledger::book;
use umbel_privacy::ledger::chain::{self, Tail};
use umbel_privacy::unit::NoisePlacement;
use umbel_proto::plan::Plan;

use crate::certificate::base_model::BASE_CERTIFICATE;
use crate::certificate::certify::{CERTIFICATE, DOCUMENTS};
use crate::store::run_folder::{RECEIPTS, SITE_LEDGERS};

/// What isn't the folder of a run at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder or a file in it can't be read.
    #[error("can't read {}: {source}; name the folder of a run", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no certificate.
    #[error(
        "{} has no {CERTIFICATE}: this isn't the folder of a run, or the run didn't finish; \
         nothing is certified", path.display()
    )]
    NoCertificate {
        /// The folder.
        path: PathBuf,
    },
    /// There is no certificate, since the run says itself that it left no model.
    #[error(
        "{} is the folder of a run that ended without a model: nothing was released that could be \
         certified, and there is no certificate; result.json and report.html say why, and what \
         ledger.jsonl holds stays spent", path.display()
    )]
    NothingReleased {
        /// The folder.
        path: PathBuf,
    },
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> VerifyError + use<'_> {
    |source| VerifyError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

/// What whoever verifies a run has from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The key of the coordinator, which should have signed.
    pub key: Option<PublicKey>,
    /// The keys of sites, by their names.
    pub sites: &'a BTreeMap<String, PublicKey>,
    /// The ledger that the run was recorded in: it must go on where the run ended.
    pub live: Option<&'a Path>,
}

impl Known<'_> {
    /// Nothing but the folder itself.
    pub const fn nothing() -> Self {
        static NO_SITES: BTreeMap<String, PublicKey> = BTreeMap::new();
        Self {
            key: None,
            sites: &NO_SITES,
            live: None,
        }
    }
}

/// Verifies the run in `folder`, by what is known from elsewhere.
///
/// # Errors
/// [`VerifyError`] where there is nothing to verify. What doesn't hold is no error but a
/// failed check.
pub fn verify(folder: &Path, known: Known<'_>) -> Result<Examination, VerifyError> {
    let Known { key, live, .. } = known;
    fs::read_dir(folder).map_err(unreadable(folder))?;
    let certificate =
        read(&folder.join(CERTIFICATE))?.ok_or_else(|| without_certificate(folder))?;
    let plan = read(&folder.join("plan.json"))?;
    let ledger = read(&folder.join("ledger.jsonl"))?;
    let base = read(&folder.join(BASE_CERTIFICATE))?;
    let mut files = Vec::new();
    for name in RELEASED {
        list(&folder.join(name), name, &mut files)?;
    }
    for name in DOCUMENTS {
        let path = folder.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            files.push(found(&path, name.into())?);
        }
    }
    let receipts = receipts(&folder.join(RECEIPTS))?;
    let terms = plan.as_deref().map(terms_of);
    let plan = plan.as_deref().zip(terms.as_ref());
    let mut examination = examine(&Evidence {
        certificate: &certificate,
        plan: plan.map(|(bytes, terms)| PlanEvidence { bytes, terms }),
        ledger: ledger.as_deref(),
        base: base.as_deref(),
        files: &files,
        key,
        sites: SiteEvidence {
            receipts: &receipts,
            keys: known.sites,
        },
    });
    if let Some(certificate) = &examination.certificate {
        let sites = sites(folder, certificate, terms.as_ref(), &receipts)?;
        let live = live
            .map(|path| live_ledger(path, ledger.as_deref(), certificate))
            .transpose()?;
        examination.checks.extend(sites);
        if let Some((live, since)) = live {
            examination.checks.push(live);
            if let Some(since) = since {
                examination.checks.insert(0, since);
            }
        }
    }
    Ok(examination)
}

/// Why a folder has no certificate: because its run left no model, or for a reason that isn't
/// known. Either way nothing is verified.
fn without_certificate(folder: &Path) -> VerifyError {
    let path = folder.to_owned();
    let ended = folder.join("result.json").is_file();
    let has_model = RELEASED.iter().any(|name| folder.join(name).exists());
    if ended && !has_model {
        VerifyError::NothingReleased { path }
    } else {
        VerifyError::NoCertificate { path }
    }
}

/// What follows from a plan's bytes, by the code that every site uses.
fn terms_of(plan: &[u8]) -> Result<Terms, String> {
    Plan::from_json(plan)
        .map(|plan| plan.terms())
        .map_err(|why| why.to_string())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, VerifyError> {
    match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(unreadable(path)),
    }
}

/// What sites signed, where it isn't in the certificate. What can't be read as that isn't there:
/// a site whose key is given is then missed.
fn receipts(path: &Path) -> Result<Vec<Countersignature>, VerifyError> {
    let lines = read(path)?.unwrap_or_default();
    let lines = lines.split(|byte| *byte == b'\n');
    let mut receipts: Vec<Countersignature> = lines.flat_map(Countersignature::read).collect();
    receipts.sort_by(|a, b| a.statement.client.cmp(&b.statement.client));
    Ok(receipts)
}

/// Everything in a folder, folders in it included. A link is listed as what nobody released.
fn list(path: &Path, name: &str, files: &mut Vec<FoundFile>) -> Result<(), VerifyError> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(unreadable(path))?,
    };
    for entry in entries {
        let entry = entry.map_err(unreadable(path))?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(unreadable(path))?;
        files.push(found(&entry.path(), name.clone())?);
        if kind.is_dir() {
            list(&entry.path(), &name, files)?;
        }
    }
    Ok(())
}

fn found(path: &Path, name: String) -> Result<FoundFile, VerifyError> {
    let metadata = fs::symlink_metadata(path).map_err(unreadable(path))?;
    let sha256 = if metadata.is_file() {
        Some(digest(path).map_err(unreadable(path))?)
    } else {
        None
    };
    Ok(FoundFile {
        path: name,
        bytes: metadata.len(),
        sha256,
    })
}

/// SHA-256 of a file, however large.
fn digest(path: &Path) -> io::Result<Sha256Digest> {
    let mut file = File::open(path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256Digest::from(<[u8; 32]>::from(hash.finalize()))),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// The sites' ledgers of a simulation, which lie in the run's folder: each must be sound,
/// and under local noise none may hold more than the certificate counts.
fn sites(
    folder: &Path,
    certificate: &Certificate,
    terms: Option<&Result<Terms, String>>,
    receipts: &[Countersignature],
) -> Result<Option<Check>, VerifyError> {
    const NAME: &str = "sites";
    let Some(bytes) = read(&folder.join(SITE_LEDGERS))? else {
        return Ok(None);
    };
    let ledgers = match book::split(&bytes) {
        Ok(ledgers) => ledgers,
        Err(e) => return Ok(Some(Check::fails(NAME, format!("{SITE_LEDGERS}: {e}")))),
    };
    let terms = terms.and_then(|terms| terms.as_ref().ok());
    let signed = certificate.sites.iter().flatten().chain(receipts);
    let signed: BTreeMap<&str, &Countersignature> = signed
        .map(|signed| (signed.statement.client.as_str(), signed))
        .collect();
    for (name, bytes) in &ledgers {
        let signed = signed.get(name.as_str()).copied();
        if let Err(why) = site(bytes, certificate, (terms, signed)) {
            return Ok(Some(Check::fails(NAME, format!("ledger of {name}: {why}"))));
        }
    }
    let count = ledgers.len();
    Ok((count > 0).then(|| Check::holds(NAME, format!("{count} site ledgers, each sound"))))
}

fn site(
    bytes: &[u8],
    certificate: &Certificate,
    (terms, signed): (Option<&Terms>, Option<&Countersignature>),
) -> Result<(), String> {
    let chain = chain::verify(bytes).map_err(|e| e.to_string())?;
    if chain.tail != Tail::Clean {
        return Err("its last line was cut off".into());
    }
    let of_run = || {
        let plan = Some(certificate.run.plan_sha256);
        chain.entries.iter().filter(move |entry| entry.plan == plan)
    };
    if let Some(terms) = terms {
        of_run().try_for_each(|entry| site_entry(entry, terms))?;
    }
    if let Some(signed) = signed {
        let SiteStatement {
            ledger_before,
            ledger_after,
            ..
        } = &signed.statement;
        let both = ledger_before
            .check_in(&chain.entries)
            .and_then(|()| ledger_after.check_in(&chain.entries));
        both.map_err(|why| format!("it isn't the one that the site signed for: {why}"))?;
    }
    let Some(guarantee) = &certificate.guarantee else {
        return Ok(());
    };
    if guarantee.placement != NoisePlacement::Local {
        return Ok(());
    }
    let events: Vec<&MechanismEvent> = of_run().map(LedgerEntry::cost).collect();
    let spent = guarantee
        .accountant
        .epsilon(events, guarantee.adjacency, guarantee.delta)
        .map_err(|e| e.to_string())?;
    let claimed = guarantee.run.epsilon.unwrap_or(f64::INFINITY);
    if spent <= claimed * (1.0 + TOLERANCE) {
        Ok(())
    } else {
        Err(format!(
            "it spent {spent:.4} in this run, and the certificate counts {claimed:.4}"
        ))
    }
}

/// Whether the ledger that is in use begins with what the run left: nothing of it was
/// changed or taken away since. Where the run's data set was used without protection since,
/// that is another check.
fn live_ledger(
    path: &Path,
    of_run: Option<&[u8]>,
    certificate: &Certificate,
) -> Result<(Check, Option<Check>), VerifyError> {
    const NAME: &str = "live ledger";
    let live = fs::read(path).map_err(unreadable(path))?;
    let Some(of_run) = of_run else {
        let why = "there is no ledger of the run to compare with";
        return Ok((Check::open(NAME, why), None));
    };
    Ok(match chain::verify(&live) {
        Err(why) => (Check::fails(NAME, why.to_string()), None),
        Ok(_) if !live.starts_with(of_run) => (
            Check::fails(
                NAME,
                "it doesn't hold this run's entries where they were: lines were removed or \
                 changed since",
            ),
            None,
        ),
        Ok(chain) => (
            Check::holds(
                NAME,
                format!(
                    "it goes on from this run; {} entries in all",
                    chain.entries.len()
                ),
            ),
            unprotected_since(&chain.entries, certificate),
        ),
    })
}

/// What a later run did to the data set without protection, if one did.
fn unprotected_since(live: &[LedgerEntry], certificate: &Certificate) -> Option<Check> {
    let own = &certificate.ledger;
    let later = usize::try_from(own.entries)
        .ok()
        .and_then(|entries| live.get(entries..))?;
    let uses = unprotected_uses(later, &own.data_set);
    (!uses.is_empty()).then(|| Check::open(EXPOSED, format!("since this run, {}", uses.join("; "))))
}
