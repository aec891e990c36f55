//! What a message says of its rows and buffers, looked at before it is decoded: the decoder makes
//! room for as much as a compressed buffer announces.

use std::path::Path;

use arrow_ipc::RecordBatch;

use super::damaged;
use crate::data::error::DataError;
use crate::data::room::Room;

/// Why a message isn't decoded.
pub(super) enum Refusal {
    /// It contradicts itself.
    Damaged(&'static str),
    /// It announces more than there is room for.
    TooLarge,
}

impl Refusal {
    /// The same as an error of a file.
    pub(super) fn of_file(self, path: &Path, room: &Room) -> DataError {
        match self {
            Self::Damaged(problem) => damaged(path, problem),
            Self::TooLarge => room.exceeded(path),
        }
    }
}

/// The bytes that decoding a message's buffers takes, no more than `room`.
pub(super) fn check(
    batch: Option<RecordBatch<'_>>,
    body: &[u8],
    room: u64,
) -> Result<usize, Refusal> {
    let batch = batch.ok_or(Refusal::Damaged("a message has no rows"))?;
    let fits = |count: i64| match u64::try_from(count) {
        Err(_) => Err(Refusal::Damaged("a message counts less than nothing")),
        Ok(count) if count > room => Err(Refusal::TooLarge),
        Ok(_) => Ok(()),
    };
    fits(batch.length())?;
    for node in batch.nodes().into_iter().flatten() {
        fits(node.length())?;
        fits(node.null_count())?;
    }
    let is_compressed = batch.compression().is_some();
    let mut total: u64 = 0;
    for buffer in batch.buffers().into_iter().flatten() {
        let part = |number: i64| usize::try_from(number).ok();
        let range = part(buffer.offset()).zip(part(buffer.length()));
        let range = range.and_then(|(begin, length)| Some(begin..begin.checked_add(length)?));
        let content = range.and_then(|range| body.get(range));
        let content = content.ok_or(Refusal::Damaged("a buffer is outside of its message"))?;
        let bytes = match is_compressed {
            true => announced(content)?,
            false => content.len() as u64,
        };
        total = total.saturating_add(bytes);
    }
    match usize::try_from(total) {
        Ok(bytes) if total <= room => Ok(bytes),
        _ => Err(Refusal::TooLarge),
    }
}

/// The length that a compressed buffer says it has: its first eight bytes, -1 where it isn't
/// compressed after all.
fn announced(content: &[u8]) -> Result<u64, Refusal> {
    if content.is_empty() {
        return Ok(0);
    }
    let length = content
        .first_chunk()
        .map(|bytes| i64::from_le_bytes(*bytes));
    match length {
        Some(-1) => Ok(content.len() as u64),
        Some(length) => {
            let length = u64::try_from(length);
            length.map_err(|_| Refusal::Damaged("a buffer is of no length"))
        }
        None => Err(Refusal::Damaged("a compressed buffer is cut off")),
    }
}
