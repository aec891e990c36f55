//! What simulated sites keep of their answers, in one file rather than one a site.
//!
//! Each change is a line: a file's name and its new content, or that it is gone. Nothing is synced:
//! it survives the end of the process, not of the machine, as other files of a simulation's sites.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Short texts by name, and the file that has them.
#[derive(Debug)]
pub(super) struct Records {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes in it.
    length: u64,
    texts: BTreeMap<String, Box<str>>,
}

/// Records that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    #[error("{}: {source}; the run's folder must be writable", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Without it nobody knows for which rounds a site paid and didn't answer.
    #[error(
        "{}: line {line} isn't what a site kept: {reason}; restore the file as the run left it, or \
         begin the run anew, without --resume", path.display()
    )]
    Damaged {
        path: PathBuf,
        /// From 1.
        line: usize,
        reason: String,
    },
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    name: &'a str,
    /// `None` if it is gone.
    text: Option<std::borrow::Cow<'a, str>>,
}

impl Records {
    /// Reads what is in a file, and goes on with it. A line that was cut off at the end never counted.
    ///
    /// # Errors
    /// [`RecordsError`] where it can't be opened, or isn't one of these.
    pub(super) fn open(path: PathBuf) -> Result<Self, RecordsError> {
        let failed = |source| RecordsError::Io {
            path: path.clone(),
            source,
        };
        let found = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            found => found.map_err(failed)?,
        };
        let whole = found.iter().rposition(|byte| *byte == b'\n');
        let whole = &found[..whole.map_or(0, |last| last + 1)];
        let mut texts = BTreeMap::new();
        for (i, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = serde_json::from_slice(line);
            let Line { name, text } =
                line.map_err(|reason: serde_json::Error| RecordsError::Damaged {
                    path: path.clone(),
                    line: i + 1,
                    // The parser was given one line, and says that it is the first.
                    reason: reason.to_string().replace(" line 1 column ", " column "),
                })?;
            match text {
                Some(text) => texts.insert(name.to_owned(), text.into()),
                None => texts.remove(name),
            };
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        let length = whole.len() as u64;
        file.set_len(length).map_err(failed)?;
        Ok(Self {
            path,
            state: Mutex::new(State {
                file,
                length,
                texts,
            }),
        })
    }

    /// The text of this name.
    pub(super) fn get(&self, name: &str) -> Option<Box<str>> {
        self.lock().texts.get(name).cloned()
    }

    /// Replaces it.
    ///
    /// # Errors
    /// What the system says; then the old one counts.
    pub(super) fn put(&self, name: &str, text: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.write(name, Some(text))?;
        state.texts.insert(name.to_owned(), text.into());
        Ok(())
    }

    /// Removes it, and the file with the last of them.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        if state.texts.contains_key(name) {
            state.write(name, None)?;
            state.texts.remove(name);
        }
        Ok(())
    }

    /// Removes the file, if nothing is in it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn tidy_up(&self) -> io::Result<()> {
        match self.lock().texts.is_empty() {
            true => fs::remove_file(&self.path),
            false => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A text is noted after its line was written, by code that doesn't panic in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, name: &str, text: Option<&str>) -> io::Result<()> {
        let text = text.map(Into::into);
        let mut line = serde_json::to_vec(&Line { name, text })?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        match written {
            Ok(()) => self.length += line.len() as u64,
            // Half a line would spoil the next one.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// The name of a file among others of its folder.
pub(super) fn name_of(path: &Path) -> io::Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| io::Error::other("a file without a name"))
}
