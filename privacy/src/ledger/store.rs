//! Where a ledger's bytes are kept.

use std::io;

/// Append-only storage of one ledger's bytes, with one writer at a time.
///
/// Writing and syncing are separate steps, so that [`crate::Ledger`] decides what must be
/// durable before what; a crash between any two of them must leave what was synced.
pub trait LedgerStorage {
    /// Everything that is stored.
    ///
    /// # Errors
    /// Whatever reading fails with.
    fn read_all(&mut self) -> io::Result<Vec<u8>>;

    /// Appends `bytes`. They need not survive a crash of the machine before
    /// [`LedgerStorage::sync`] returns.
    ///
    /// # Errors
    /// Whatever writing fails with; none, some or all of the bytes may then be stored.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything that was appended or cut off would survive a crash of the
    /// machine.
    ///
    /// # Errors
    /// Whatever syncing fails with; what was done since the last sync may then be lost.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts everything after the first `len` bytes off.
    ///
    /// # Errors
    /// Whatever cutting fails with.
    fn truncate_to(&mut self, len: u64) -> io::Result<()>;
}

impl<S: LedgerStorage + ?Sized> LedgerStorage for Box<S> {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        (**self).read_all()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        (**self).truncate_to(len)
    }
}

/// A ledger in memory, for tests and for what-if calculations: it is gone with the
/// process.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedgerStorage {
    bytes: Vec<u8>,
}

impl MemoryLedgerStorage {
    /// Storage that already holds `bytes`.
    pub fn with_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// What is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl LedgerStorage for MemoryLedgerStorage {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes.clone())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        self.bytes
            .truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}
