//! A name for a site's data that nobody has to invent.

use std::fs::File;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::DataError;

/// SHA-256 of a file's bytes, in hexadecimal: what a site's own ledger may call its data.
///
/// It changes when a single byte does, so a site whose file grows should give its data a
/// name of its own, or its spending starts again from zero. It stays at the site: a digest
/// lets anyone who guesses the file check the guess.
///
/// # Errors
/// [`DataError::Unreadable`].
pub fn data_set_key(path: &Path) -> Result<String, DataError> {
    let digest = || -> io::Result<_> {
        let mut hasher = Hashing(Sha256::new());
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(hasher.0.finalize())
    };
    digest()
        .map(hex::encode)
        .map_err(|source| DataError::Unreadable {
            file: path.to_owned(),
            source,
        })
}

/// A hash to write into.
struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
