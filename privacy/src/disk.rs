//! What a party does to files so that they survive a crash, in one place: a test can let each of
//! these fail, or end the process there.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::ledger::file::OpenError;
use crate::ledger::{FileLedgerStorage, LedgerStorage};

/// Writes a file's content.
pub type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// A ledger of whatever kind.
pub type AnyLedgerStorage = Box<dyn LedgerStorage + Send>;

/// What is done to files that have to last.
pub trait Disk: Debug + Send + Sync {
    /// Opens the ledger file at `path`, and locks it.
    ///
    /// # Errors
    /// [`OpenError`] if it can't be opened, is no ordinary file, or another process holds it.
    fn open_ledger(&self, path: &Path) -> Result<AnyLedgerStorage, OpenError>;

    /// Opens a file to read it. A ledger is read as it is, without its lock.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::NotFound`] where there is none.
    fn read(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(path)?))
    }

    /// Makes a folder, durably, with those above it, unless it is there.
    ///
    /// # Errors
    /// What the system says.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            fs::create_dir_all(path)?;
            sync_parent(path)?;
        }
        Ok(())
    }

    /// Makes a file that only its owner can read, in place of one of that name, and syncs it.
    ///
    /// # Errors
    /// What the system says.
    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()>;

    /// Appends to a file that only its owner can read, and makes it where there is none. Nothing is
    /// synced.
    ///
    /// # Errors
    /// What the system says. Then some of the bytes may be there.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file that was appended to another name, in place of one that has it; content and name
    /// survive a crash then.
    ///
    /// # Errors
    /// What the system says.
    fn keep(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file another name, in place of one that has it, durably.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the name that a file was found by survive a crash: whoever gave it that may have been killed
    /// before the folder was synced. To be done before anything is done because of the file.
    ///
    /// # Errors
    /// What the system says.
    fn settle(&self, path: &Path) -> io::Result<()> {
        self.rename(path, path)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Replaces a file's content as a whole or not at all: writes it beside, under `draft`, and
    /// renames that.
    ///
    /// # Errors
    /// What the system says. Then what was there before is still there.
    fn replace(&self, path: &Path, draft: &Path, content: Content<'_>) -> io::Result<()> {
        self.write(draft, content)?;
        self.rename(draft, path)
    }
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open_ledger(&self, path: &Path) -> Result<AnyLedgerStorage, OpenError> {
        Ok(Box::new(FileLedgerStorage::open(path)?))
    }

    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
        write(path, content)?.sync_all()
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        append(path, bytes)
    }

    fn keep(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Windows syncs through writable handles only.
        OpenOptions::new().append(true).open(from)?.sync_all()?;
        self.rename(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        sync_parent(to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// The disk of this machine, for what needn't survive the machine: ledgers are synced, other files
/// are not.
#[derive(Clone, Copy, Debug)]
pub struct UnsyncedDisk;

impl Disk for UnsyncedDisk {
    fn open_ledger(&self, path: &Path) -> Result<AnyLedgerStorage, OpenError> {
        RealDisk.open_ledger(path)
    }

    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
        write(path, content).map(drop)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        append(path, bytes)
    }

    fn keep(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

fn write(path: &Path, content: Content<'_>) -> io::Result<File> {
    let mut options = private();
    options.write(true).truncate(true);
    let mut file = options.open(path)?;
    content(&mut file)?;
    Ok(file)
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    private().append(true).open(path)?.write_all(bytes)
}

/// How a file is made that only its owner can read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a file's name survive a crash, not only its content.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Other systems have no way to sync a folder.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn sync_parent(_: &Path) -> io::Result<()> {
    Ok(())
}
