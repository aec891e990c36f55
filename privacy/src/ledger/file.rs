//! A ledger in a file.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::sync_parent;
use crate::ledger::store::LedgerStorage;

/// A ledger file, locked against other processes for as long as this lives.
#[derive(Debug)]
pub struct FileLedgerStorage {
    file: File,
    /// How long the file is if nobody else writes to it.
    len: u64,
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
    /// It isn't what was written.
    #[error(
        "ledger {}: line {line} is no entry: {reason}; nothing may be spent on this ledger: restore \
         it from a backup that ends no earlier", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process holds it.
    #[error(
        "ledger {} is in use by another process, and two must not spend at once; wait until \
         that one ends", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A pipe, a device or the like, which keeps nothing.
    #[error("ledger {} isn't an ordinary file; name one that is", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// Somebody put another file in its place.
    #[error("ledger {} was replaced while it was being opened; try again", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
}

impl FileLedgerStorage {
    /// Opens the ledger file at `path`, creating an empty one if there is none, and locks
    /// it against everybody else: an advisory lock, which every user of this type
    /// respects, in this process and in others.
    ///
    /// # Errors
    /// [`OpenError`] if it can't be opened, is no ordinary file, or another process holds it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let failed = |source| OpenError::Io {
            path: path.into(),
            source,
        };
        // Asked first, since opening a pipe may wait for ever.
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(OpenError::NotAFile { path: path.into() });
        }
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
        let held = file.metadata().map_err(failed)?;
        // A lock on a file that has no name any more would exclude nobody.
        let named = std::fs::metadata(path).map_err(failed)?;
        if !same_file(&held, &named) {
            return Err(OpenError::Replaced { path: path.into() });
        }
        // Each time, since a crash may have come between creation and sync.
        file.sync_all().map_err(failed)?;
        sync_parent(path).map_err(failed)?;
        Ok(Self {
            file,
            len: held.len(),
        })
    }
}

#[cfg(unix)]
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Other systems keep a file that is open from being replaced.
#[cfg(not(unix))]
fn same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

impl FileLedgerStorage {
    /// The lock is advisory: an editor or a script may still write. What it wrote isn't in
    /// the chain that is in memory, so nothing may be added behind it.
    fn check_nobody_wrote(&self) -> io::Result<()> {
        let found = self.file.metadata()?.len();
        if found == self.len {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "it has {found} bytes where {} were left; something else writes to it",
                self.len
            )))
        }
    }
}

impl Drop for FileLedgerStorage {
    /// Closing the file isn't enough: a child process that is just being started has the
    /// same open file for a moment, and would go on holding the lock.
    fn drop(&mut self) {
        // Where it fails, closing the file does it.
        let _ = self.file.unlock();
    }
}

impl LedgerStorage for FileLedgerStorage {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        self.len = bytes.len() as u64;
        Ok(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.check_nobody_wrote()?;
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        self.check_nobody_wrote()?;
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }
}
