//! Base models that were fetched before, kept on disk by the SHA-256 of each file: a client that is
//! started again needn't fetch them again.
//!
//! A file is read back only if it still hashes to its name, so that nobody who can write to the
//! folder can change what is trained. It is for its owner's eyes alone, and the least recently used
//! files go when there are too many bytes. A cache that can't be used costs time, and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::message::{BlobDigest, Hello, Instance, Receipt, Results, Task, Update, Welcome};

use crate::clock::ClockReading;
use crate::transport::{Transport, TransportError};

/// A folder of files by digest.
#[derive(Clone, Debug)]
pub struct ModelCache {
    folder: PathBuf,
    most_bytes: u64,
}

impl ModelCache {
    /// The cache in this folder, which is made when the first file comes, of so many bytes at most.
    pub fn new(folder: PathBuf, most_bytes: u64) -> Self {
        Self { folder, most_bytes }
    }

    /// The file of this digest, if it is here and unharmed.
    fn get(&self, digest: &BlobDigest) -> Option<Vec<u8>> {
        let path = self.folder.join(digest.to_string());
        let bytes = fs::read(&path).ok()?;
        if !digest.matches(&bytes) {
            tracing::warn!(path = %path.display(), "a cached file of a base model was altered; fetching it again");
            // It would be found altered again.
            let _ = fs::remove_file(&path);
            return None;
        }
        let used = FileTimes::new().set_modified(SystemTime::now());
        let _ = File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_times(used));
        Some(bytes)
    }

    /// Keeps a file, and lets others go for it.
    fn keep(&self, digest: &BlobDigest, bytes: &[u8]) {
        if bytes.len() as u64 > self.most_bytes {
            return;
        }
        let kept = self
            .make_room(bytes.len() as u64)
            .and_then(|()| write(&self.folder, &digest.to_string(), bytes));
        if let Err(error) = kept {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "a file of the base model can't be kept; it will be fetched again");
        }
    }

    /// Removes the least recently used files until there is room for so many bytes, and what a
    /// process that was killed left half-written.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let facts = entry.metadata()?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.parse::<BlobDigest>().is_ok() && facts.is_file() {
                files.push((facts.modified()?, facts.len(), entry.path()));
            } else if name.ends_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            }
        }
        files.sort();
        let mut all: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if all.saturating_add(bytes) <= self.most_bytes {
                break;
            }
            fs::remove_file(path)?;
            all = all.saturating_sub(len);
        }
        Ok(())
    }
}

/// How the name of a file ends that isn't whole yet.
const UNFINISHED: &str = ".unfinished";

/// Writes a file as a whole or not at all. What a crash leaves of it has another digest.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!("{name}.{}{UNFINISHED}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&draft)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&draft, folder.join(name)));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// A way to the coordinator that looks into the cache before it fetches a base model's file.
pub struct Cached<T> {
    inner: T,
    cache: ModelCache,
    /// The base model's files, as far as they were announced on joining: parameters of rounds
    /// aren't kept.
    files: BTreeSet<BlobDigest>,
}

impl<T> Cached<T> {
    /// Looks into this cache.
    pub fn new(inner: T, cache: ModelCache) -> Self {
        Self {
            inner,
            cache,
            files: BTreeSet::new(),
        }
    }
}

impl<T: Transport> Transport for Cached<T> {
    fn instance(&self) -> Instance {
        self.inner.instance()
    }

    fn join(&mut self, hello: &Hello) -> Result<Welcome, TransportError> {
        let welcome = self.inner.join(hello)?;
        self.files = welcome.files.iter().map(|file| file.digest).collect();
        Ok(welcome)
    }

    fn next_task(&mut self) -> Result<Task, TransportError> {
        self.inner.next_task()
    }

    fn blob(&mut self, digest: &BlobDigest) -> Result<Arc<[u8]>, TransportError> {
        if !self.files.contains(digest) {
            return self.inner.blob(digest);
        }
        if let Some(bytes) = self.cache.get(digest) {
            return Ok(bytes.into());
        }
        let bytes = self.inner.blob(digest)?;
        self.cache.keep(digest, &bytes);
        Ok(bytes)
    }

    fn submit(&mut self, update: &Update) -> Result<Receipt, TransportError> {
        self.inner.submit(update)
    }

    fn countersign(
        &mut self,
        signed: &Countersignature,
    ) -> Result<Option<LedgerPoint>, TransportError> {
        self.inner.countersign(signed)
    }

    fn results(&mut self) -> Result<Option<Results>, TransportError> {
        self.inner.results()
    }

    fn clock(&self) -> Option<ClockReading> {
        self.inner.clock()
    }

    fn pause(&mut self, pause: Duration) {
        self.inner.pause(pause);
    }

    fn leave(&mut self, why: Departure) {
        self.inner.leave(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: u8, bytes: usize) -> (BlobDigest, Vec<u8>) {
        let bytes = vec![content; bytes];
        (BlobDigest::of(&bytes), bytes)
    }

    fn cache(most: u64) -> (tempfile::TempDir, ModelCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = ModelCache::new(dir.path().join("models"), most);
        (dir, cache)
    }

    #[test]
    fn what_was_kept_is_found_again_and_only_its_owner_can_read_it() {
        let (_dir, cache) = cache(1_000);
        let (digest, bytes) = file(1, 100);
        assert_eq!(cache.get(&digest), None);
        cache.keep(&digest, &bytes);
        assert_eq!(cache.get(&digest), Some(bytes));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = cache.folder.join(digest.to_string());
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_was_altered_or_torn_is_not_used() {
        let (_dir, cache) = cache(1_000);
        let (digest, bytes) = file(1, 100);
        let path = cache.folder.join(digest.to_string());
        for spoilt in [&bytes[..99], &[2; 100], b""] {
            cache.keep(&digest, &bytes);
            fs::write(&path, spoilt).unwrap();
            assert_eq!(cache.get(&digest), None);
            assert!(!path.exists());
        }
    }

    #[test]
    fn the_least_recently_used_go_when_there_are_too_many_bytes() {
        let (_dir, cache) = cache(250);
        let all = [1, 2, 3].map(|n| file(n, 100));
        for (age, (digest, bytes)) in all[..2].iter().enumerate() {
            cache.keep(digest, bytes);
            let path = cache.folder.join(digest.to_string());
            let then = SystemTime::now() - std::time::Duration::from_secs(1_000 - age as u64);
            let file = File::options().append(true).open(path).unwrap();
            file.set_times(FileTimes::new().set_modified(then)).unwrap();
        }
        // The first is the older one, until it is used.
        assert!(cache.get(&all[0].0).is_some());
        cache.keep(&all[2].0, &all[2].1);
        let found = all
            .each_ref()
            .map(|(digest, _)| cache.get(digest).is_some());
        assert_eq!(found, [true, false, true]);
        // One that is larger than all room pushes nobody out.
        let (digest, bytes) = file(4, 251);
        cache.keep(&digest, &bytes);
        assert_eq!(cache.get(&digest), None);
        assert!(cache.get(&all[2].0).is_some());
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let (_dir, cache) = cache(1_000);
        fs::create_dir_all(&cache.folder).unwrap();
        let left = cache.folder.join(format!("abc.7{UNFINISHED}"));
        fs::write(&left, b"half").unwrap();
        let (digest, bytes) = file(1, 100);
        cache.keep(&digest, &bytes);
        assert!(!left.exists());
    }
}
