//! Cutting blobs into chunks for the wire, and putting them together again.
//!
//! A [`BlobAssembler`] trusts nobody: it takes no more bytes than were announced, takes
//! no announcement above its limit, reserves memory only as data come in, and hands out
//! nothing that doesn't hash to its name.

use sha2::{Digest as _, Sha256};

use crate::message::BlobDigest;

/// The most bytes of a blob that one message holds: 256 KiB.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// The chunks of `blob` from `offset` on, each with the offset at which it begins.
///
/// There is always at least one, if only an empty one, so that the receiver learns of an
/// empty blob. An offset behind the end counts as the end.
pub fn chunks(blob: &[u8], offset: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let start = usize::try_from(offset).map_or(blob.len(), |offset| offset.min(blob.len()));
    let rest = blob.get(start..).unwrap_or_default();
    let empty = rest.is_empty().then_some(rest);
    rest.chunks(CHUNK_BYTES)
        .chain(empty)
        .scan(start as u64, |next, chunk| {
            let at = *next;
            *next += chunk.len() as u64;
            Some((at, chunk))
        })
}

/// Why a blob can't be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// More is announced than the receiver takes.
    #[error("{announced} bytes are announced, but at most {most} are accepted here")]
    TooLong {
        /// What the sender announces.
        announced: u64,
        /// What the receiver takes.
        most: u64,
    },
    /// The chunks add up to more than was announced.
    #[error("more than the announced {announced} bytes came")]
    Overrun {
        /// What the sender announced.
        announced: u64,
    },
    /// A message holds more than [`CHUNK_BYTES`].
    #[error("one message holds {found} bytes; {CHUNK_BYTES} is the most")]
    ChunkTooLong {
        /// How many it holds.
        found: usize,
    },
    /// The stream ended early.
    #[error("only {received} of the announced {announced} bytes came; send all of them")]
    Incomplete {
        /// What came.
        received: u64,
        /// What the sender announced.
        announced: u64,
    },
    /// The bytes aren't the blob that was named.
    #[error("the bytes hash to {found}, not to {expected} as announced; they were altered")]
    Altered {
        /// What they hash to.
        found: BlobDigest,
        /// What they should hash to.
        expected: BlobDigest,
    },
    /// The bytes aren't the blob that was named, and a part of them was kept from an earlier upload:
    /// a machine that went down may have lost that. It is thrown away.
    #[error(
        "what was kept of an earlier upload isn't what came, so that it was thrown away; begin at \
         the first byte"
    )]
    KeptPartAltered,
    /// What came can't be kept on disk.
    #[error("it can't be stored: {0}")]
    Storage(String),
    /// There isn't enough memory.
    #[error("not enough memory for a blob of {announced} bytes; {received} of them came")]
    Memory {
        /// What came.
        received: u64,
        /// What the sender announced.
        announced: u64,
    },
}

/// What is known of a blob on its way in, wherever its bytes go: how many came, and what they hash
/// to.
#[derive(Clone, Debug)]
pub struct Tally {
    digest: BlobDigest,
    announced: u64,
    received: u64,
    hasher: Sha256,
}

impl Tally {
    /// Gets ready for a blob of `announced` bytes, of which `most` would be taken.
    ///
    /// # Errors
    /// [`ChunkError::TooLong`] if more is announced than is taken.
    pub fn new(digest: BlobDigest, announced: u64, most: u64) -> Result<Self, ChunkError> {
        if announced > most {
            return Err(ChunkError::TooLong { announced, most });
        }
        Ok(Self {
            digest,
            announced,
            received: 0,
            hasher: Sha256::new(),
        })
    }

    /// The bytes that came: the offset at which a broken transfer goes on.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The length of the whole blob, as announced.
    pub fn announced(&self) -> u64 {
        self.announced
    }

    /// Whether every announced byte came.
    pub fn is_complete(&self) -> bool {
        self.received == self.announced
    }

    /// Whether the next chunk may be taken.
    ///
    /// # Errors
    /// [`ChunkError`] for a chunk that is too long by itself or in sum.
    pub fn admit(&self, chunk: &[u8]) -> Result<(), ChunkError> {
        if chunk.len() > CHUNK_BYTES {
            return Err(ChunkError::ChunkTooLong { found: chunk.len() });
        }
        if chunk.len() as u64 > self.announced.saturating_sub(self.received) {
            return Err(ChunkError::Overrun {
                announced: self.announced,
            });
        }
        Ok(())
    }

    /// Counts a chunk that was admitted, and that is kept now.
    pub fn count(&mut self, chunk: &[u8]) {
        self.received += chunk.len() as u64;
        self.hasher.update(chunk);
    }

    /// Whether what came is the blob.
    ///
    /// # Errors
    /// [`ChunkError::Incomplete`] or [`ChunkError::Altered`].
    pub fn finish(self) -> Result<(), ChunkError> {
        if !self.is_complete() {
            return Err(ChunkError::Incomplete {
                received: self.received,
                announced: self.announced,
            });
        }
        let found = BlobDigest::from(<[u8; 32]>::from(self.hasher.finalize()));
        if found != self.digest {
            return Err(ChunkError::Altered {
                found,
                expected: self.digest,
            });
        }
        Ok(())
    }
}

/// A blob on its way into memory.
#[derive(Clone, Debug)]
pub struct BlobAssembler {
    tally: Tally,
    bytes: Vec<u8>,
}

impl BlobAssembler {
    /// Gets ready for a blob of `announced` bytes, of which `most` would be taken.
    ///
    /// # Errors
    /// [`ChunkError::TooLong`] if more is announced than is taken.
    pub fn new(digest: BlobDigest, announced: u64, most: u64) -> Result<Self, ChunkError> {
        Ok(Self {
            tally: Tally::new(digest, announced, most)?,
            bytes: Vec::new(),
        })
    }

    /// The bytes that are here: the offset at which a broken transfer goes on.
    pub fn received(&self) -> u64 {
        self.tally.received()
    }

    /// The length of the whole blob, as announced.
    pub fn announced(&self) -> u64 {
        self.tally.announced()
    }

    /// Whether every announced byte is here.
    pub fn is_complete(&self) -> bool {
        self.tally.is_complete()
    }

    /// Adds the next chunk.
    ///
    /// # Errors
    /// [`ChunkError`] for a chunk that is too long by itself or in sum, and where memory
    /// runs out. The assembler is as before, then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), ChunkError> {
        self.tally.admit(chunk)?;
        self.make_room(chunk.len())?;
        self.bytes.extend_from_slice(chunk);
        self.tally.count(chunk);
        Ok(())
    }

    /// Hands out the blob.
    ///
    /// # Errors
    /// [`ChunkError::Incomplete`] or [`ChunkError::Altered`].
    pub fn finish(self) -> Result<Vec<u8>, ChunkError> {
        self.tally.finish()?;
        Ok(self.bytes)
    }

    /// Reserves twice what is here, as a vector does, but never beyond what is announced.
    fn make_room(&mut self, chunk: usize) -> Result<(), ChunkError> {
        if self.bytes.capacity() - self.bytes.len() >= chunk {
            return Ok(());
        }
        let (announced, received) = (self.announced(), self.received());
        let most = usize::try_from(announced - received).unwrap_or(usize::MAX);
        let wanted = chunk.max(self.bytes.len()).min(most);
        self.bytes
            .try_reserve_exact(wanted)
            .map_err(|_| ChunkError::Memory {
                received,
                announced,
            })
    }
}
