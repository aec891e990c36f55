//! Where the messages of a file or a stream are: pieces of metadata, each with a body of buffers.
//!
//! A file has them listed in its footer; in a stream they follow one another. Both are described
//! under "Serialization and Interprocess Communication" in the columnar format's specification
//! (arrow.apache.org/docs/format/Columnar.html).

use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Block, Message, MessageHeader, root_as_footer, root_as_message};
use arrow_schema::Schema;

/// How a file begins and ends.
const MAGIC: &[u8] = b"ARROW1";
/// What stands before the length of a message's metadata, but in files from before Arrow 0.15.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Bytes of a length.
const LENGTH: usize = 4;

/// A file's columns, and where its other messages are.
pub(super) struct Frames {
    bytes: Buffer,
    pub(super) schema: Schema,
    /// Dictionaries before the rows that use them.
    pub(super) frames: Vec<Frame>,
}

/// A message. What it says of its place is inside the file.
pub(super) struct Frame {
    offset: usize,
    /// Bytes of its metadata, the prefix included.
    pub(super) metadata: i32,
    /// Bytes of its body.
    pub(super) body: i64,
}

impl Frames {
    /// Finds the messages of a file or of a stream.
    pub(super) fn find(bytes: Vec<u8>) -> Result<Self, String> {
        match bytes.starts_with(MAGIC) {
            true => Self::of_file(bytes),
            false => Self::of_stream(bytes),
        }
    }

    /// A message's metadata.
    pub(super) fn message(&self, frame: &Frame) -> Result<Message<'_>, String> {
        let begin = frame.offset + prefix(self.bytes.get(frame.offset..).unwrap_or_default());
        let end = frame.offset + frame.metadata as usize;
        let metadata = self.bytes.get(begin..end).ok_or("a message is cut off")?;
        root_as_message(metadata).map_err(|e| format!("a message is damaged ({e})"))
    }

    /// All bytes of a message.
    pub(super) fn bytes_of(&self, frame: &Frame) -> Buffer {
        let length = frame.metadata as usize + frame.body as usize;
        self.bytes.slice_with_length(frame.offset, length)
    }

    fn of_file(bytes: Vec<u8>) -> Result<Self, String> {
        const CUT: &str = "its end is missing, as of a file that was cut off";
        let trailer = bytes.len().checked_sub(MAGIC.len() + LENGTH).ok_or(CUT)?;
        let (length, magic) = bytes[trailer..].split_at(LENGTH);
        if magic != MAGIC {
            return Err(CUT.into());
        }
        let length = usize::try_from(i32_of(length)).map_err(|_| CUT)?;
        let begin = trailer.checked_sub(length).ok_or(CUT)?;
        let footer = root_as_footer(&bytes[begin..trailer]);
        let footer = footer.map_err(|e| format!("its footer is damaged ({e})"))?;
        let schema = schema(footer.schema())?;
        let dictionaries = footer.dictionaries().into_iter().flatten();
        let batches = footer.recordBatches().into_iter().flatten();
        let frames = dictionaries
            .chain(batches)
            .map(|block| frame(block, &bytes));
        let frames = frames.collect::<Result<_, _>>()?;
        Ok(Self {
            schema,
            frames,
            bytes: Buffer::from_vec(bytes),
        })
    }

    fn of_stream(bytes: Vec<u8>) -> Result<Self, String> {
        let mut at = 0;
        let mut begin = None;
        let mut frames = Vec::new();
        while let Some(metadata) = metadata_at(&bytes, at)? {
            let end = at + metadata as usize;
            let message = root_as_message(&bytes[at + prefix(&bytes[at..])..end]);
            let message = message.map_err(|e| format!("a message is damaged ({e})"))?;
            let body = message.bodyLength();
            let length = usize::try_from(body).ok();
            let next = length.and_then(|length| end.checked_add(length));
            let next = next.filter(|next| *next <= bytes.len());
            let next = next.ok_or("it is cut off")?;
            match (&begin, message.header_type()) {
                (None, MessageHeader::Schema) => {
                    begin = Some(schema(message.header_as_schema())?);
                }
                (Some(_), MessageHeader::Schema) => {
                    return Err("it is several streams one after another".into());
                }
                (None, _) => return Err("it doesn't begin with its columns".into()),
                (Some(_), _) => frames.push(Frame {
                    offset: at,
                    metadata,
                    body,
                }),
            }
            at = next;
        }
        let schema = begin.ok_or("it is cut off")?;
        Ok(Self {
            schema,
            frames,
            bytes: Buffer::from_vec(bytes),
        })
    }
}

/// The columns, if they were written on a machine that orders bytes as this one does.
fn schema(schema: Option<arrow_ipc::Schema<'_>>) -> Result<Schema, String> {
    let schema = schema.ok_or("it doesn't say what its columns are")?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err("its numbers have the other order of bytes".into());
    }
    try_fb_to_schema(schema).map_err(|e| e.to_string())
}

/// A message that the footer lists.
fn frame(block: &Block, bytes: &[u8]) -> Result<Frame, String> {
    const OUTSIDE: &str = "a message is outside of the file, as after a cut";
    let part = |number: i64| usize::try_from(number).map_err(|_| OUTSIDE);
    let offset = part(block.offset())?;
    let metadata = part(block.metaDataLength().into())?;
    let body = part(block.bodyLength())?;
    let end = offset
        .checked_add(metadata)
        .and_then(|end| end.checked_add(body));
    if metadata < 2 * LENGTH || end.is_none_or(|end| end > bytes.len()) {
        return Err(OUTSIDE.into());
    }
    Ok(Frame {
        offset,
        metadata: block.metaDataLength(),
        body: block.bodyLength(),
    })
}

/// The length of the metadata of the stream's message at a place, the prefix included; `None` where
/// the stream ends. Writers may leave the mark of its end out.
fn metadata_at(bytes: &[u8], at: usize) -> Result<Option<i32>, String> {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(None);
    }
    let before = prefix(rest);
    let length = rest.get(before - LENGTH..before).ok_or("it is cut off")?;
    match i32_of(length) {
        0 => Ok(None),
        length => {
            let whole = length.checked_add(before as i32).filter(|_| length > 0);
            let whole = whole.filter(|whole| *whole as usize <= rest.len());
            whole.map(Some).ok_or_else(|| "it is cut off".into())
        }
    }
}

/// Bytes of what stands before a message's metadata.
fn prefix(message: &[u8]) -> usize {
    match message.starts_with(&CONTINUATION) {
        true => CONTINUATION.len() + LENGTH,
        false => LENGTH,
    }
}

fn i32_of(bytes: &[u8]) -> i32 {
    bytes.try_into().map_or(-1, i32::from_le_bytes)
}
