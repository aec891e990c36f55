//! Writing new folders and files, and never over anything that is there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::InitError;

/// A folder that was made here.
pub(super) struct NewFolder(PathBuf);

impl NewFolder {
    /// Makes `path`, with all folders above it. An empty folder may be there already.
    pub(super) fn create(path: &Path) -> Result<Self, InitError> {
        fs::create_dir_all(path).map_err(failure(path))?;
        let mut entries = fs::read_dir(path).map_err(failure(path))?;
        if entries.next().is_some() {
            return Err(InitError::Exists(path.to_owned()));
        }
        Ok(Self(path.to_owned()))
    }

    /// Makes a folder in this one.
    pub(super) fn folder(&self, name: &str) -> Result<Self, InitError> {
        let path = self.0.join(name);
        fs::create_dir(&path).map_err(failure(&path))?;
        Ok(Self(path))
    }

    /// Where the folder is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a new file.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), InitError> {
        self.write_new(name, text, OpenOptions::new().write(true).create_new(true))
    }

    /// Writes a new file that only its owner may read.
    pub(super) fn write_secret(&self, name: &str, text: &str) -> Result<(), InitError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        self.write_new(name, text, &options)
    }

    fn write_new(&self, name: &str, text: &str, options: &OpenOptions) -> Result<(), InitError> {
        let path = self.0.join(name);
        let mut file = options.open(&path).map_err(failure(&path))?;
        file.write_all(text.as_bytes()).map_err(failure(&path))?;
        file.sync_all().map_err(failure(&path))
    }
}

fn failure(path: &Path) -> impl Fn(io::Error) -> InitError {
    move |source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(path.to_owned()),
        _ => InitError::Write {
            path: path.to_owned(),
            source,
        },
    }
}
