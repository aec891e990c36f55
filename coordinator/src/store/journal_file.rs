//! The journal's file: read once, then only added to.

use std::io;
use std::path::Path;

use umbel_privacy::ledger::LedgerStorage;

use super::error::StoreError;
use super::history::History;
use super::journal_line::{self, BadLine, End, Tail};
use super::record::Record;

/// Its name.
pub(super) const JOURNAL: &str = "run.journal";

/// The open journal, and what it says.
pub(super) struct JournalFile {
    pub(super) journal: Box<dyn LedgerStorage + Send>,
    pub(super) history: Option<History>,
    pub(super) end: End,
    /// A write failed: what is stored is no longer known.
    pub(super) unknown_end: bool,
}

impl JournalFile {
    /// Appends a record, once it is certain that it can come next.
    pub(super) fn append(&mut self, folder: &Path, record: Record) -> Result<(), StoreError> {
        History::add(&mut self.history, record.clone()).map_err(StoreError::OutOfOrder)?;
        let written = self.end.seal(&record).map_err(io::Error::other);
        let written = written.and_then(|(line, end)| {
            self.journal.append(line.as_bytes())?;
            self.journal.sync()?;
            self.journal.append(b"\n")?;
            self.journal.sync()?;
            Ok(end)
        });
        match written {
            Ok(end) => {
                self.end = end;
                Ok(())
            }
            Err(source) => {
                // Nothing is read from here any more, so that the history needn't be taken back.
                self.unknown_end = true;
                Err(StoreError::io(&folder.join(JOURNAL))(source))
            }
        }
    }
}

pub(super) fn read_journal(
    folder: &Path,
    journal: &mut Box<dyn LedgerStorage + Send>,
) -> Result<(Option<History>, End), StoreError> {
    let file = folder.join(JOURNAL);
    let bytes = journal.read_all().map_err(StoreError::io(&file))?;
    let damaged = |reason| StoreError::Damaged {
        path: folder.to_owned(),
        reason,
    };
    let read = journal_line::read(&bytes).map_err(|bad| match bad {
        BadLine::Newer(version) => StoreError::Newer {
            path: folder.to_owned(),
            version,
        },
        BadLine::Wrong(reason) => damaged(reason),
    })?;
    let repaired = match read.tail {
        Tail::Clean => Ok(()),
        Tail::Unterminated => journal.append(b"\n").and_then(|()| journal.sync()),
        Tail::Torn { sound_bytes } => {
            tracing::warn!(file = %file.display(), "cut off a torn last line");
            journal
                .truncate_to(sound_bytes)
                .and_then(|()| journal.sync())
        }
    };
    repaired.map_err(StoreError::io(&file))?;
    let history = History::of(read.records).map_err(damaged)?;
    Ok((history, read.end))
}
