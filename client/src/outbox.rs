//! The last update of a run, kept beside the site's ledger until it isn't needed any more.
//!
//! An entry of the ledger pays for one update: for its bytes. So they are here, durably,
//! before the first of them leaves, and a client that is started again sends these and no
//! others. There is one file for each run, plan and data set: a line that says what was
//! answered, then the bytes of the last answer. It is replaced as a whole or not at all.
//!
//! Before a round's entry is written, the outbox says which round it will be for and where the
//! ledger stands. A client that died while it trained finds that and no bytes: so none have left,
//! and the entry still pays for that round (`privacy/proofs/resume.md`).

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use umbel_privacy::disk::Disk;
use umbel_privacy::ledger::{EntryHash, ResultJournal};
use umbel_proto::message::BlobDigest;

/// Where a run's answers are kept.
#[derive(Debug)]
pub(crate) struct Outbox {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    /// `None` as long as there is no file.
    record: Option<Record>,
}

/// Whose answers an outbox holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    /// The run.
    pub run: String,
    /// Digest of its plan.
    pub plan: BlobDigest,
    /// The ledger's name for the data.
    pub data_set: String,
}

/// The first line of an outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    owner: Owner,
    /// Rounds answered so far.
    answered: u32,
    #[serde(default)]
    last: Option<Answer>,
    /// What is about to be paid for, or is paid for and not yet answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Begun>,
}

/// A round that a client began to pay and to train for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begun {
    /// The round.
    pub round: u32,
    /// Digest of the parameters that it begins with.
    pub parameters: BlobDigest,
    /// Where the ledger stood before the round's entry.
    pub ledger: EntryHash,
}

/// What was answered in the last round that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// The round.
    pub round: u32,
    /// Digest of the parameters that it began with.
    pub parameters: BlobDigest,
    /// Digest of the update.
    pub update: BlobDigest,
    /// Whether the update's bytes are still here.
    pub kept: bool,
}

/// An outbox that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// It isn't what was written.
    #[error(
        "outbox {}: {reason}; nobody knows any more what this run was given, so nothing is sent; \
         put the file back, or have the run started again under another run.name, which is \
         charged again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It can't be written.
    #[error(
        "outbox {} can't be written: {source}; nothing was sent. The folder of policy.ledger must \
         be writable, and have room for an update",
        path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The longest first line, in bytes: names are limited, digests have a length.
const LONGEST_LINE: u64 = 64 * 1024;

impl Outbox {
    /// The outbox of this owner beside this ledger. Nothing is written yet.
    ///
    /// # Errors
    /// [`OutboxError`] where there is a file that can't be understood.
    pub(crate) fn open(
        ledger: &Path,
        owner: &Owner,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OutboxError> {
        let path = place(ledger, owner);
        let record = read_record(&*disk, &path).map_err(|e| damaged(&path, e))?;
        match &record {
            Some(record) if record.owner != *owner => {
                Err(damaged(&path, "it belongs to another run or data set"))
            }
            _ => Ok(Self { path, disk, record }),
        }
    }

    /// Makes sure that the machine has what was read, should it go down: a ledger's entry that is written
    /// because of it lasts.
    ///
    /// # Errors
    /// [`OutboxError`] where that can't be had; then nothing must be paid for.
    pub(crate) fn settle(&self) -> Result<(), OutboxError> {
        match self.record {
            Some(_) => self.disk.settle(&self.path).map_err(|e| self.unwritable(e)),
            None => Ok(()),
        }
    }

    /// Whether anything was ever kept for this owner.
    pub(crate) fn exists(&self) -> bool {
        self.record.is_some()
    }

    /// Rounds answered so far.
    pub(crate) fn answered(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.answered)
    }

    /// The last answer.
    pub(crate) fn last(&self) -> Option<Answer> {
        self.record.as_ref().and_then(|record| record.last)
    }

    /// Makes the file of a run that wasn't answered yet.
    ///
    /// # Errors
    /// [`OutboxError`] where it can't be written.
    pub(crate) fn begin(&mut self, owner: &Owner) -> Result<(), OutboxError> {
        let record = Record {
            owner: owner.clone(),
            answered: 0,
            last: None,
            begun: None,
        };
        self.replace(record, &[])
    }

    /// Keeps an update. When this returns, it may be sent.
    ///
    /// # Errors
    /// [`OutboxError`] where it can't be written; then nothing must be sent.
    pub(crate) fn keep(
        &mut self,
        owner: &Owner,
        (round, parameters): (u32, BlobDigest),
        update: &[u8],
    ) -> Result<(), OutboxError> {
        let again = self.last().is_some_and(|last| last.round == round);
        let record = Record {
            owner: owner.clone(),
            answered: self.answered().saturating_add(u32::from(!again)),
            last: Some(Answer {
                round,
                parameters,
                update: BlobDigest::of(update),
                kept: true,
            }),
            begun: None,
        };
        self.replace(record, update)
    }

    /// Notes for which round the ledger's next entry will be. The bytes of the last answer are
    /// given up by that.
    ///
    /// # Errors
    /// [`OutboxError`] where it can't be written; then nothing must be paid for.
    pub(crate) fn announce(&mut self, owner: &Owner, begun: Begun) -> Result<(), OutboxError> {
        let mut last = self.last();
        if let Some(last) = &mut last {
            last.kept = false;
        }
        let record = Record {
            owner: owner.clone(),
            answered: self.answered(),
            last,
            begun: Some(begun),
        };
        self.replace(record, &[])
    }

    /// The round that was begun and isn't answered.
    pub(crate) fn begun(&self) -> Option<Begun> {
        self.record.as_ref().and_then(|record| record.begun)
    }

    /// The bytes that were kept for this round from these parameters, if they are still here.
    ///
    /// # Errors
    /// [`OutboxError`] where the file isn't what was written.
    pub(crate) fn update(
        &self,
        round: u32,
        parameters: &BlobDigest,
    ) -> Result<Option<Vec<u8>>, OutboxError> {
        match self.last() {
            Some(last) if last.kept && (last.round, last.parameters) == (round, *parameters) => {
                let bytes = read_update(&*self.disk, &self.path);
                let bytes = bytes.map_err(|e| damaged(&self.path, e))?;
                if last.update.matches(&bytes) {
                    Ok(Some(bytes))
                } else {
                    Err(damaged(&self.path, "its update was altered"))
                }
            }
            _ => Ok(None),
        }
    }

    /// The run is over: the bytes aren't needed any more, only what was answered.
    ///
    /// # Errors
    /// [`OutboxError`] where the file can't be written.
    pub(crate) fn drop_bytes(&mut self) -> Result<(), OutboxError> {
        let Some(mut record) = self.record.clone() else {
            return Ok(());
        };
        if let Some(last) = &mut record.last {
            last.kept = false;
        }
        record.begun = None;
        self.replace(record, &[])
    }

    /// The run is over, and nothing about it needs to be known.
    ///
    /// # Errors
    /// [`OutboxError`] where the file can't be removed.
    pub(crate) fn remove(&mut self) -> Result<(), OutboxError> {
        if self.record.take().is_some() {
            self.disk
                .remove(&self.path)
                .map_err(|e| self.unwritable(e))?;
            // It fails where other runs have something there, and may.
            let _ = self.path.parent().map(fs::remove_dir);
        }
        Ok(())
    }

    fn replace(&mut self, record: Record, update: &[u8]) -> Result<(), OutboxError> {
        self.write(&record, update)
            .map_err(|e| self.unwritable(e))?;
        self.record = Some(record);
        Ok(())
    }

    fn unwritable(&self, source: io::Error) -> OutboxError {
        OutboxError::Unwritable {
            path: self.path.clone(),
            source,
        }
    }

    fn write(&self, record: &Record, update: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        self.disk.make_folder(folder)?;
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let unfinished = self.path.with_extension("unfinished");
        self.disk.replace(&self.path, &unfinished, &|out| {
            out.write_all(&line)?;
            out.write_all(update)
        })
    }
}

/// An entry's result is the update's bytes. They replace the note that their round was begun, in
/// one step.
impl ResultJournal for Outbox {
    fn has_result(&self, _: &EntryHash) -> io::Result<bool> {
        Ok(self.begun().is_none())
    }
}

/// `ledger.jsonl.outbox/` and a name that no other run, plan or data set has.
fn place(ledger: &Path, owner: &Owner) -> PathBuf {
    let mut folder = ledger.file_name().unwrap_or_default().to_owned();
    folder.push(".outbox");
    let key = [owner.plan.as_bytes(), owner.data_set.as_bytes()].concat();
    ledger
        .with_file_name(folder)
        .join(BlobDigest::of(&key).to_string())
}

fn damaged(path: &Path, reason: impl ToString) -> OutboxError {
    OutboxError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// The first line; `None` where there is no file.
fn read_record(disk: &dyn Disk, path: &Path) -> io::Result<Option<Record>> {
    match disk.read(path) {
        Ok(file) => {
            let (record, _) = split(file)?;
            Ok(Some(record))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What follows the first line.
fn read_update(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let (_, mut rest) = split(disk.read(path)?)?;
    let mut bytes = Vec::new();
    rest.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn split(file: Box<dyn Read>) -> io::Result<(Record, impl Read)> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line)?, reader))
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
