//! What a run needs open before its sites come: its ledger, and the key that signs its certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use umbel_privacy::certificate::SigningKey;
use umbel_privacy::certificate::key_file::{self, SigningKeyError};
use umbel_privacy::disk::RealDisk;
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{LedgerPoint, SeenLedgers};

use super::books::{Books, Naming};
use super::conduct_error::ConductError;
use super::place::Unfinished;
use super::prepare::Prepared;
use crate::certificate::witness::WitnessTerms;
use crate::config::RunConfig;

/// The ledger of a run, locked, and the key that will sign its certificate. Sites can join as
/// soon as there are these.
pub struct Opened {
    pub(super) ledger: PathBuf,
    pub(super) books: Books,
    pub(super) signing_key: SigningKey,
}

/// Whether the coordinator has seen its sites before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sites {
    /// They begin anew with the run, as simulated ones do.
    New,
    /// They have ledgers of their own, and where these stood is remembered beside this ledger.
    Lasting,
}

impl Opened {
    /// Looks whether [`Opened::new`] could open them, and makes nothing.
    ///
    /// # Errors
    /// [`ConductError`] as there, and where the base model's lineage doesn't add up.
    pub fn check(
        (config, prepared): (&RunConfig, &Prepared),
        ledger: &Path,
        signing_key: &Path,
        naming: Naming,
        unfinished: Option<&Unfinished>,
    ) -> Result<(), ConductError> {
        // The folder of runs is made with the run, where there is none.
        let has_a_folder = |file: &Path| match folder_of(file) {
            Some(folder) if folder != config.run.out => folder.metadata().map(drop),
            _ => Ok(()),
        };
        key_file::load(signing_key)?;
        let path = signing_key.to_owned();
        has_a_folder(signing_key).map_err(|source| SigningKeyError::Io { path, source })?;
        let path = ledger.to_owned();
        has_a_folder(ledger).map_err(|source| OpenError::Io { path, source })?;
        let mut books = Books::rehearse(config, ledger, naming)?;
        if let Some(unfinished) = unfinished {
            books.go_on(unfinished.history())?;
        }
        books.inherit(&prepared.base, &prepared.plan)?;
        books.begin(&prepared.plan, 0)?;
        Ok(())
    }

    /// Opens the ledger at `ledger` and the key at `signing_key`, making them where there are
    /// none, and lets the lobby's sites in: to a new run, or to one that was cut off.
    ///
    /// # Errors
    /// [`ConductError`] where they can't be used.
    pub fn new(
        (config, prepared): (&RunConfig, &Prepared),
        ledger: PathBuf,
        signing_key: &Path,
        (sites, naming): (Sites, Naming),
        unfinished: Option<&Unfinished>,
    ) -> Result<Self, ConductError> {
        let signing_key = key_file::load_or_make(signing_key)?;
        let mut books = Books::open(config, &ledger, naming)?;
        if let Some(unfinished) = unfinished {
            let history = unfinished.history();
            books.go_on(history)?;
            let store = unfinished.store();
            prepared.lobby.take_up(history, store)?;
        }
        let plan = &prepared.plan;
        let seen = match sites {
            Sites::New => None,
            Sites::Lasting => Some(SeenLedgers::beside(&ledger, Arc::new(RealDisk))?),
        };
        let public_key = signing_key.public_key();
        let terms = WitnessTerms::new(plan, public_key, books.as_it_was()?, seen);
        prepared.lobby.open(terms);
        Ok(Self {
            ledger,
            books,
            signing_key,
        })
    }

    /// Where the ledger stood when the run began.
    pub fn ledger_point(&self) -> LedgerPoint {
        self.books.began_at()
    }
}

/// The folder that a file is to be in.
fn folder_of(file: &Path) -> Option<&Path> {
    file.parent().map(|folder| match folder.as_os_str() {
        empty if empty.is_empty() => Path::new("."),
        _ => folder,
    })
}
