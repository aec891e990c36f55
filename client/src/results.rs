//! What a site takes home from a run: the model, its certificate, and what the site itself signed,
//! checked against what it knows.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use umbel_privacy::certificate::content::CERTIFICATE_COPY;
use umbel_privacy::certificate::{
    Certificate, Countersignature, FileStatement, InvalidCertificate, SignedCertificate,
};
use umbel_privacy::disk::Disk;
use umbel_proto::message::Results;
use umbel_proto::plan::AgreedPlan;

use crate::transport::{Transport, TransportError};

/// Where a site keeps what it takes home.
#[derive(Clone, Debug)]
pub struct ResultsPlace {
    /// The folder; each run gets one in it, named by its run and its plan.
    pub folder: PathBuf,
    /// On which disk.
    pub disk: Arc<dyn Disk>,
}

/// Results that a site doesn't take.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// They didn't arrive. They are the coordinator's to give again.
    #[error(
        "the run's results didn't arrive: {0}; ask the coordinator's operator for model/ and \
         certificate.json of the run's folder"
    )]
    Missing(String),
    /// The certificate can't be read, or isn't signed.
    #[error("the coordinator's certificate isn't one: {0}; nothing of it was kept")]
    NoCertificate(#[from] InvalidCertificate),
    /// It says something else than what this site agreed to, or did.
    #[error(
        "the coordinator's certificate doesn't fit this site's run: {0}; nothing of it was kept. Ask \
         the coordinator's operator how that comes"
    )]
    Contradicts(String),
    /// It can't be written.
    #[error(
        "{} can't be written: {source}; results.folder must be writable and have room for the model",
        path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ResultsError {
    /// Whether somebody says what isn't so, rather than that something failed.
    pub fn is_contradiction(&self) -> bool {
        matches!(self, Self::NoCertificate(_) | Self::Contradicts(_))
    }
}

/// What a site knows of a run for itself.
pub(crate) struct Known<'a> {
    pub(crate) plan: &'a AgreedPlan,
    pub(crate) signed: &'a Countersignature,
}

/// How often a call waits for results; each waits for 20 seconds at most.
const CALLS: u32 = 45;

/// Fetches what came of the run, checks it and keeps it. `again` is called while the site waits: a
/// coordinator that was started again may lack its signature. Returns the folder; `None` if the run
/// left no model.
///
/// # Errors
/// [`ResultsError`]; then nothing is kept.
pub(crate) fn take_home(
    transport: &mut dyn Transport,
    place: &ResultsPlace,
    known: &Known<'_>,
    again: &mut dyn FnMut(&mut dyn Transport),
) -> Result<Option<PathBuf>, ResultsError> {
    let mut found = None;
    for call in 0..CALLS {
        if call > 0 {
            again(transport);
        }
        found = transport.results().map_err(missing)?;
        if found.is_some() {
            break;
        }
    }
    let digest = match found {
        Some(Results::Certified(digest)) => digest,
        Some(Results::NoModel) => return Ok(None),
        None => return Err(ResultsError::Missing("the coordinator has none yet".into())),
    };
    let signed = SignedCertificate::read(&transport.blob(&digest).map_err(missing)?)?;
    let certificate = signed.certificate();
    check(certificate, known)?;
    let folder = place.folder.join(format!(
        "{}-{}",
        known.plan.run,
        &known.plan.digest().to_string()[..12]
    ));
    for file in certificate.files.iter().filter(|file| file.is_released()) {
        let path = folder.join(plain(file)?);
        let digest = file.sha256;
        let bytes = transport.blob(&digest).map_err(missing)?;
        keep(place, &path, &bytes)?;
    }
    let statement = known.signed.to_bytes();
    let statement = statement.map_err(|e| ResultsError::Contradicts(e.to_string()))?;
    keep(place, &folder.join("countersignature.json"), &statement)?;
    keep(place, &folder.join(CERTIFICATE_COPY), signed.bytes())?;
    keep(place, &folder.join("plan.json"), known.plan.bytes())?;
    // Last of all: a folder that has it is whole.
    keep(place, &folder.join("certificate.json"), signed.bytes())?;
    Ok(Some(folder))
}

fn missing(error: TransportError) -> ResultsError {
    ResultsError::Missing(error.to_string())
}

/// Holds a certificate against what the site agreed to, and what it signed itself.
fn check(certificate: &Certificate, known: &Known<'_>) -> Result<(), ResultsError> {
    let contradicts = |what: String| Err(ResultsError::Contradicts(what));
    let own = &known.signed.statement;
    if certificate.public_key != own.coordinator.public_key {
        return contradicts(format!(
            "it is signed with the key {}, and this site joined a coordinator with the key {}",
            certificate.public_key, own.coordinator.public_key
        ));
    }
    let plan = known.plan.digest();
    if certificate.run.plan_sha256 != plan {
        return contradicts(format!(
            "it is about the plan {}, and this site agreed to {plan}",
            certificate.run.plan_sha256
        ));
    }
    if known.plan.hides_clients() {
        return Ok(());
    }
    let sites = certificate.sites.as_deref().unwrap_or_default();
    if !sites.contains(known.signed) {
        return contradicts(
            "what this site signed, of its ledger and of the rounds that it gave, isn't in it"
                .into(),
        );
    }
    // Without protection this site has no ledger entries, and after a restart it knows no earlier round.
    if !known.plan.is_private() {
        return Ok(());
    }
    let participants = certificate.participation.as_deref().unwrap_or_default();
    let counted = participants.iter().find(|p| p.client == own.client);
    match counted {
        Some(counted) if counted.rounds > own.rounds => contradicts(format!(
            "it counts {} updates of this site, which gave {}",
            counted.rounds, own.rounds
        )),
        _ => Ok(()),
    }
}

/// A path that leads nowhere but into the folder.
fn plain(file: &FileStatement) -> Result<&Path, ResultsError> {
    let path = Path::new(&file.path);
    let plain = |part: Component<'_>| match part {
        Component::Normal(name) => name.to_str().is_some_and(|name| !name.contains('\\')),
        _ => false,
    };
    if path.components().count() == 2 && path.components().all(plain) {
        Ok(path)
    } else {
        Err(ResultsError::Contradicts(format!(
            "it names the released file {:?}, which is no plain path",
            file.path
        )))
    }
}

fn keep(place: &ResultsPlace, path: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let draft = path.with_extension("unfinished");
        place
            .disk
            .replace(path, &draft, &|out| out.write_all(bytes))
    };
    write().map_err(|source| ResultsError::Unwritable {
        path: path.to_owned(),
        source,
    })
}
