//! Where the ledgers of others stood when they were last seen, in a file beside one's own.
//!
//! A ledger that is put back from a backup, or continued from a copy, is a sound chain by
//! itself: only somebody else's memory can tell. So a coordinator remembers its sites'
//! ledgers, and a site those of its coordinators.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::ledger::point::LedgerPoint;

/// What is remembered, by the owner's name or key.
#[derive(Debug)]
pub struct SeenLedgers {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    points: BTreeMap<String, LedgerPoint>,
    /// Whether the file's name outlives the machine: not known of what an earlier process left.
    settled: bool,
}

/// A memory that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    /// It can't be read or written.
    #[error("{}: {source}; the folder must be writable", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It isn't what was written.
    #[error(
        "{} doesn't read as where others' ledgers were last seen ({reason}); put it back from a \
         backup, or, if it is lost, move it away: then a ledger of theirs that got shorter since \
         isn't noticed",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl SeenLedgers {
    /// Reads the memory that belongs to the ledger at this path: `ledger.jsonl.seen`.
    ///
    /// # Errors
    /// [`SeenError`] where the file can't be read or understood. Where there is none, nothing
    /// was seen yet.
    pub fn beside(ledger: &Path, disk: Arc<dyn Disk>) -> Result<Self, SeenError> {
        let mut name = ledger.file_name().unwrap_or_default().to_owned();
        name.push(".seen");
        let path = ledger.with_file_name(name);
        let points = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(SeenError::Io { path, source }),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| SeenError::Damaged {
                path: path.clone(),
                reason: e.to_string(),
            })?,
        };
        Ok(Self {
            path,
            disk,
            points,
            settled: false,
        })
    }

    /// Where the ledger of this owner stood.
    pub fn get(&self, owner: &str) -> Option<LedgerPoint> {
        self.points.get(owner).copied()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Remembers where the ledger of this owner stands, durably.
    ///
    /// # Errors
    /// [`SeenError`] where it can't be written.
    pub fn note(&mut self, owner: &str, point: LedgerPoint) -> Result<(), SeenError> {
        if self.get(owner) == Some(point) {
            return self.settle().map_err(|source| self.error(source));
        }
        // Only what is on the disk counts as remembered, so that a later try writes it again.
        let mut points = self.points.clone();
        points.insert(owner.to_owned(), point);
        self.write(&points).map_err(|source| self.error(source))?;
        self.points = points;
        self.settled = true;
        Ok(())
    }

    /// A process that ended between giving the file its name and syncing the folder has left a
    /// memory that the next one reads, and that the machine may still lose.
    fn settle(&mut self) -> io::Result<()> {
        if !self.settled {
            self.disk.settle(&self.path)?;
            self.settled = true;
        }
        Ok(())
    }

    fn error(&self, source: io::Error) -> SeenError {
        SeenError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// Replaces the file as a whole or not at all.
    fn write(&self, points: &BTreeMap<String, LedgerPoint>) -> io::Result<()> {
        let unfinished = self.path.with_extension("seen.unfinished");
        self.disk.replace(&self.path, &unfinished, &|out| {
            serde_json::to_writer_pretty(&mut *out, points)?;
            out.write_all(b"\n")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::disk::{AnyLedgerStorage, Content, RealDisk};
    use crate::ledger::file::OpenError;

    /// A disk that counts how often the name of a file was settled.
    #[derive(Debug, Default)]
    struct Settling {
        settled: AtomicUsize,
    }

    impl Disk for Settling {
        fn open_ledger(&self, path: &Path) -> Result<AnyLedgerStorage, OpenError> {
            RealDisk.open_ledger(path)
        }
        fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
            RealDisk.write(path, content)
        }
        fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            RealDisk.append(path, bytes)
        }
        fn keep(&self, from: &Path, to: &Path) -> io::Result<()> {
            RealDisk.keep(from, to)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            RealDisk.rename(from, to)
        }
        fn settle(&self, path: &Path) -> io::Result<()> {
            self.settled.fetch_add(1, Ordering::Relaxed);
            RealDisk.settle(path)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            RealDisk.remove(path)
        }
    }

    fn point(entries: u64) -> LedgerPoint {
        LedgerPoint {
            entries,
            head: "ab".repeat(32).parse().expect("64 digits"),
        }
    }

    #[test]
    fn what_was_seen_is_remembered_by_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("ledger.jsonl");
        let mut seen = SeenLedgers::beside(&ledger, Arc::new(RealDisk)).expect("nothing yet");
        assert_eq!(seen.get("north"), None);
        seen.note("north", point(3)).expect("a writable folder");
        seen.note("south", point(5)).expect("a writable folder");
        seen.note("north", point(4)).expect("a writable folder");
        let again = SeenLedgers::beside(&ledger, Arc::new(RealDisk)).expect("a sound file");
        assert_eq!(again.get("north"), Some(point(4)));
        assert_eq!(again.get("south"), Some(point(5)));
    }

    /// Whoever wrote it may have been killed before its name was synced, and this process then acts
    /// as if it had noted the point itself.
    #[test]
    fn what_an_earlier_process_noted_is_settled_before_it_counts_as_noted() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("ledger.jsonl");
        let disk = Arc::new(Settling::default());
        let settled = || disk.settled.load(Ordering::Relaxed);
        let mut seen = SeenLedgers::beside(&ledger, disk.clone()).expect("nothing yet");
        seen.note("north", point(3)).expect("a writable folder");
        seen.note("north", point(3)).expect("a writable folder");
        assert_eq!(settled(), 0, "its own note is durable");
        let mut again = SeenLedgers::beside(&ledger, disk.clone()).expect("a sound file");
        again.note("north", point(3)).expect("a writable folder");
        assert_eq!(settled(), 1);
        again.note("north", point(3)).expect("a writable folder");
        assert_eq!(settled(), 1, "once is enough");
    }

    #[test]
    fn a_damaged_memory_isnt_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("ledger.jsonl");
        for damaged in ["", "{", "[]", r#"{"north":{"entries":-1,"head":""}}"#] {
            fs::write(folder.path().join("ledger.jsonl.seen"), damaged).expect("a writable folder");
            let refused = SeenLedgers::beside(&ledger, Arc::new(RealDisk)).expect_err("damaged");
            assert!(matches!(refused, SeenError::Damaged { .. }), "{refused}");
        }
    }
}
