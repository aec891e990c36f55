//! Updates that come a part at a time, wherever they are kept meanwhile.

use std::fmt::Debug;
use std::io::{self, Read};
use std::path::Path;

use crate::message::{Receipt, Update, UpdateAnnouncement};
use crate::wire::chunk::{BlobAssembler, ChunkError};

/// An update on its way in.
///
/// It trusts nobody: it takes no more bytes than were announced, and hands out nothing that doesn't
/// hash to its name.
pub trait Incoming: Send {
    /// Adds the next chunk.
    ///
    /// # Errors
    /// [`ChunkError`]; then it is as before.
    fn push(&mut self, chunk: &[u8]) -> Result<(), ChunkError>;

    /// Hands out the update, once it is here.
    ///
    /// # Errors
    /// [`ChunkError::Incomplete`] or [`ChunkError::Altered`].
    fn finish(self: Box<Self>) -> Result<Arrived, ChunkError>;
}

/// The bytes of an update, wherever they are.
pub trait UpdateBytes: Debug + Send {
    /// Reads them from their beginning, buffered. There must be one reader at a time.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self) -> io::Result<Box<dyn Read + '_>>;

    /// The file that they came into, where they came into one.
    fn file(&self) -> Option<&Path> {
        None
    }
}

impl UpdateBytes for Vec<u8> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.as_slice()))
    }
}

impl UpdateBytes for &[u8] {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(*self))
    }
}

/// An update that is here as a whole.
#[derive(Debug)]
pub struct Arrived {
    /// What was announced, and is true.
    pub announced: UpdateAnnouncement,
    /// The bytes.
    pub bytes: Box<dyn UpdateBytes>,
}

impl Arrived {
    /// The update in memory.
    ///
    /// # Errors
    /// What the system says where its bytes can't be read.
    pub fn into_update(self) -> io::Result<Update> {
        let mut values = Vec::new();
        self.bytes.open()?.read_to_end(&mut values)?;
        Ok(Update {
            round: self.announced.round,
            values,
        })
    }
}

impl From<Update> for Arrived {
    fn from(update: Update) -> Self {
        Self {
            announced: UpdateAnnouncement::of(&update),
            bytes: Box::new(update.values),
        }
    }
}

/// Why an update isn't received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReceived {
    /// It needn't come: this is what becomes of it.
    #[error("it is answered without its bytes")]
    Answered(Receipt),
    /// It can't count.
    #[error("{0}")]
    Refused(String),
    /// What is sent doesn't go on from what is here, or all of it is here and being looked at.
    #[error("{here} of its bytes are here, so it can't go on from byte {offset}")]
    Gap {
        /// Bytes that are here.
        here: u64,
        /// Where the sender goes on.
        offset: u64,
    },
    /// It can't be kept.
    #[error("it can't be stored: {0}")]
    Storage(String),
}

impl From<ChunkError> for NotReceived {
    fn from(error: ChunkError) -> Self {
        Self::Refused(format!(
            "the update: {error}; coordinator and client must follow the same plan with the same \
             version"
        ))
    }
}

/// An update that comes together in memory.
#[derive(Debug)]
pub struct InMemory {
    announced: UpdateAnnouncement,
    assembler: BlobAssembler,
}

impl InMemory {
    /// Gets ready for an update of at most `most` bytes. It can't go on from an offset.
    ///
    /// # Errors
    /// [`NotReceived`] for one that is longer, or begins behind its beginning.
    pub fn new(announced: UpdateAnnouncement, most: u64) -> Result<Self, NotReceived> {
        if announced.offset > 0 {
            let (here, offset) = (0, announced.offset);
            return Err(NotReceived::Gap { here, offset });
        }
        Ok(Self {
            announced,
            assembler: BlobAssembler::new(announced.digest, announced.bytes, most)?,
        })
    }
}

impl Incoming for InMemory {
    fn push(&mut self, chunk: &[u8]) -> Result<(), ChunkError> {
        self.assembler.push(chunk)
    }

    fn finish(self: Box<Self>) -> Result<Arrived, ChunkError> {
        let bytes = self.assembler.finish()?;
        Ok(Arrived {
            announced: self.announced,
            bytes: Box::new(bytes),
        })
    }
}
