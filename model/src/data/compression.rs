//! Unpacking what was compressed as a whole: gzip and Zstandard.

use std::io::{self, Read};
use std::path::Path;

use super::content::{Content, Unread};
use super::error::DataError;
use super::room::Room;

/// The bytes themselves, or what comes out of them where they are compressed. A table must come
/// out, not another container.
pub(super) fn unpacked(bytes: Vec<u8>, room: Room, file: &Path) -> Result<Vec<u8>, DataError> {
    let inner = match Content::of(&bytes) {
        Content::Gzip => read(Ok(flate2::read::MultiGzDecoder::new(&bytes[..])), room),
        Content::Zstd => read(zstd::Decoder::with_buffer(&bytes[..]), room),
        _ => return Ok(bytes),
    };
    let inner = inner.map_err(|error| DataError::Compressed {
        file: file.to_owned(),
        problem: error.to_string(),
    })?;
    if inner.len() as u64 > room.left() {
        return Err(room.exceeded(file));
    }
    let found = match Content::of(&inner) {
        Content::Text => return Ok(inner),
        Content::Other(found) => found,
        _ => Unread {
            what: "a compressed file with another compressed one, Parquet, Arrow or a workbook in it",
            remedy: "unpack it",
        },
    };
    Err(DataError::Unread {
        file: file.to_owned(),
        found,
    })
}

/// What comes out, up to one byte more than there is room for.
fn read(decoder: io::Result<impl Read>, room: Room) -> io::Result<Vec<u8>> {
    let mut inner = Vec::new();
    let mut decoder = decoder?.take(room.left().saturating_add(1));
    decoder.read_to_end(&mut inner)?;
    Ok(inner)
}
