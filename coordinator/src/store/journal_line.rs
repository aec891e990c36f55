//! One line of the journal: a record, its place, and the hashes that chain it to the line
//! before. As in the ledger, a line's `hash` is the SHA-256 of its own bytes without that
//! field.

use serde::{Deserialize, Serialize};
use umbel_proto::message::BlobDigest;

use super::record::{FORMAT_VERSION, Record};

/// What the first line gives as the hash of the one before.
fn start() -> BlobDigest {
    BlobDigest::from([0; 32])
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    version: u32,
    index: u64,
    previous: BlobDigest,
    record: Record,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<BlobDigest>,
}

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    lines: u64,
    hash: BlobDigest,
}

/// Why a line isn't the journal's next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadLine {
    /// A later format.
    Newer(u32),
    /// Anything else, in words.
    Wrong(String),
}

/// What a journal's bytes come to.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) records: Vec<Record>,
    pub(super) end: End,
    pub(super) tail: Tail,
}

/// What stands after the last line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Clean,
    /// A whole line but for its line break.
    Unterminated,
    /// A line that was cut off while it was written. What comes before it is sound.
    Torn {
        sound_bytes: u64,
    },
}

impl Default for End {
    fn default() -> Self {
        Self {
            lines: 0,
            hash: start(),
        }
    }
}

impl End {
    /// The next line, without its line break, and the journal's end after it.
    pub(super) fn seal(&self, record: &Record) -> Result<(String, Self), serde_json::Error> {
        let line = Line {
            version: FORMAT_VERSION,
            index: self.lines,
            previous: self.hash,
            record: record.clone(),
            hash: None,
        };
        let content = serde_json::to_string(&line)?;
        let hash = BlobDigest::of(content.as_bytes());
        let open = content.strip_suffix('}').unwrap_or(&content);
        let next = Self {
            lines: self.lines + 1,
            hash,
        };
        Ok((format!("{open},\"hash\":\"{hash}\"}}"), next))
    }

    /// Reads the next line.
    fn read(&self, line: &[u8]) -> Result<(Record, Self), BadLine> {
        let wrong = |reason: String| BadLine::Wrong(format!("line {}: {reason}", self.lines + 1));
        let text = str::from_utf8(line).map_err(|_| wrong("it isn't UTF-8".into()))?;
        // Looked at first, as a later version may have records unknown here.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let version: Version = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if version.version > FORMAT_VERSION {
            return Err(BadLine::Newer(version.version));
        }
        let line: Line = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let changed = || wrong("its hash doesn't match its content".into());
        let hash = line.hash.ok_or_else(changed)?;
        let ending = format!(",\"hash\":\"{hash}\"}}");
        let content = text.strip_suffix(&ending).ok_or_else(changed)?;
        if !hash.matches(format!("{content}}}").as_bytes()) {
            return Err(changed());
        }
        if (line.version, line.index, line.previous) != (FORMAT_VERSION, self.lines, self.hash) {
            return Err(wrong("it doesn't continue the line before".into()));
        }
        let next = Self {
            lines: self.lines + 1,
            hash,
        };
        Ok((line.record, next))
    }
}

/// Reads a whole journal. A last line that was cut off while it was written is no error.
pub(super) fn read(bytes: &[u8]) -> Result<Journal, BadLine> {
    let sound = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let (lines, rest) = bytes.split_at(sound);
    let mut journal = Journal {
        records: Vec::new(),
        end: End::default(),
        tail: Tail::Clean,
    };
    for line in lines.split_inclusive(|b| *b == b'\n') {
        let (record, end) = journal.end.read(line.strip_suffix(b"\n").unwrap_or(line))?;
        journal.records.push(record);
        journal.end = end;
    }
    if !rest.is_empty() {
        journal.tail = match journal.end.read(rest) {
            Ok((record, end)) => {
                journal.records.push(record);
                journal.end = end;
                Tail::Unterminated
            }
            // It is whole, and written by a later program.
            Err(BadLine::Newer(version)) => return Err(BadLine::Newer(version)),
            Err(BadLine::Wrong(_)) => Tail::Torn {
                sound_bytes: sound as u64,
            },
        };
    }
    Ok(journal)
}
