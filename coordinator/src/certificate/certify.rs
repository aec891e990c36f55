//! The certificate of a run that has ended: put together from the plan, the ledger's own
//! bytes and the files of the run's folder, and signed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use umbel_privacy::Sha256Digest;
use umbel_privacy::certificate::content::{FORMAT_VERSION, RELEASED};
use umbel_privacy::certificate::{
    Ancestor, Certificate, CostSources, Countersignature, FileStatement, Guarantee,
    LedgerStatement, Participant, RunStatement, SignedCertificate, SigningKey,
};
use umbel_privacy::ledger::{EntryHash, LedgerEntry, chain};
use umbel_proto::message::{ClientId, Ending};
use umbel_proto::plan::Plan;
use umbel_proto::spending::LedgerSnapshot;

use crate::certificate::base_model::BASE_CERTIFICATE;
use crate::lobby::Attendance;
use crate::report::{self, RunSummary};
use crate::run::Outcome;
use crate::store::run_folder::{RunFolder, RunFolderError};

/// The certificate's name in a run's folder.
pub const CERTIFICATE: &str = "certificate.json";
/// The page that says the same to people.
pub const PAGE: &str = "certificate.html";
/// The run's other documents that a certificate names, if they are there.
pub const DOCUMENTS: [&str; 6] = [
    "plan.json",
    BASE_CERTIFICATE,
    "metrics.jsonl",
    "report.html",
    "result.json",
    PAGE,
];

/// Why a run can't be certified.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// The folder can't be written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A file of the run can't be read.
    #[error("can't read {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Ledger, plan and accountant don't fit together.
    #[error("the run can't be certified: {0}")]
    Content(String),
}

fn content(reason: impl ToString) -> CertifyError {
    CertifyError::Content(reason.to_string())
}

/// What a certificate is made of.
pub(crate) struct Ended<'a> {
    pub(crate) plan: &'a Plan,
    /// The runs that the base model descends from, the nearest first.
    pub(crate) lineage: &'a [Ancestor],
    /// Whether a person named the data set.
    pub(crate) data_set_named: bool,
    pub(crate) outcome: &'a Outcome,
    pub(crate) attendance: &'a BTreeMap<ClientId, Attendance>,
    /// What sites signed.
    pub(crate) signed: &'a [Countersignature],
    pub(crate) summary: &'a RunSummary,
    /// Seconds since 1970.
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// Writes `certificate.html` and `certificate.json` into the run's folder, whose other files
/// must all be there.
///
/// # Errors
/// [`CertifyError`].
pub(crate) fn certify(
    folder: &RunFolder,
    ended: &Ended<'_>,
    key: &SigningKey,
) -> Result<SignedCertificate, CertifyError> {
    let mut certificate = certificate(folder, ended, key)?;
    let page = report::render_certificate(&certificate, ended.summary);
    folder.write(PAGE, page.as_bytes())?;
    let page = FileStatement::of(PAGE, page.as_bytes());
    certificate.files.push(page);
    let signed = SignedCertificate::sign(certificate, key).map_err(content)?;
    folder.certify_model(signed.bytes())?;
    // Last of all, and as a whole: a run that has it is over.
    folder.write(CERTIFICATE, signed.bytes())?;
    Ok(signed)
}

fn certificate(
    folder: &RunFolder,
    ended: &Ended<'_>,
    key: &SigningKey,
) -> Result<Certificate, CertifyError> {
    let Ended { plan, outcome, .. } = ended;
    let terms = plan.terms();
    let ledger = outcome.ledger.as_ref();
    let ledger = ledger.ok_or_else(|| content("its ledger's end isn't known"))?;
    let entries = chain::verify(&ledger.bytes).map_err(content)?.entries;
    let statement = ledger_statement(ledger, &entries, ended.data_set_named);
    let guarantee = match &terms.promise {
        Some(promise) => {
            let sources = CostSources {
                entries: &entries,
                statement: &statement,
                lineage: ended.lineage,
            };
            Some(Guarantee::of(promise, terms.seeded, sources).map_err(content)?)
        }
        None => None,
    };
    Ok(Certificate {
        version: FORMAT_VERSION,
        run: run_statement(folder, ended),
        protects_nobody: guarantee.is_none() || plan.seed.is_some(),
        guarantee,
        ledger: statement,
        base: terms.base,
        lineage: ended.lineage.to_vec(),
        participation: participation(plan, ended.attendance),
        sites: (!plan.hides_clients()).then(|| ended.signed.to_vec()),
        files: files(folder.path())?,
        public_key: key.public_key(),
    })
}

fn run_statement(folder: &RunFolder, ended: &Ended<'_>) -> RunStatement {
    let name = folder.path().file_name().unwrap_or_default();
    RunStatement {
        id: name.to_string_lossy().into_owned(),
        name: ended.plan.run.to_string(),
        software: ended.summary.software.clone(),
        began: ended.began,
        ended: ended.ended,
        ending: match ended.outcome.ending {
            Ending::Complete => "complete",
            Ending::BudgetExhausted { .. } => "budget-exhausted",
            Ending::Failed { .. } => "failed",
            Ending::Diverged { .. } => "diverged",
            Ending::Stopped { .. } => "stopped",
        }
        .into(),
        rounds_planned: ended.plan.rounds.get(),
        rounds_released: ended.outcome.rounds,
        plan_sha256: Sha256Digest::of(&ended.plan.to_json()),
    }
}

fn ledger_statement(
    ledger: &LedgerSnapshot,
    entries: &[LedgerEntry],
    data_set_named: bool,
) -> LedgerStatement {
    let count = entries.len() as u64;
    let first_of_run = ledger.earlier as u64;
    LedgerStatement {
        data_set: ledger.data_set.clone(),
        data_set_named,
        bytes: ledger.bytes.len() as u64,
        sha256: Sha256Digest::of(&ledger.bytes),
        entries: count,
        first_of_run,
        of_run: count.saturating_sub(first_of_run),
        head: entries.last().map_or(EntryHash::START, |last| last.hash),
    }
}

/// Whose updates counted how often; nothing where that is what must be hidden.
fn participation(
    plan: &Plan,
    attendance: &BTreeMap<ClientId, Attendance>,
) -> Option<Vec<Participant>> {
    let counted = |(client, attendance): (&ClientId, &Attendance)| Participant {
        client: client.to_string(),
        rounds: attendance.counted,
    };
    (!plan.hides_clients()).then(|| attendance.iter().map(counted).collect())
}

/// The released files, in the order of their names, and the documents that are there.
fn files(folder: &Path) -> Result<Vec<FileStatement>, CertifyError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CertifyError::File { path, source }
    };
    let mut paths = Vec::new();
    for name in RELEASED {
        let released = folder.join(name);
        // Only runs that train adapters leave a folder of them.
        if name != "model" && !released.exists() {
            continue;
        }
        for entry in fs::read_dir(&released).map_err(unreadable(&released))? {
            let file = entry.map_err(unreadable(&released))?.file_name();
            paths.push(format!("{name}/{}", file.to_string_lossy()));
        }
    }
    paths.sort();
    let there = |name: &&str| folder.join(name).is_file();
    paths.extend(DOCUMENTS.iter().copied().filter(there).map(String::from));
    paths
        .into_iter()
        .map(|path| {
            let content =
                read_durably(&folder.join(&path)).map_err(unreadable(&folder.join(&path)))?;
            Ok(FileStatement::of(path, &content))
        })
        .collect()
}

/// Reads a file and has it synced: what is certified should outlive a crash.
fn read_durably(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    file.sync_all()?;
    Ok(content)
}
