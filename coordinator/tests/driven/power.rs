//! A disk whose process can be ended at any write.
//!
//! Every write, sync and rename asks [`Power`] first. When it is out, that one is left undone, half
//! done or done, as the test says, and all later ones fail: what a killed process leaves. Nothing is
//! really synced; what a machine would lose that goes down is known to [`Unsynced`].
//!
//! A disk may also be full: then a write leaves half of itself and fails, and the process lives.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use umbel_privacy::disk::{AnyLedgerStorage, Content, Disk, UnsyncedDisk};
use umbel_privacy::ledger::LedgerStorage;
use umbel_privacy::ledger::file::OpenError;

use crate::unsynced::Unsynced;

/// What becomes of the write at which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWrite {
    Undone,
    Half,
    Done,
}

/// How many writes are left.
#[derive(Debug)]
pub struct Power {
    used: AtomicU64,
    writes: u64,
    last: LastWrite,
    /// Whether the machine's disk is full.
    full: Arc<AtomicBool>,
    unsynced: Arc<Unsynced>,
    /// Whether a write met a full disk.
    met_full: AtomicBool,
}

impl Power {
    #[allow(dead_code, reason = "where disks fill up, all are made with one")]
    pub fn for_writes(writes: u64, last: LastWrite) -> Arc<Self> {
        Self::on_disk((Arc::default(), Arc::default()), writes, last)
    }

    /// The same on a machine's disk, which is full while it says so.
    pub fn on_disk(
        (full, unsynced): (Arc<AtomicBool>, Arc<Unsynced>),
        writes: u64,
        last: LastWrite,
    ) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicU64::new(0),
            writes,
            last,
            full,
            unsynced,
            met_full: AtomicBool::new(false),
        })
    }

    /// Whether a write met a full disk.
    #[allow(dead_code, reason = "not every test fills a disk")]
    pub fn met_full(&self) -> bool {
        self.met_full.load(Ordering::SeqCst)
    }

    #[allow(dead_code, reason = "as above")]
    pub fn endless() -> Arc<Self> {
        Self::for_writes(u64::MAX, LastWrite::Undone)
    }

    /// Whether the process is gone.
    pub fn is_out(&self) -> bool {
        self.used() > self.writes
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    /// What to do with the next write: all of it, or as much as the last one does.
    fn next(&self) -> Next {
        if self.full.load(Ordering::SeqCst) && !self.is_out() {
            self.met_full.store(true, Ordering::SeqCst);
            return Next::Full;
        }
        match self.used.fetch_add(1, Ordering::SeqCst) {
            n if n < self.writes => Next::Do,
            n if n == self.writes => Next::Last(self.last),
            _ => Next::Fail,
        }
    }

    fn run(
        &self,
        all: impl Fn() -> io::Result<()>,
        half: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        match self.next() {
            Next::Do => return all(),
            Next::Last(LastWrite::Done) => all()?,
            Next::Last(LastWrite::Half) => half()?,
            Next::Last(LastWrite::Undone) | Next::Fail => {}
            Next::Full => {
                half()?;
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        Err(io::Error::other("the process is gone"))
    }
}

impl Power {
    /// Renames a file, and ends before its folder is synced.
    fn rename_unsynced(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.unsynced.is_about_to_be_renamed(from, to);
        UnsyncedDisk.rename(from, to)
    }
}

enum Next {
    Do,
    Last(LastWrite),
    Fail,
    Full,
}

#[derive(Debug)]
pub struct PoweredDisk(pub Arc<Power>);

impl Disk for PoweredDisk {
    fn open_ledger(&self, path: &Path) -> Result<AnyLedgerStorage, OpenError> {
        Ok(PoweredStorage::open(path, &self.0))
    }

    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
        let unsynced = &self.0.unsynced;
        let all = || {
            unsynced.name_changes(path);
            UnsyncedDisk.write(path, content)
        };
        let half = || {
            unsynced.content_changes(path);
            let mut bytes = Vec::new();
            content(&mut bytes)?;
            UnsyncedDisk.write(path, &|out| out.write_all(&bytes[..bytes.len() / 2]))
        };
        self.0.run(all, half)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let append = |bytes: &[u8]| {
            self.0.unsynced.content_changes(path);
            UnsyncedDisk.append(path, bytes)
        };
        self.0
            .run(|| append(bytes), || append(&bytes[..bytes.len() / 2]))
    }

    fn keep(&self, from: &Path, to: &Path) -> io::Result<()> {
        let all = || {
            UnsyncedDisk.keep(from, to)?;
            self.0.unsynced.is_synced(from);
            self.0.unsynced.is_renamed(from, to);
            Ok(())
        };
        let half = || {
            self.0.unsynced.is_synced(from);
            self.0.rename_unsynced(from, to)
        };
        self.0.run(all, half)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let all = || {
            UnsyncedDisk.rename(from, to)?;
            self.0.unsynced.is_renamed(from, to);
            Ok(())
        };
        self.0.run(all, || self.0.rename_unsynced(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let all = || {
            self.0.unsynced.name_changes(path);
            UnsyncedDisk.remove(path)
        };
        self.0.run(all, || Ok(()))
    }
}

/// A ledger's file.
pub struct PoweredStorage {
    path: PathBuf,
    power: Arc<Power>,
}

impl PoweredStorage {
    pub fn open(path: &Path, power: &Arc<Power>) -> AnyLedgerStorage {
        Box::new(Self {
            path: path.to_owned(),
            power: Arc::clone(power),
        })
    }

    fn append_to_file(&self, bytes: &[u8]) -> io::Result<()> {
        self.power.unsynced.content_changes(&self.path);
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        options.open(&self.path)?.write_all(bytes)
    }
}

impl LedgerStorage for PoweredStorage {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        match fs::read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let half = || self.append_to_file(&bytes[..bytes.len() / 2]);
        self.power.run(|| self.append_to_file(bytes), half)
    }

    fn sync(&mut self) -> io::Result<()> {
        let all = || {
            self.power.unsynced.is_synced(&self.path);
            Ok(())
        };
        self.power.run(all, || Ok(()))
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        let cut = || {
            self.power.unsynced.content_changes(&self.path);
            OpenOptions::new()
                .write(true)
                .open(&self.path)?
                .set_len(len)
        };
        self.power.run(cut, cut)
    }
}
