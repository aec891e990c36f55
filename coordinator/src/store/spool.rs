//! Updates in files: those that are on their way in, and those that were accepted.
//!
//! An update that comes over the network goes into a file as it comes, so that the coordinator's
//! memory doesn't grow with its clients. It stays there when the connection breaks, and the client
//! goes on where it broke. A client has one such file at most: a new update takes an older one's
//! place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use umbel_privacy::disk::Disk;
use umbel_proto::incoming::{Arrived, Incoming, NotReceived, UpdateBytes};
use umbel_proto::message::{BlobDigest, ClientId, UpdateAnnouncement};
use umbel_proto::wire::chunk::{CHUNK_BYTES, ChunkError, Tally};

/// What the name of an unfinished update's file ends with.
const PART: &str = "part";

/// An update in a file.
#[derive(Debug)]
pub(super) struct SpooledUpdate {
    path: PathBuf,
    file: File,
}

impl SpooledUpdate {
    /// The update in this file; `None` if it isn't the one that was named.
    pub(super) fn open(path: &Path, named: &BlobDigest) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut tally = Tally::new(*named, length, length).map_err(io::Error::other)?;
        let update = Self {
            path: path.to_owned(),
            file,
        };
        read_into(&mut tally, &mut *update.open_file()?)?;
        Ok(tally.finish().is_ok().then_some(update))
    }

    fn open_file(&self) -> io::Result<Box<dyn Read + '_>> {
        (&self.file).rewind()?;
        Ok(Box::new(BufReader::with_capacity(CHUNK_BYTES, &self.file)))
    }
}

impl UpdateBytes for SpooledUpdate {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        self.open_file()
    }
}

/// Counts all that is left to read.
fn read_into(tally: &mut Tally, from: &mut dyn Read) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => {
                tally.admit(&buffer[..n]).map_err(io::Error::other)?;
                tally.count(&buffer[..n]);
            }
        }
    }
}

/// The files of a client's updates that are on their way in.
pub(super) struct Parts<'a> {
    spool: PathBuf,
    client: &'a ClientId,
    claims: &'a Claims,
}

/// The files that somebody writes to or reads from. Two uploads of the same bytes must not meet in
/// one file: a client may begin the second before the first one has its receipt.
#[derive(Debug, Default)]
pub(super) struct Claims {
    taken: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// The unfinished file of each client, so that nobody has to look for it among all others'.
    last: Mutex<BTreeMap<ClientId, PathBuf>>,
}

impl Claims {
    fn claim(&self, path: &Path) -> Option<Claim> {
        let new = lock(&self.taken).insert(path.to_owned());
        new.then(|| Claim {
            path: path.to_owned(),
            claims: Arc::clone(&self.taken),
        })
    }

    /// Notes an unfinished file that an earlier process left.
    pub(super) fn found(&self, part: &Path) {
        // A digest and its hyphen follow the client's name.
        let digits = 1 + 2 * BlobDigest::of(&[]).as_bytes().len();
        let stem = part.file_stem().and_then(|stem| stem.to_str());
        let name = stem.and_then(|stem| stem.get(..stem.len().checked_sub(digits)?));
        if let Some(Ok(client)) = name.map(str::parse) {
            lock(&self.last).insert(client, part.to_owned());
        }
    }

    /// Whose unfinished file this is from now on; the one before it, if that is another and nobody
    /// uses it.
    fn replaced(&self, client: &ClientId, path: &Path) -> Option<PathBuf> {
        let before = lock(&self.last).insert(client.clone(), path.to_owned())?;
        (before != path && !lock(&self.taken).contains(&before)).then_some(before)
    }
}

/// A file that is somebody's for as long as this lives.
#[derive(Debug)]
struct Claim {
    path: PathBuf,
    claims: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims).remove(&self.path);
    }
}

/// Sets and maps of paths are never half changed, so that a poisoned lock means nothing.
fn lock<T>(claims: &Mutex<T>) -> MutexGuard<'_, T> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Parts<'a> {
    pub(super) fn of(spool: &Path, client: &'a ClientId, claims: &'a Claims) -> Self {
        Self {
            spool: spool.to_owned(),
            client,
            claims,
        }
    }

    /// Whether a file is one of an unfinished update.
    pub(super) fn is_one(path: &Path) -> bool {
        path.extension().is_some_and(|ending| ending == PART)
    }

    fn path(&self, update: &BlobDigest) -> PathBuf {
        let name = format!("{}-{update}.{PART}", self.client);
        self.spool.join(name)
    }

    /// How many bytes of this update are here.
    pub(super) fn received(&self, announced: &UpdateAnnouncement) -> u64 {
        let file = std::fs::metadata(self.path(&announced.digest));
        file.map_or(0, |file| file.len().min(announced.bytes))
    }

    /// Gets ready for an update, from the announced offset on.
    pub(super) fn receive(
        &self,
        announced: UpdateAnnouncement,
        most: u64,
        disk: Arc<dyn Disk>,
    ) -> Result<Arriving, NotReceived> {
        let tally = Tally::new(announced.digest, announced.bytes, most)?;
        let path = self.path(&announced.digest);
        let claim = self.claims.claim(&path).ok_or(NotReceived::Gap {
            here: announced.bytes,
            offset: announced.offset,
        })?;
        if let Some(before) = self.claims.replaced(self.client, &path)
            && before.exists()
        {
            disk.remove(&before).map_err(unstorable)?;
        }
        let mut arriving = Arriving {
            announced,
            tally,
            path,
            disk,
            claim,
        };
        arriving.go_on()?;
        Ok(arriving)
    }
}

fn unstorable(error: impl ToString) -> NotReceived {
    NotReceived::Storage(error.to_string())
}

/// An update that comes into a file.
pub(super) struct Arriving {
    announced: UpdateAnnouncement,
    tally: Tally,
    path: PathBuf,
    disk: Arc<dyn Disk>,
    claim: Claim,
}

impl Arriving {
    /// Takes up what is here, or begins anew.
    fn go_on(&mut self) -> Result<(), NotReceived> {
        let offset = self.announced.offset;
        let here = match std::fs::metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            file => file.map_err(unstorable)?.len(),
        };
        if offset == 0 && here > 0 {
            return self.disk.remove(&self.path).map_err(unstorable);
        }
        if here != offset {
            return Err(NotReceived::Gap { here, offset });
        }
        if offset == 0 {
            return Ok(());
        }
        let read =
            File::open(&self.path).and_then(|mut file| read_into(&mut self.tally, &mut file));
        read.map_err(unstorable)
    }
}

impl Incoming for Arriving {
    fn push(&mut self, chunk: &[u8]) -> Result<(), ChunkError> {
        self.tally.admit(chunk)?;
        let kept = self.disk.append(&self.path, chunk);
        kept.map_err(|e| ChunkError::Storage(format!("{}: {e}", self.path.display())))?;
        self.tally.count(chunk);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Arrived, ChunkError> {
        let stored = |e: io::Error| ChunkError::Storage(format!("{}: {e}", self.path.display()));
        let complete = self.tally.is_complete();
        if complete && self.announced.bytes == 0 {
            // Nothing came that would have made the file.
            self.disk.append(&self.path, &[]).map_err(stored)?;
        }
        if let Err(error) = self.tally.clone().finish() {
            if complete {
                // It isn't what was announced, and won't become that.
                self.disk.remove(&self.path).map_err(stored)?;
                if self.announced.offset > 0 {
                    return Err(ChunkError::KeptPartAltered);
                }
            }
            return Err(error);
        }
        let file = File::open(&self.path).map_err(stored)?;
        let path = self.path.clone();
        Ok(Arrived {
            announced: self.announced,
            bytes: Box::new(Whole {
                update: SpooledUpdate { path, file },
                disk: self.disk,
                _claim: self.claim,
            }),
        })
    }
}

/// An update that is here as a whole. Unless it is accepted, and has another name by then, its file
/// goes with it.
#[derive(Debug)]
struct Whole {
    update: SpooledUpdate,
    disk: Arc<dyn Disk>,
    /// Given up after the file is gone.
    _claim: Claim,
}

impl UpdateBytes for Whole {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        self.update.open_file()
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.update.path)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if self.update.path.exists() {
            // What stays is removed with its round.
            let _ = self.disk.remove(&self.update.path);
        }
    }
}
