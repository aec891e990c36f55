//! Tables in Arrow's IPC format: files (Feather of version 2) and streams, as Hugging Face Datasets
//! keeps them. Flat columns.
//!
//! | module | what it is for |
//! |---|---|
//! | `framing` | where the messages of a file are |
//! | `limits` | what a message may say of itself before it is decoded |
//! | `column_type` | what a column's values mean |
//! | `values` | from arrays to cells |

mod column_type;
mod framing;
mod limits;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, MessageHeader, MetadataVersion};
use arrow_schema::{DataType, Field, Schema};

use self::framing::Frames;
use super::cells::{Cell, Rows};
use super::class_names;
use super::column_type::{ColumnType, WantedColumn};
use super::columns::{ColumnPositions, Columns, Labels};
use super::error::DataError;
use super::room::Room;
use super::schema::Wanted;
use super::table::Row;

/// The rows of a file, and the names of its classes.
pub(super) struct ArrowTable {
    pub(super) rows: Vec<Row>,
    pub(super) class_names: Vec<String>,
}

/// Reads a whole file's bytes; `path` is its name in messages.
pub(super) fn read(
    bytes: Vec<u8>,
    path: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<ArrowTable, DataError> {
    // The decoder may meet a damaged file with a panic. Nothing outlives a caught one but the error.
    let read = catch_unwind(AssertUnwindSafe(|| read_rows(bytes, path, wanted, room)));
    read.unwrap_or_else(|_| Err(damaged(path, "it is damaged")))
}

/// The error for a file that can't be decoded.
fn damaged(path: &Path, problem: impl ToString) -> DataError {
    DataError::Arrow {
        file: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Where a column is, and what its values mean.
struct Column {
    /// Its place among the columns that are decoded.
    place: usize,
    kind: ColumnType,
    name: String,
}

fn read_rows(
    bytes: Vec<u8>,
    path: &Path,
    wanted: Wanted<'_>,
    mut room: Room,
) -> Result<ArrowTable, DataError> {
    let frames = Frames::find(bytes).map_err(|problem| damaged(path, problem))?;
    let schema = Arc::new(frames.schema.clone());
    let (projection, columns) = columns_of(&schema, path, wanted)?;
    let class_names = match &columns.label {
        Some(Labels::Column(label)) if label.kind.is_whole() => {
            let info = schema.metadata().get(class_names::KEY);
            class_names::of(info.map(String::as_str), &label.name)
        }
        _ => Vec::new(),
    };
    let decoded = schema.project(&projection);
    let decoded = decoded.map_err(|e| damaged(path, e))?;
    // Each message says of which version it is, and pyarrow's footers say something else: by this
    // version, the decoder believes the messages.
    let believe_messages = MetadataVersion::V1;
    let mut decoder = FileDecoder::new(schema, believe_messages).with_projection(projection);
    let mut rows = Rows::new(wanted, path, room);
    for frame in &frames.frames {
        let message = frames.message(frame).map_err(|e| damaged(path, e))?;
        let block = Block::new(0, frame.metadata, frame.body);
        let buffer = frames.bytes_of(frame);
        let body = &buffer[frame.metadata as usize..];
        match message.header_type() {
            MessageHeader::DictionaryBatch if !is_wanted(message, &decoded) => {}
            MessageHeader::DictionaryBatch => {
                let batch = message.header_as_dictionary_batch().and_then(|d| d.data());
                let bytes = limits::check(batch, body, room.left());
                let bytes = bytes.map_err(|e| e.of_file(path, &room))?;
                // Dictionaries are kept.
                room.take(bytes, path)?;
                let read = decoder.read_dictionary(&block, &buffer);
                read.map_err(|e| damaged(path, e))?;
            }
            MessageHeader::RecordBatch => {
                let batch = limits::check(message.header_as_record_batch(), body, room.left());
                batch.map_err(|e| e.of_file(path, &room))?;
                let batch = decoder.read_record_batch(&block, &buffer);
                if let Some(batch) = batch.map_err(|e| damaged(path, e))? {
                    let cells = cells(&batch, &columns, path, &mut room)?;
                    rows.add_columns(cells, &class_names)?;
                }
            }
            _ => return Err(damaged(path, "it holds something else than rows")),
        }
    }
    Ok(ArrowTable {
        rows: rows.into_rows(),
        class_names,
    })
}

/// The columns to decode, and what becomes of each.
fn columns_of(
    schema: &Schema,
    path: &Path,
    wanted: Wanted<'_>,
) -> Result<(Vec<usize>, Columns<Column>), DataError> {
    let fields = schema.fields();
    let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let inside = || fields.iter().find_map(|field| inside(field, wanted));
    let positions = ColumnPositions::find(wanted, &names, path, inside)?;
    let mut projection = Vec::new();
    let columns = positions.map(|setting, position| {
        let field = fields.get(position);
        let field: &Field = field.ok_or_else(|| damaged(path, "a column is missing"))?;
        let column = WantedColumn {
            setting,
            name: field.name(),
            file: path,
            asked: wanted.asked,
        };
        let kind = column_type::of(field, column, wanted.takes_lists())?;
        projection.push(position);
        Ok::<_, DataError>(Column {
            place: projection.len() - 1,
            kind,
            name: field.name().clone(),
        })
    })?;
    Ok((projection, columns))
}

/// What to do where a column that is wanted stands inside of another.
fn inside(field: &Field, wanted: Wanted<'_>) -> Option<String> {
    let DataType::Struct(inner) = field.data_type() else {
        return None;
    };
    let is_wanted = |name: &str| wanted.columns().any(|(_, column)| column == name);
    let found = inner.iter().find(|inner| is_wanted(inner.name()))?;
    Some(format!(
        "{:?} is inside {:?}: flatten it, e.g. with pandas.json_normalize",
        found.name(),
        field.name()
    ))
}

/// Whether a dictionary is one of a column that is decoded.
fn is_wanted(message: arrow_ipc::Message<'_>, decoded: &Schema) -> bool {
    let dictionary = message.header_as_dictionary_batch();
    // Ids of dictionaries are the decoder's own way to know them, too.
    #[expect(deprecated)]
    let by_id = |id| !decoded.fields_with_dict_id(id).is_empty();
    dictionary.is_some_and(|dictionary| by_id(dictionary.id()))
}

fn cells(
    batch: &RecordBatch,
    columns: &Columns<Column>,
    path: &Path,
    room: &mut Room,
) -> Result<Columns<Vec<Cell>>, DataError> {
    columns.each().map(|_, column| {
        let array = batch.columns().get(column.place);
        let array = array.ok_or_else(|| damaged(path, "a column is missing"))?;
        let mut cells = Vec::new();
        for row in 0..array.len() {
            let cell = values::cell(array, row, column.kind);
            room.take(cell.bytes(), path)?;
            cells.push(cell);
        }
        Ok(cells)
    })
}

/// The type of a dictionary's values, or the type itself.
fn value_type(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    }
}
