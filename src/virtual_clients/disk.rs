//! The disk of a simulated site: a part of the one that all of them share.
//!
//! Its ledger is a chain in the book of all sites' ledgers ([`LedgerBook`]), what it keeps of its
//! answers a line of one file ([`Records`]). Only an update's bytes have a file of their own, while its
//! round is open. No file stays open for a site.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use umbel_client::site_ledger::LedgerPlace;
use umbel_privacy::disk::{AnyLedgerStorage, Content, Disk, RealDisk, UnsyncedDisk};
use umbel_privacy::ledger::LedgerBook;
use umbel_privacy::ledger::book::Batch;
use umbel_privacy::ledger::file::OpenError;

use super::records::{Records, RecordsError, name_of};

/// What all sites of a simulation keep, in its run folder.
#[derive(Debug)]
pub(crate) struct SitesDisk {
    ledgers: PathBuf,
    book: Arc<LedgerBook>,
    answers: Records,
}

/// Why a simulation's sites can't use what they kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SitesDiskError {
    /// The folder of all of it can't be made.
    #[error("folder {}: {source}; the run's folder must be writable", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Ledgers(#[from] OpenError),
    #[error(transparent)]
    Answers(#[from] RecordsError),
}

impl SitesDisk {
    /// Opens the ledgers at this path, and the answers beside.
    ///
    /// # Errors
    /// [`SitesDiskError`] where they can't be used.
    pub(crate) fn open(ledgers: &Path) -> Result<Arc<Self>, SitesDiskError> {
        let folder = ledgers.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|source| SitesDiskError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let book = LedgerBook::open(RealDisk.open_ledger(ledgers)?);
        let book = book.map_err(|e| e.at(ledgers))?;
        let answers = Records::open(folder.join("answers.jsonl"))?;
        Ok(Arc::new(Self {
            ledgers: ledgers.to_owned(),
            book,
            answers,
        }))
    }

    /// Where the ledger of the site of this name is.
    pub(crate) fn place(self: &Arc<Self>, site: &str) -> LedgerPlace {
        LedgerPlace {
            disk: Arc::new(SiteDisk {
                all: Arc::clone(self),
                site: site.into(),
            }),
            path: self.ledgers.clone(),
            data_set: site.to_owned(),
            new_data_set: false,
            taken_up_again: false,
        }
    }

    /// Entries of all sites become durable together, from now on until that is committed.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn begin(&self) -> io::Result<Batch> {
        self.book.begin()
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        self.ledgers.parent().unwrap_or(Path::new("."))
    }

    /// Why a batch couldn't be committed, as a site's own error.
    pub(super) fn error(&self, source: &io::Error) -> OpenError {
        OpenError::Io {
            path: self.ledgers.clone(),
            source: io::Error::new(source.kind(), source.to_string()),
        }
    }

    /// Removes what no site needs any more.
    pub(super) fn tidy_up(&self) {
        if let Err(error) = self.answers.tidy_up() {
            tracing::warn!("a file of the sites' answers can't be removed: {error}");
        }
    }
}

/// One site's part of it.
#[derive(Debug)]
struct SiteDisk {
    all: Arc<SitesDisk>,
    site: Box<str>,
}

/// The longest content that is a record rather than a file.
const RECORD: usize = 4096;

impl Disk for SiteDisk {
    fn open_ledger(&self, path: &Path) -> Result<AnyLedgerStorage, OpenError> {
        let chain = self.all.book.chain(&self.site);
        Ok(Box::new(chain.map_err(|e| e.at(path))?))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        if path == self.all.ledgers {
            return Ok(Box::new(io::Cursor::new(self.all.book.read(&self.site)?)));
        }
        // A record is there until the file that takes its place is.
        match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let record = self.all.answers.get(name_of(path)?).ok_or(e)?;
                Ok(Box::new(io::Cursor::new(String::from(record))))
            }
            file => Ok(Box::new(file?)),
        }
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        // It is made with the first file in it.
        Ok(())
    }

    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
        UnsyncedDisk.write(path, content)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        UnsyncedDisk.append(path, bytes)
    }

    fn keep(&self, from: &Path, to: &Path) -> io::Result<()> {
        UnsyncedDisk.keep(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        UnsyncedDisk.rename(from, to)
    }

    fn settle(&self, _: &Path) -> io::Result<()> {
        // As little of what simulated sites answered is synced as of the files of `UnsyncedDisk`.
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let name = name_of(path)?;
        remove_if_there(path)?;
        self.all.answers.remove(name)
    }

    fn replace(&self, path: &Path, draft: &Path, content: Content<'_>) -> io::Result<()> {
        let name = name_of(path)?;
        let mut short = Short::default();
        if content(&mut short).is_ok()
            && let Ok(text) = str::from_utf8(&short.0)
        {
            self.all.answers.put(name, text)?;
            return remove_if_there(path);
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        self.write(draft, content)?;
        self.rename(draft, path)?;
        self.all.answers.remove(name)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Takes so much of a content as a record may have.
#[derive(Default)]
struct Short(Vec<u8>);

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RECORD {
            return Err(io::Error::other("too long for a record"));
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
