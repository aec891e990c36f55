//! A run's store in a folder: a journal, the updates of the open round, the last two results.
//!
//! ```text
//! journal/              0700
//!   run.journal         one line a record, hash-chained, only ever appended to
//!   spool/              updates of the open attempt, and those on their way in: one file each,
//!                       0600
//!   round-N.safetensors the last two results
//! ```
//!
//! The journal is written as the ledger is: a line, synced, and only then its line break,
//! synced. So a torn line was never acknowledged, and is cut off. That is the ledger's own
//! code, whose every write and sync is tested to be one that it may die at. An embedded
//! database would bring a second format and a second argument for the same guarantee, and
//! would hold nothing that has to be searched: a run is read once, from its beginning.
//!
//! A result is stored when its file has its name. If the process ended before the journal had
//! its record, opening the store adds that, so that the result is published and no second one
//! is made for its entry. What has a draft's name never was a result, and is removed then.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use umbel_privacy::disk::{Content, Disk, RealDisk};
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{EntryHash, FileLedgerStorage, LedgerStorage};
use umbel_proto::incoming::{InMemory, Incoming, NotReceived, UpdateBytes};
use umbel_proto::message::{BlobDigest, ClientId, UpdateAnnouncement};

use super::checkpoint::Checkpoint;
use super::disk::{files, make_private};
use super::error::StoreError;
use super::history::{History, OpenAttempt};
use super::journal_file::{JOURNAL, JournalFile, read_journal};
use super::record::Record;
use super::run_store::{Change, RunStore};
use super::spool::{Claims, Parts, SpooledUpdate};

/// Updates of the open attempt.
const SPOOL: &str = "spool";
/// What an unfinished file's name ends with.
const DRAFT: &str = "draft";

/// Whether accepted updates are kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spool {
    /// Each is written and synced before its client has its receipt.
    Kept,
    /// No: every client has its own still, in an outbox on the same disk, as in a simulation.
    Elsewhere,
}

/// A run's store in a folder, locked for as long as this lives.
pub struct FileStore {
    folder: PathBuf,
    spool: Spool,
    disk: Arc<dyn Disk>,
    claims: Claims,
    state: Mutex<JournalFile>,
}

impl FileStore {
    /// Opens the store in `folder`, making it where there is none, and repairs what a crash
    /// left.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(folder: &Path, spool: Spool) -> Result<Self, StoreError> {
        make_private(folder).map_err(StoreError::io(folder))?;
        let file = folder.join(JOURNAL);
        let journal = FileLedgerStorage::open(&file).map_err(|error| match error {
            OpenError::InUse { .. } => StoreError::InUse {
                path: folder.to_owned(),
            },
            OpenError::Io { path, source } => StoreError::Io { path, source },
            other => StoreError::Io {
                path: file.clone(),
                source: io::Error::other(other.to_string()),
            },
        })?;
        Self::open_on(folder, spool, Arc::new(RealDisk), Box::new(journal))
    }

    /// The same on a disk and with a journal's storage of the caller's.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open_on(
        folder: &Path,
        spool: Spool,
        disk: Arc<dyn Disk>,
        mut journal: Box<dyn LedgerStorage + Send>,
    ) -> Result<Self, StoreError> {
        make_private(folder).map_err(StoreError::io(folder))?;
        let spooled = folder.join(SPOOL);
        make_private(&spooled).map_err(StoreError::io(&spooled))?;
        let (history, end) = read_journal(folder, &mut journal)?;
        let store = Self {
            folder: folder.to_owned(),
            spool,
            disk,
            claims: Claims::default(),
            state: Mutex::new(JournalFile {
                journal,
                history,
                end,
                unknown_end: false,
            }),
        };
        store.recover()?;
        Ok(store)
    }

    /// Whether there is a journal in `folder`.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(JOURNAL).is_file()
    }

    /// Removes a store that isn't needed any more, its journal last.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it can't be removed.
    pub fn remove(folder: &Path) -> Result<(), StoreError> {
        match std::fs::remove_dir_all(folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io(folder)(e)),
            _ => Ok(()),
        }
    }

    /// Removes drafts, and commits a result that has its name already.
    fn recover(&self) -> Result<(), StoreError> {
        for folder in [&self.folder, &self.folder.join(SPOOL)] {
            for file in files(folder).map_err(StoreError::io(folder))? {
                if file.extension().is_some_and(|ending| ending == DRAFT) {
                    self.disk.remove(&file).map_err(StoreError::io(&file))?;
                }
            }
        }
        let mut state = self.lock()?;
        let Some(history) = &state.history else {
            return Ok(());
        };
        self.drop_updates_but(history.open.as_ref())?;
        let open = history.open.as_ref().filter(|open| open.closed.is_some());
        let Some(open) = open else {
            return Ok(());
        };
        let (round, spent) = (open.opened.round, open.spent);
        let Some(found) = self.read_checkpoint(round)? else {
            return Ok(());
        };
        if (found.round, found.entry) != (round, spent) {
            return Err(self.damaged("a stored result names another entry than the one that paid"));
        }
        let file = self.checkpoint_file(round);
        self.disk.settle(&file).map_err(StoreError::io(&file))?;
        let released = Change::Released(&found);
        state.append(&self.folder, released.record())?;
        drop(state);
        self.tidy_up(&released);
        Ok(())
    }

    /// Removes updates that no open attempt has.
    fn drop_updates_but(&self, open: Option<&OpenAttempt>) -> Result<(), StoreError> {
        let mut kept = BTreeSet::new();
        if let Some(open) = open {
            let accepted = open.accepted.iter();
            kept.extend(accepted.map(|(client, update)| self.update_file(client, update)));
            let closed = open.closed.iter().flat_map(|closed| &closed.updates);
            kept.extend(closed.map(|given| self.update_file(&given.client, &given.update)));
        }
        let spool = self.folder.join(SPOOL);
        let goes_on = open.is_some_and(|open| open.closed.is_none());
        for file in files(&spool).map_err(StoreError::io(&spool))? {
            let goes_on = goes_on && Parts::is_one(&file);
            if goes_on {
                self.claims.found(&file);
            }
            if !kept.contains(&file) && !goes_on {
                self.disk.remove(&file).map_err(StoreError::io(&file))?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> Result<MutexGuard<'_, JournalFile>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.unknown_end {
            return Err(StoreError::UnknownEnd);
        }
        Ok(state)
    }

    fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: self.folder.clone(),
            reason: reason.into(),
        }
    }

    fn update_file(&self, client: &ClientId, update: &BlobDigest) -> PathBuf {
        self.folder.join(SPOOL).join(format!("{client}-{update}"))
    }

    fn checkpoint_file(&self, round: u32) -> PathBuf {
        self.folder.join(format!("round-{round}.safetensors"))
    }

    /// Writes a file under a draft's name, and gives it its own when it is whole.
    fn store(&self, path: &Path, content: Content<'_>) -> Result<(), StoreError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".");
        draft.push(DRAFT);
        let draft = PathBuf::from(draft);
        let write = || self.disk.replace(path, &draft, content);
        write().map_err(StoreError::io(path))
    }

    /// Keeps an update durably: by its new name if it came into a file, or by a copy.
    fn spool(&self, path: &Path, bytes: &dyn UpdateBytes) -> Result<(), StoreError> {
        if let Some(part) = bytes.file() {
            match self.disk.keep(part, path) {
                // It has its name already, or was dropped with its attempt while it was checked.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                kept => return kept.map_err(StoreError::io(path)),
            }
        }
        let copy: Content<'_> = &|out| io::copy(&mut bytes.open()?, out).map(drop);
        self.store(path, copy)
    }

    fn read_checkpoint(&self, round: u32) -> Result<Option<Checkpoint>, StoreError> {
        let path = self.checkpoint_file(round);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(StoreError::io(&path))?,
        };
        let read = Checkpoint::read(&mut BufReader::with_capacity(1 << 20, file));
        read.map(Some)
            .map_err(|e| self.damaged(format!("{}: {e}", path.display())))
    }

    /// Removes what a change made superfluous. What can't be removed does no harm.
    fn tidy_up(&self, change: &Change<'_>) {
        let superfluous = match change {
            // An update on its way in may be for the new attempt.
            Change::Opened(_) => files(&self.folder.join(SPOOL)).map(|mut all| {
                all.retain(|file| !Parts::is_one(file));
                all
            }),
            Change::Abandoned | Change::Ended => files(&self.folder.join(SPOOL)),
            Change::Released(checkpoint) => files(&self.folder.join(SPOOL)).map(|mut all| {
                let kept = BTreeSet::from([checkpoint.round, checkpoint.round.saturating_sub(1)]);
                let kept = kept.into_iter().map(|round| self.checkpoint_file(round));
                let kept: BTreeSet<PathBuf> = kept.chain([self.folder.join(JOURNAL)]).collect();
                let others = files(&self.folder).unwrap_or_default();
                all.extend(others.into_iter().filter(|file| !kept.contains(file)));
                all
            }),
            _ => return,
        };
        for file in superfluous.unwrap_or_default() {
            if let Err(error) = self.disk.remove(&file) {
                tracing::warn!(file = %file.display(), "can't be removed: {error}");
            }
        }
    }
}

impl RunStore for FileStore {
    fn load(&self) -> Result<Option<History>, StoreError> {
        Ok(self.lock()?.history.clone())
    }

    fn commit(&self, change: Change<'_>) -> Result<(), StoreError> {
        let record = change.record();
        match &change {
            Change::Accepted { .. } if self.spool == Spool::Elsewhere => return Ok(()),
            // Outside the lock: other clients' updates are written at the same time.
            Change::Accepted {
                client,
                update,
                bytes,
                ..
            } => {
                drop(self.lock()?);
                self.spool(&self.update_file(client, update), *bytes)?;
            }
            Change::Released(checkpoint) => {
                drop(self.lock()?);
                let file = self.checkpoint_file(checkpoint.round);
                let stored = self.store(&file, &|out| match &record {
                    Record::Released(released) => checkpoint.write_as(released, out),
                    _ => checkpoint.write(out),
                });
                if stored.is_err() {
                    // It may have its name all the same.
                    self.lock()?.unknown_end = true;
                }
                stored?;
            }
            _ => {}
        }
        self.lock()?.append(&self.folder, record)?;
        self.tidy_up(&change);
        Ok(())
    }

    fn update(
        &self,
        client: &ClientId,
        update: &BlobDigest,
    ) -> Result<Option<Box<dyn UpdateBytes>>, StoreError> {
        let path = self.update_file(client, update);
        match SpooledUpdate::open(&path, update) {
            Ok(Some(found)) => Ok(Some(Box::new(found))),
            Ok(None) => {
                tracing::warn!(%client, "a stored update isn't what was accepted");
                Ok(None)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io(&path)(e)),
        }
    }

    fn receive(
        &self,
        client: &ClientId,
        announced: UpdateAnnouncement,
        most: u64,
    ) -> Result<Box<dyn Incoming>, NotReceived> {
        if self.spool == Spool::Elsewhere {
            return Ok(Box::new(InMemory::new(announced, most)?));
        }
        let parts = Parts::of(&self.folder.join(SPOOL), client, &self.claims);
        let arriving = parts.receive(announced, most, Arc::clone(&self.disk))?;
        Ok(Box::new(arriving))
    }

    fn received(&self, client: &ClientId, announced: &UpdateAnnouncement) -> u64 {
        Parts::of(&self.folder.join(SPOOL), client, &self.claims).received(announced)
    }

    fn checkpoint(&self, round: u32) -> Result<Option<Checkpoint>, StoreError> {
        self.read_checkpoint(round)
    }

    fn has_result(&self, entry: &EntryHash) -> Result<bool, StoreError> {
        let state = self.lock()?;
        let Some(history) = &state.history else {
            return Ok(false);
        };
        let committed = history.released.as_ref().and_then(|last| last.entry);
        // A file that has its name counts, committed or not, readable or not.
        let next = self.checkpoint_file(history.done() + 1);
        Ok(committed.as_ref() == Some(entry) || next.exists())
    }
}
