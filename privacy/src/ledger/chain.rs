//! Checking a ledger's bytes: every entry sound, in its place, and linked to the one
//! before. Needs nothing but the bytes, so that anybody can do it anywhere.

use crate::ledger::entry::{InvalidEntry, LedgerEntry};
use crate::ledger::hash::EntryHash;

/// A ledger whose entries are all sound.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedChain {
    /// The entries in their order.
    pub entries: Vec<LedgerEntry>,
    /// What comes after the last line break.
    pub tail: Tail,
}

/// What comes after the last line break of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing: the ledger ends as it should.
    Clean,
    /// A sound entry, counted among the entries, of which only the line break is missing.
    Unterminated,
    /// A part of an entry whose writing was interrupted. The line break is written last,
    /// after the entry is durable, so that its spending was never acknowledged, and it may
    /// be cut off.
    Torn {
        /// Bytes before it.
        sound_bytes: u64,
        /// Bytes that it has.
        torn_bytes: u64,
    },
}

/// A ledger that isn't what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "ledger line {line}: {damage}; nothing may be spent on this ledger: \
     restore it from a backup that ends no earlier"
)]
pub struct ChainError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub damage: Damage,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is no sound entry by itself.
    #[error("{0}")]
    Entry(#[from] InvalidEntry),
    /// It isn't where its index says.
    #[error(
        "it holds entry {found} where entry {expected} belongs: lines were removed, added or moved"
    )]
    Index {
        /// The index that it should have.
        expected: u64,
        /// The index that it has.
        found: u64,
    },
    /// It doesn't follow the line before.
    #[error("it doesn't continue the line before: one of the two belongs to another ledger")]
    Link,
}

impl VerifiedChain {
    /// The hash of the last entry; [`EntryHash::START`] of an empty ledger.
    pub fn head(&self) -> EntryHash {
        self.entries
            .last()
            .map_or(EntryHash::START, |entry| entry.hash)
    }
}

/// Checks the bytes of a whole ledger. A last line that was cut off while it was written
/// is no error but a [`Tail`].
///
/// # Errors
/// [`ChainError`] naming the first line that isn't what was written there.
pub fn verify(bytes: &[u8]) -> Result<VerifiedChain, ChainError> {
    let sound_bytes = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |last| last + 1);
    let (lines, rest) = bytes.split_at(sound_bytes);
    let mut chain = VerifiedChain {
        entries: Vec::new(),
        tail: Tail::Clean,
    };
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        chain.extend(line.strip_suffix(b"\n").unwrap_or(line))?;
    }
    if !rest.is_empty() {
        // An entry complete but for its line break is kept: counting one too many is safe.
        chain.tail = match chain.extend(rest) {
            Ok(()) => Tail::Unterminated,
            Err(_) => Tail::Torn {
                sound_bytes: sound_bytes as u64,
                torn_bytes: rest.len() as u64,
            },
        };
    }
    Ok(chain)
}

impl VerifiedChain {
    /// Adds the entry of the next line, if it is sound and belongs here.
    fn extend(&mut self, line: &[u8]) -> Result<(), ChainError> {
        let expected = self.entries.len() as u64;
        let damaged = |damage| ChainError {
            line: expected + 1,
            damage,
        };
        let entry = LedgerEntry::from_line(line).map_err(|error| damaged(error.into()))?;
        if entry.index != expected {
            return Err(damaged(Damage::Index {
                expected,
                found: entry.index,
            }));
        }
        if entry.previous_hash != self.head() {
            return Err(damaged(Damage::Link));
        }
        self.entries.push(entry);
        Ok(())
    }
}
