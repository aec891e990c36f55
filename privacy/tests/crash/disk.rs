//! A model of a disk under a machine that may crash at any moment.
//!
//! What was synced survives. Of what was written since, a prefix survives, of which whole
//! sectors may read as zeros: the file had grown, and their content had not arrived.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use rand::{Rng, RngExt};
use umbel_privacy::ledger::LedgerStorage;

/// Bytes that reach the disk together. Small, so that an entry has many of them.
const SECTOR: usize = 64;

/// What is on the disk, what is only in the machine's memory, and what goes wrong next.
#[derive(Debug, Default)]
pub struct Disk {
    durable: Vec<u8>,
    /// What a process reads: the durable bytes and everything since.
    seen: Vec<u8>,
    /// Operations until the next mishap.
    fuse: usize,
    mishap: Mishap,
    crashed: bool,
    /// Says that it has synced, and hasn't.
    lies: bool,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mishap {
    /// The process ends; the machine goes on.
    #[default]
    Killed,
    /// The machine stops.
    PowerLost,
    /// The operation fails (a full disk, say), and the process is told.
    Refused,
}

/// The disk as a ledger's storage.
#[derive(Clone, Debug)]
pub struct DiskStorage(pub Rc<RefCell<Disk>>);

impl Disk {
    /// A disk on which nothing is durable, to see that the tests would notice.
    pub fn that_never_syncs() -> Self {
        Self {
            lies: true,
            ..Self::default()
        }
    }

    /// Lets `fuse` operations pass, and then this happen.
    pub fn go_wrong(&mut self, fuse: usize, mishap: Mishap) {
        self.fuse = fuse;
        self.mishap = mishap;
    }

    /// Whether the operation is the one at which the mishap happens.
    fn strikes(&mut self) -> bool {
        if self.fuse == 0 {
            self.crashed |= self.mishap != Mishap::Refused;
            return true;
        }
        self.fuse -= 1;
        false
    }

    /// What the next process finds.
    pub fn restart(&mut self, rng: &mut impl Rng) {
        if self.crashed && self.mishap == Mishap::PowerLost {
            self.seen = self.survivors(rng);
            self.durable.clone_from(&self.seen);
        }
        self.crashed = false;
    }

    fn survivors(&self, rng: &mut impl Rng) -> Vec<u8> {
        let (durable, seen) = (self.durable.len(), self.seen.len());
        if seen <= durable {
            // Something was cut off; the cut arrived or it didn't.
            return if rng.random() {
                self.seen.clone()
            } else {
                self.durable.clone()
            };
        }
        let kept = rng.random_range(durable..=seen);
        let mut left = self.seen[..kept].to_vec();
        for start in (0..kept).step_by(SECTOR) {
            let end = kept.min(start + SECTOR);
            if end > durable && rng.random_range(0..4) == 0 {
                left[start.max(durable)..end].fill(0);
            }
        }
        left
    }

    /// What a process would read now.
    pub fn bytes(&self) -> &[u8] {
        &self.seen
    }
}

fn failure() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl LedgerStorage for DiskStorage {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.borrow().seen.clone())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        if disk.crashed {
            return Err(failure());
        }
        if disk.strikes() {
            // Some of it is written: how much follows from what is there, for repeatability.
            let part = (disk.seen.len() * 7 + 3) % (bytes.len() + 1);
            disk.seen.extend_from_slice(&bytes[..part]);
            return Err(failure());
        }
        disk.seen.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        if disk.crashed || disk.strikes() {
            return Err(failure());
        }
        if !disk.lies {
            disk.durable = disk.seen.clone();
        }
        Ok(())
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        if disk.crashed || disk.strikes() {
            return Err(failure());
        }
        disk.seen.truncate(usize::try_from(len).unwrap());
        Ok(())
    }
}
