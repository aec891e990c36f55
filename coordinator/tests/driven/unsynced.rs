//! What a machine that goes down takes with it: whatever its processes wrote and nobody synced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file that isn't on the disk as it looks.
#[derive(Debug)]
enum Volatile {
    /// Bytes of it aren't; the disk has this content for certain, or no such file.
    Content(Option<Vec<u8>>),
    /// Its content is, but it may be there or not: the disk has this for certain.
    Name(Option<Vec<u8>>),
    /// It has its name from a file whose folder wasn't synced after that: it may be the other again.
    Renamed {
        /// What the disk has of this name for certain.
        was: Option<Vec<u8>>,
        /// The name before, and what the disk has of it for certain.
        from: (PathBuf, Option<Vec<u8>>),
    },
}

impl Volatile {
    /// What the disk has for certain.
    fn durable(self) -> Option<Vec<u8>> {
        match self {
            Self::Content(durable) | Self::Name(durable) => durable,
            Self::Renamed { was, .. } => was,
        }
    }
}

/// The files of a machine that would change if it went down now.
#[derive(Debug, Default)]
pub struct Unsynced(Mutex<BTreeMap<PathBuf, Volatile>>);

impl Unsynced {
    /// Bytes are about to be added to a file, or taken from it, without being synced.
    pub fn content_changes(&self, path: &Path) {
        let mut files = self.lock();
        let durable = durable_of(&mut files, path);
        files.insert(path.to_owned(), Volatile::Content(durable));
    }

    /// A file is about to be made with synced content, or removed; its folder isn't synced.
    pub fn name_changes(&self, path: &Path) {
        let mut files = self.lock();
        let durable = durable_of(&mut files, path);
        files.insert(path.to_owned(), Volatile::Name(durable));
    }

    /// A file was synced.
    pub fn is_synced(&self, path: &Path) {
        self.lock().remove(path);
    }

    /// A file is about to get another name, and its folder isn't synced.
    pub fn is_about_to_be_renamed(&self, from: &Path, to: &Path) {
        let mut files = self.lock();
        let there = durable_of(&mut files, from);
        let was = durable_of(&mut files, to);
        let from = (from.to_owned(), there);
        files.insert(to.to_owned(), Volatile::Renamed { was, from });
    }

    /// A file has another name, and its folder was synced.
    pub fn is_renamed(&self, from: &Path, to: &Path) {
        let mut files = self.lock();
        let moved = files.remove(from);
        files.remove(to);
        if let Some(Volatile::Content(durable)) = moved {
            files.insert(to.to_owned(), Volatile::Content(durable));
        }
        let folder = to.parent();
        files.retain(|path, file| path.parent() != folder || matches!(file, Volatile::Content(_)));
    }

    /// The machine goes down: of what wasn't synced all, nothing or a part is there afterwards, and
    /// of bytes that are missing zeros may be. `draw` gives a number below another.
    #[allow(dead_code, reason = "not every test has machines")]
    pub fn lose(&self, draw: &mut dyn FnMut(u64) -> u64) {
        for (path, file) in std::mem::take(&mut *self.lock()) {
            let now = fs::read(&path).ok();
            let left = match file {
                Volatile::Renamed { was, from } => match draw(2) {
                    0 => now.clone(),
                    _ => {
                        // It has its old name still, unless another file has that by now.
                        if !from.0.exists() {
                            put(&from.0, from.1);
                        }
                        was
                    }
                },
                Volatile::Name(durable) => match draw(2) {
                    0 => now.clone(),
                    _ => durable,
                },
                Volatile::Content(durable) => match (draw(4), &now) {
                    (0, _) => now.clone(),
                    (1, _) | (_, None) => durable,
                    (part, Some(now)) => {
                        let sure = durable.map_or(0, |durable| durable.len()).min(now.len());
                        let kept = sure + draw((now.len() - sure) as u64 + 1) as usize;
                        let mut left = now[..kept].to_vec();
                        if part == 2 {
                            left.resize(now.len(), 0);
                        }
                        Some(left)
                    }
                },
            };
            if left != now {
                put(&path, left);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Volatile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the disk has of a file for certain, which is to be noted anew.
fn durable_of(files: &mut BTreeMap<PathBuf, Volatile>, path: &Path) -> Option<Vec<u8>> {
    match files.remove(path) {
        None => fs::read(path).ok(),
        Some(file) => file.durable(),
    }
}

fn put(path: &Path, content: Option<Vec<u8>>) {
    match content {
        Some(bytes) => fs::write(path, bytes),
        None => match fs::remove_file(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        },
    }
    .expect("a test's folder");
}
