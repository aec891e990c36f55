//! Why a run's store can't be used.

use std::io;
use std::path::{Path, PathBuf};

use super::record::FORMAT_VERSION;

/// Why a run's store can't be used. Nothing is published that it doesn't hold.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file can't be read or written.
    #[error("{}: {source}; is there space, and may you write there?", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It isn't what was written.
    #[error(
        "the journal in {} is damaged: {reason}; put a sound copy back, or begin anew with --new, \
         which is charged anew", path.display()
    )]
    Damaged {
        /// The journal's folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A later format.
    #[error(
        "the journal in {} has format version {version}, and this program knows version \
         {FORMAT_VERSION}; update it, or go on with the program that began the run", path.display()
    )]
    Newer {
        /// The journal's folder.
        path: PathBuf,
        /// The version.
        version: u32,
    },
    /// Another process has it.
    #[error("the journal in {} is in use by another process; wait until that one ends", path.display())]
    InUse {
        /// The journal's folder.
        path: PathBuf,
    },
    /// Something that can't come next.
    #[error("the run's journal refuses what can't come next: {0}")]
    OutOfOrder(String),
    /// A write failed before.
    #[error(
        "an earlier write to the run's journal failed, so that its end isn't known; start again to \
         go on from what is stored"
    )]
    UnknownEnd,
}

impl StoreError {
    /// A file that can't be read or written.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
