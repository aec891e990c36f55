//! Where a run lives on disk: a folder made for it, or that of a run which was cut off.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::AgreedPlan;

use crate::certificate::certify::CERTIFICATE;
use crate::config::RunConfig;
use crate::observe::recorder::Metric;
use crate::run::conduct::Opened;
use crate::store::run_folder::{RunFolder, RunFolderError};
use crate::store::{Change, FileStore, History, RunBegun, RunStore, Spool, StoreError};

/// The journal's folder in a run's folder. It is gone once the run is over.
const JOURNAL: &str = "journal";
/// Where a journal goes that can't be read and that nobody wants any more.
const SET_ASIDE: &str = "journal-set-aside";

/// A run's folder and store.
pub struct Place {
    pub(super) folder: RunFolder,
    pub(super) store: Arc<FileStore>,
    /// What was there already, of a run that was cut off.
    pub(super) before: Option<Before>,
}

/// What an earlier process left.
pub(super) struct Before {
    pub(super) history: History,
    pub(super) metrics: Vec<Metric>,
}

/// A run that was cut off.
pub struct Unfinished {
    folder: PathBuf,
    store: Arc<FileStore>,
    history: History,
}

/// Why a run can't begin, or be gone on with, in its folder.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Its store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// The folder of runs.
    #[error("{}: {source}; check run.out", path.display())]
    Out {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It isn't the folder of a run that was cut off.
    #[error("{} isn't the folder of a run that was cut off: it has no journal", path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
    },
    /// It follows another plan.
    #[error(
        "{} has an unfinished run by plan {found}, and this configuration makes plan {planned}: put \
         the configuration, its overrides and the seed back as they were, or begin anew with --new, \
         which is charged anew", path.display()
    )]
    OtherPlan {
        /// The run's folder.
        path: PathBuf,
        /// The journal's plan.
        found: BlobDigest,
        /// The configuration's.
        planned: BlobDigest,
    },
    /// It trains under other conditions that aren't in the plan.
    #[error(
        "{} has an unfinished run that began with other [server], training.expected_batch or \
         [[clients]]: put them back as they were, or begin anew with --new, which is charged anew",
        path.display()
    )]
    OtherConditions {
        /// The run's folder.
        path: PathBuf,
    },
}

impl PlaceError {
    /// Whether the configuration is to blame.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::OtherPlan { .. } | Self::OtherConditions { .. } | Self::Nothing { .. }
        )
    }
}

/// Whether a run that was cut off is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Yes, if there is one.
    GoOn,
    /// No: it is given up, and another begins.
    Anew,
}

impl Place {
    /// Where its journal is.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join(JOURNAL)
    }
}

impl Unfinished {
    /// The newest run of this configuration's name that was cut off. Those that are given up are
    /// marked so.
    ///
    /// # Errors
    /// [`PlaceError`], also where it can't be gone on with by this configuration.
    pub fn find(
        config: &RunConfig,
        plan: &AgreedPlan,
        beginning: Beginning,
    ) -> Result<Option<Self>, PlaceError> {
        let mut newest: Option<Self> = None;
        for folder in folders_of(config)? {
            let found = match Self::open(&folder, Spool::Kept) {
                Err(StoreError::InUse { path }) => return Err(StoreError::InUse { path }.into()),
                Err(error) if beginning == Beginning::Anew => {
                    tracing::warn!("{error}");
                    set_aside(&folder)?;
                    continue;
                }
                found => found?,
            };
            let Some(found) = found.filter(|f| f.history.begun.run == config.run.name) else {
                continue;
            };
            if beginning == Beginning::Anew {
                found.give_up()?;
            } else if newest.as_ref().is_none_or(|n| n.began() <= found.began()) {
                newest = Some(found);
            }
        }
        newest.map(|found| found.checked(config, plan)).transpose()
    }

    /// The run in this folder that was cut off.
    ///
    /// # Errors
    /// [`PlaceError`], also where it can't be gone on with by this configuration.
    pub fn in_folder(
        folder: &Path,
        (config, plan): (&RunConfig, &AgreedPlan),
        spool: Spool,
    ) -> Result<Self, PlaceError> {
        let nothing = || PlaceError::Nothing {
            path: folder.to_owned(),
        };
        if !FileStore::is_in(&folder.join(JOURNAL)) {
            return Err(nothing());
        }
        let found = Self::open(folder, spool)?.ok_or_else(nothing)?;
        found.checked(config, plan)
    }

    /// `None` where nothing had begun, or all is over. What is left of its journal is removed.
    fn open(folder: &Path, spool: Spool) -> Result<Option<Self>, StoreError> {
        let journal = folder.join(JOURNAL);
        let store = FileStore::open(&journal, spool)?;
        match store.load()? {
            Some(history) if !history.over && !is_certified(folder) => Ok(Some(Self {
                folder: folder.to_owned(),
                store: Arc::new(store),
                history,
            })),
            _ => {
                drop(store);
                FileStore::remove(&journal)?;
                Ok(None)
            }
        }
    }

    fn began(&self) -> u64 {
        self.history.begun.unix_time
    }

    fn give_up(self) -> Result<(), StoreError> {
        tracing::warn!(folder = %self.folder.display(), "an unfinished run is given up");
        self.store.commit(Change::Abandoned)?;
        drop(self.store);
        FileStore::remove(&self.folder.join(JOURNAL))
    }

    fn checked(self, config: &RunConfig, plan: &AgreedPlan) -> Result<Self, PlaceError> {
        let planned = plan.digest();
        let begun = &self.history.begun;
        if begun.plan != planned {
            return Err(PlaceError::OtherPlan {
                path: self.folder,
                found: begun.plan,
                planned,
            });
        }
        if begun.conditions != conditions(config) {
            return Err(PlaceError::OtherConditions { path: self.folder });
        }
        Ok(self)
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is known of the run.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Where it is kept.
    pub fn store(&self) -> &dyn RunStore {
        &*self.store
    }
}

impl Place {
    /// Makes the folder of a run that begins now. The coordinator's ledger stands at `ledger`.
    ///
    /// # Errors
    /// [`PlaceError`] where it can't be made.
    pub fn make(
        (config, plan): (&RunConfig, &AgreedPlan),
        spool: Spool,
        ledger: LedgerPoint,
        unix_time: u64,
    ) -> Result<Self, PlaceError> {
        let folder = RunFolder::create(&config.run.out, config.run.name.as_str(), unix_time)?;
        Self::begin(folder, (config, plan), spool, (ledger, unix_time))
    }

    /// Begins a run in a folder that was just made for it.
    ///
    /// # Errors
    /// [`PlaceError`] where its journal can't be made.
    pub fn make_in(
        folder: &Path,
        run: (&RunConfig, &AgreedPlan),
        spool: Spool,
        (opened, unix_time): (&Opened, u64),
    ) -> Result<Self, PlaceError> {
        let (folder, _) = RunFolder::open(folder, 0)?;
        Self::begin(folder, run, spool, (opened.ledger_point(), unix_time))
    }

    fn begin(
        folder: RunFolder,
        (config, plan): (&RunConfig, &AgreedPlan),
        spool: Spool,
        (ledger, unix_time): (LedgerPoint, u64),
    ) -> Result<Self, PlaceError> {
        let store = FileStore::open(&folder.path().join(JOURNAL), spool)?;
        store.commit(Change::Begun(begun(config, plan, ledger, unix_time)))?;
        Ok(Self {
            folder,
            store: Arc::new(store),
            before: None,
        })
    }

    /// Goes on in the folder of a run that was cut off.
    ///
    /// # Errors
    /// [`PlaceError`] where its metrics can't be read.
    pub fn again(unfinished: Unfinished) -> Result<Self, PlaceError> {
        let Unfinished {
            folder,
            store,
            history,
        } = unfinished;
        let (folder, metrics) = RunFolder::open(&folder, history.done())?;
        let rounds = history.done();
        tracing::info!(folder = %folder.path().display(), rounds, "going on with a run that was cut off");
        Ok(Self {
            folder,
            store,
            before: Some(Before { history, metrics }),
        })
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The run is over and its folder complete: nobody needs the journal any more.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        self.store.commit(Change::Ended)?;
        FileStore::remove(&self.folder.path().join(JOURNAL))
    }
}

/// Whether a run's last act is done. Its sites are gone by then, so that a second certificate
/// would lack their signatures.
fn is_certified(folder: &Path) -> bool {
    folder.join(CERTIFICATE).exists()
}

/// The folders of runs of this name, or of one that begins like it, that have a journal.
/// The journals of runs of this configuration that aren't over.
///
/// # Errors
/// [`PlaceError::Out`] where the folder of runs can't be read.
pub fn journals_of(config: &RunConfig) -> Result<Vec<PathBuf>, PlaceError> {
    let folders = folders_of(config)?;
    Ok(folders.iter().map(|folder| folder.join(JOURNAL)).collect())
}

pub(crate) fn folders_of(config: &RunConfig) -> Result<Vec<PathBuf>, PlaceError> {
    let out = &config.run.out;
    let failed = |source| PlaceError::Out {
        path: out.clone(),
        source,
    };
    let entries = match fs::read_dir(out) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let prefix = format!("{}-", config.run.name);
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let named = entry.file_name().to_string_lossy().starts_with(&prefix);
        if named && FileStore::is_in(&entry.path().join(JOURNAL)) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn set_aside(folder: &Path) -> Result<(), PlaceError> {
    let journal = folder.join(JOURNAL);
    let aside = folder.join(SET_ASIDE);
    fs::rename(&journal, &aside).map_err(|source| PlaceError::Out {
        path: journal,
        source,
    })
}

/// What is fixed for a run that begins now.
pub fn begun(
    config: &RunConfig,
    plan: &AgreedPlan,
    ledger: LedgerPoint,
    unix_time: u64,
) -> RunBegun {
    RunBegun {
        id: hex::encode(rand::random::<[u8; 16]>()),
        run: config.run.name.to_string(),
        plan: plan.digest(),
        conditions: conditions(config),
        unix_time,
        ledger,
    }
}

/// The digest of what moves the model and isn't in the plan.
fn conditions(config: &RunConfig) -> BlobDigest {
    let clients: Vec<&str> = config.clients.iter().map(|c| c.name.as_str()).collect();
    let all = (&config.server, config.training.expected_batch, clients);
    // A value of these types can always be written.
    BlobDigest::of(&serde_json::to_vec(&all).unwrap_or_default())
}
