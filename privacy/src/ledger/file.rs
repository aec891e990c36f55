//! A ledger in a file: the one module of this crate that touches a disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::ledger::store::LedgerStorage;

/// A ledger file, locked against other processes for as long as this lives.
#[derive(Debug)]
pub struct FileLedgerStorage {
    file: File,
}

/// A ledger file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It can't be opened, created or synced.
    #[error("ledger {}: {source}; the folder must exist and be writable", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds it.
    #[error("ledger {} is in use by another process; wait until that ends", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

impl FileLedgerStorage {
    /// Opens the ledger file at `path`, creating an empty one if there is none, and locks
    /// it (an advisory lock, which every user of this type respects).
    ///
    /// # Errors
    /// [`OpenError`] if it can't be opened or another process holds it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let failed = |source| OpenError::Io {
            path: path.into(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Each time, since a crash may have come between creation and sync.
        file.sync_all().map_err(failed)?;
        sync_parent(path).map_err(failed)?;
        Ok(Self { file })
    }
}

/// Makes the file's name survive a crash, not only its content.
#[cfg(unix)]
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Other systems have no way to sync a folder.
#[cfg(not(unix))]
fn sync_parent(_: &Path) -> io::Result<()> {
    Ok(())
}

impl LedgerStorage for FileLedgerStorage {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append_and_sync(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_all()
    }
}
