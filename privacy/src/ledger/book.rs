//! The ledgers of many sites in one file: a simulation's, whose sites share one disk.
//!
//! Each line is the very line that a ledger file of its own would have, and names its data set,
//! so that the lines of one data set are a ledger ([`split`]). What is written between
//! [`LedgerBook::begin`] and [`Batch::commit`] is synced together. Until then nothing that was
//! recorded in between may be used: tokens that come of it are as good as durable only once there
//! is a [`Committed`]. Outside of a batch each entry is synced by itself, as in a file of its own.
//!
//! A batch is written in two steps, as a line of a single ledger is: all of it but its last line
//! break, durably, and only then that. So what stands in a file without it was never acknowledged.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Deserialize;

use crate::disk::AnyLedgerStorage;
use crate::ledger::entry::LedgerEntry;
use crate::ledger::file::OpenError;
use crate::ledger::store::LedgerStorage;

/// A book that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It can't be read or repaired.
    #[error("{0}; check the disk")]
    Io(#[from] io::Error),
    /// A line of it names no data set.
    #[error(
        "line {line} is no entry of a ledger: {reason}; nothing may be spent on it: restore it from \
         a backup that ends no earlier"
    )]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The ledger is in use.
    #[error("the ledger of data set \"{0}\" is in use, and two must not spend at once")]
    InUse(String),
}

impl BookError {
    /// The same of the file at this path.
    pub fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => OpenError::Io { path, source },
            Self::Line { line, reason } => OpenError::Damaged { path, line, reason },
            Self::InUse(_) => OpenError::InUse { path },
        }
    }
}

/// Ledgers in one file, each by the name of its data set.
#[derive(Debug)]
pub struct LedgerBook {
    state: Mutex<State>,
}

struct State {
    file: AnyLedgerStorage,
    /// By data set.
    ledgers: BTreeMap<String, Known>,
    /// Lines of the batch that isn't committed, if one was begun.
    batch: Option<Vec<u8>>,
    /// Whether nobody knows any more what is in the file.
    broken: bool,
}

/// What is known of a ledger without reading the file again.
#[derive(Default)]
struct Known {
    in_use: bool,
    /// Its lines as they were when the book was opened.
    found: Vec<u8>,
    /// Whether the file has lines of it besides `found`.
    has_more: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ledgers, broken) = (self.ledgers.len(), self.broken);
        write!(f, "State {{ ledgers: {ledgers}, broken: {broken} }}")
    }
}

/// Entries that are to become durable together. Dropped without [`Batch::commit`], it makes the
/// book unusable: its entries were handed out as written.
#[derive(Debug)]
#[must_use]
pub struct Batch {
    book: Arc<LedgerBook>,
    open: bool,
}

/// That a batch is durable.
#[derive(Debug)]
pub struct Committed(());

/// One ledger of a book.
#[derive(Debug)]
pub struct ChainStorage {
    book: Arc<LedgerBook>,
    data_set: String,
    /// Bytes that were appended and aren't a whole line yet, or weren't asked to last.
    line: Vec<u8>,
}

impl LedgerBook {
    /// Reads a book, and cuts off what was never acknowledged at its end.
    ///
    /// # Errors
    /// [`BookError`] where it can't be read, or isn't one.
    pub fn open(mut file: AnyLedgerStorage) -> Result<Arc<Self>, BookError> {
        let mut bytes = file.read_all()?;
        let is_new = bytes.is_empty();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |last| last + 1);
        if whole < bytes.len() {
            // As in a single ledger, counting an entry too many is safe.
            match LedgerEntry::from_line(&bytes[whole..]) {
                Ok(_) => {
                    file.append(b"\n")?;
                    bytes.push(b'\n');
                }
                Err(_) => {
                    file.truncate_to(whole as u64)?;
                    bytes.truncate(whole);
                }
            }
        }
        // A process that was killed may have written the last lines without syncing them. What is
        // acted on from now on must outlast the machine, too.
        if !is_new {
            file.sync()?;
        }
        Ok(Arc::new(Self {
            state: Mutex::new(State {
                file,
                ledgers: split(&bytes)?
                    .into_iter()
                    .map(|(data_set, found)| {
                        let known = Known {
                            found,
                            ..Known::default()
                        };
                        (data_set, known)
                    })
                    .collect(),
                batch: None,
                broken: false,
            }),
        }))
    }

    /// The ledger of a data set, an empty one if there is none yet, for nobody else as long as this
    /// lives.
    ///
    /// # Errors
    /// [`BookError::InUse`]
    pub fn chain(self: &Arc<Self>, data_set: &str) -> Result<ChainStorage, BookError> {
        let mut state = self.lock();
        let known = state.ledgers.entry(data_set.to_owned()).or_default();
        if mem::replace(&mut known.in_use, true) {
            return Err(BookError::InUse(data_set.to_owned()));
        }
        Ok(ChainStorage {
            book: Arc::clone(self),
            data_set: data_set.to_owned(),
            line: Vec::new(),
        })
    }

    /// The ledger of a data set as it is, without holding it.
    ///
    /// # Errors
    /// What reading the file fails with.
    pub fn read(&self, data_set: &str) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        match state.ledgers.get(data_set) {
            None => Ok(Vec::new()),
            Some(known) if !known.has_more => Ok(known.found.clone()),
            Some(_) => state.lines_of(data_set),
        }
    }

    /// From now on entries become durable together, when the batch is committed.
    ///
    /// # Errors
    /// Where another batch is open.
    pub fn begin(self: &Arc<Self>) -> io::Result<Batch> {
        let mut state = self.lock();
        state.check()?;
        if state.batch.is_some() {
            return Err(io::Error::other("another batch of entries is open"));
        }
        state.batch = Some(Vec::new());
        Ok(Batch {
            book: Arc::clone(self),
            open: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            state.broken = true;
            state
        })
    }
}

impl Batch {
    /// Makes all entries of the batch durable.
    ///
    /// # Errors
    /// What the storage says. Then none of them may be used, and the book takes no others.
    pub fn commit(mut self) -> io::Result<Committed> {
        self.open = false;
        let mut state = self.book.lock();
        state.check()?;
        let lines = state.batch.take().unwrap_or_default();
        state.write(&lines)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.open {
            let mut state = self.book.lock();
            state.broken |= state.batch.take().is_some_and(|lines| !lines.is_empty());
        }
    }
}

impl State {
    fn check(&self) -> io::Result<()> {
        match self.broken {
            true => Err(io::Error::other(
                "an earlier entry couldn't be stored, so nobody knows where the ledgers end",
            )),
            false => Ok(()),
        }
    }

    /// Writes whole lines, durably, the last line break last.
    fn write(&mut self, lines: &[u8]) -> io::Result<Committed> {
        let Some((last, rest)) = lines.split_last() else {
            return Ok(Committed(()));
        };
        self.broken = true;
        self.file.append(rest)?;
        self.file.sync()?;
        self.file.append(&[*last])?;
        self.file.sync()?;
        self.broken = false;
        Ok(Committed(()))
    }

    /// All lines of a data set, those of the open batch included.
    fn lines_of(&mut self, data_set: &str) -> io::Result<Vec<u8>> {
        let mut bytes = self.file.read_all()?;
        bytes.extend(self.batch.iter().flatten());
        let mut all = split(&bytes).map_err(io::Error::other)?;
        Ok(all.remove(data_set).unwrap_or_default())
    }

    fn note_more(&mut self, data_set: &str) {
        if let Some(known) = self.ledgers.get_mut(data_set) {
            known.has_more = true;
        }
    }
}

impl LedgerStorage for ChainStorage {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = self.book.read(&self.data_set)?;
        bytes.extend(&self.line);
        Ok(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.line.extend(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if !self.line.ends_with(b"\n") {
            return Ok(());
        }
        let mut state = self.book.lock();
        state.check()?;
        let line = mem::take(&mut self.line);
        state.note_more(&self.data_set);
        match &mut state.batch {
            Some(batch) => batch.extend(line),
            None => {
                state.write(&line)?;
            }
        }
        Ok(())
    }

    fn truncate_to(&mut self, _: u64) -> io::Result<()> {
        // What could be torn was cut off when the book was opened.
        Err(io::Error::other("a ledger of a book is never cut"))
    }
}

impl Drop for ChainStorage {
    fn drop(&mut self) {
        if let Some(known) = self.book.lock().ledgers.get_mut(&self.data_set) {
            known.in_use = false;
        }
    }
}

/// The ledgers in the bytes of a book, by data set. Whether each is sound is for
/// [`crate::ledger::chain::verify`] to say.
///
/// # Errors
/// [`BookError::Line`] for a line that names no data set, or was cut off.
pub fn split(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, BookError> {
    #[derive(Deserialize)]
    struct Named {
        data_set: String,
    }
    let mut ledgers: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (i, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let damaged = |reason: String| BookError::Line {
            line: i + 1,
            reason,
        };
        if !line.ends_with(b"\n") {
            return Err(damaged("it was cut off".into()));
        }
        let named: Named = serde_json::from_slice(line).map_err(|e| damaged(in_line(&e)))?;
        ledgers.entry(named.data_set).or_default().extend(line);
    }
    Ok(ledgers)
}

/// What is wrong with JSON in one line, whose number is the file's and not the parser's.
fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" line 1 column ", " column ")
}
