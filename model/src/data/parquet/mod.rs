//! Tables in Parquet, by its column reader: flat columns.

mod column_type;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;

use super::cells::{Cell, Rows};
use super::class_names;
use super::column_type::{ColumnType, WantedColumn};
use super::columns::{ColumnPositions, Labels};
use super::error::DataError;
use super::room::Room;
use super::schema::Wanted;
use super::table::Row;

/// Values decoded at a time.
const BATCH: usize = 4096;

/// The rows of a file, and the names of its classes.
pub(super) struct ParquetTable {
    pub(super) rows: Vec<Row>,
    pub(super) class_names: Vec<String>,
}

/// Reads a file.
pub(super) fn read(
    file: File,
    path: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<ParquetTable, DataError> {
    // The decoder meets some damaged files with a panic. Nothing outlives a caught one but the
    // error: file and buffers are dropped here.
    catch_unwind(AssertUnwindSafe(|| read_rows(file, path, wanted, room))).unwrap_or_else(|_| {
        Err(DataError::Parquet {
            file: path.to_owned(),
            problem: "it is damaged".into(),
        })
    })
}

/// Where a column is, and what its values mean.
struct Column {
    position: usize,
    leaf: ColumnDescPtr,
    kind: ColumnType,
    name: String,
    /// The definition level of an empty list, where its values are lists. Below it is none.
    empty: Option<i16>,
}

fn read_rows(
    file: File,
    path: &Path,
    wanted: Wanted<'_>,
    mut room: Room,
) -> Result<ParquetTable, DataError> {
    let damaged = |e: ParquetError| DataError::Parquet {
        file: path.to_owned(),
        problem: e.to_string(),
    };
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let metadata = reader.metadata().file_metadata();
    let leaves = metadata.schema_descr().columns().to_vec();
    let names: Vec<String> = leaves
        .iter()
        .map(|leaf| {
            match wanted.takes_lists() {
                true => column_type::list_name(leaf, &leaves),
                false => None,
            }
            .unwrap_or_else(|| leaf.path().string())
        })
        .collect();
    column_type::refuse_nested(&leaves, wanted, path)?;
    let inside = || column_type::inside(&leaves, wanted);
    let positions = ColumnPositions::find(wanted, &names, path, inside)?;
    let columns = positions.map(|setting, position| {
        let missing = || damaged(ParquetError::General("a column is missing".into()));
        let leaf = leaves.get(position).ok_or_else(missing)?.clone();
        let name = names.get(position).cloned().unwrap_or_default();
        let wanted = WantedColumn {
            setting,
            name: &name,
            file: path,
            asked: wanted.asked,
        };
        let kind = column_type::of(&leaf, wanted)?;
        let root = metadata.schema_descr().get_column_root(position);
        let is_list = leaf.max_rep_level() > 0;
        let empty = is_list.then(|| i16::from(root.is_optional()));
        Ok::<_, DataError>(Column {
            position,
            leaf,
            kind,
            name,
            empty,
        })
    })?;
    let class_names = match &columns.label {
        Some(Labels::Column(label)) if label.kind.is_whole() => {
            class_names::of(info(metadata.key_value_metadata()), &label.name)
        }
        _ => Vec::new(),
    };
    let mut rows = Rows::new(wanted, path, room);
    for i in 0..reader.num_row_groups() {
        let group_reader = reader.get_row_group(i).map_err(damaged)?;
        let mut count = None;
        let cells = columns.each().map(|_, column| {
            let cells = read_column(&*group_reader, column, path, &mut room)?;
            match *count.get_or_insert(cells.len()) == cells.len() {
                true => Ok(cells),
                false => Err(damaged(ParquetError::General(
                    "its columns differ in length".into(),
                ))),
            }
        })?;
        rows.add_columns(cells, &class_names)?;
    }
    Ok(ParquetTable {
        rows: rows.into_rows(),
        class_names,
    })
}

/// What Hugging Face Datasets notes of the columns.
fn info(metadata: Option<&Vec<KeyValue>>) -> Option<&str> {
    let mut entries = metadata.into_iter().flatten();
    entries
        .find(|entry| entry.key == class_names::KEY)?
        .value
        .as_deref()
}

fn read_column(
    group: &dyn RowGroupReader,
    column: &Column,
    path: &Path,
    room: &mut Room,
) -> Result<Vec<Cell>, DataError> {
    let damaged = |e: ParquetError| DataError::Parquet {
        file: path.to_owned(),
        problem: e.to_string(),
    };
    let kind = &column.kind;
    let reader = group.get_column_reader(column.position).map_err(damaged)?;
    let mut reading = Reading {
        full: column.leaf.max_def_level(),
        empty: column.empty,
        room,
        path,
    };
    match reader {
        ColumnReader::ByteArrayColumnReader(mut r) => {
            reading.cells(&mut r, |bytes| kind.of_bytes(bytes.data()))
        }
        ColumnReader::FixedLenByteArrayColumnReader(mut r) => {
            reading.cells(&mut r, |bytes| kind.of_bytes(bytes.data()))
        }
        ColumnReader::Int32ColumnReader(mut r) => {
            reading.cells(&mut r, |number| kind.of_int32(*number))
        }
        ColumnReader::Int64ColumnReader(mut r) => {
            reading.cells(&mut r, |number| kind.of_int64(*number))
        }
        ColumnReader::BoolColumnReader(mut r) => reading.cells(&mut r, |truth| Cell::Truth(*truth)),
        ColumnReader::FloatColumnReader(mut r) => {
            reading.cells(&mut r, |number| Cell::single(*number))
        }
        ColumnReader::DoubleColumnReader(mut r) => {
            reading.cells(&mut r, |number| Cell::double(*number))
        }
        // `ColumnType::of` has refused every other type.
        ColumnReader::Int96ColumnReader(_) => Ok(Vec::new()),
    }
}

struct Reading<'a> {
    /// The definition level of a value that is there.
    full: i16,
    /// That of an empty list, where values are lists.
    empty: Option<i16>,
    room: &'a mut Room,
    path: &'a Path,
}

impl Reading<'_> {
    /// All cells of a column chunk: values where the definition level is full, nulls elsewhere; or
    /// lists of these, each beginning where the repetition level is 0.
    fn cells<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        cell: impl Fn(&T::T) -> Cell,
    ) -> Result<Vec<Cell>, DataError> {
        let mut found = Vec::new();
        loop {
            let (mut values, mut levels, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
            let repeats = self.empty.is_some().then_some(&mut repeated);
            let read = reader.read_records(BATCH, Some(&mut levels), repeats, &mut values);
            let (records, ..) = read.map_err(|e| DataError::Parquet {
                file: self.path.to_owned(),
                problem: e.to_string(),
            })?;
            if records == 0 {
                return Ok(found);
            }
            let begin = found.len();
            if let Some(empty) = self.empty {
                let mut values = values.iter();
                for (level, repeated) in levels.into_iter().zip(repeated) {
                    let value = (level == self.full).then(|| values.next()).flatten();
                    let value = value.map_or(Cell::Missing, &cell);
                    match (repeated, found.last_mut()) {
                        (0, _) if level < empty => found.push(Cell::Missing),
                        (0, _) if level == empty => found.push(Cell::List(Vec::new())),
                        (0, _) => found.push(Cell::List(vec![value])),
                        (_, Some(Cell::List(cells))) => cells.push(value),
                        // A list that goes on without having begun.
                        (_, _) => found.push(Cell::Other("a damaged list")),
                    }
                }
            } else if self.full == 0 {
                found.extend(values.iter().map(&cell));
            } else {
                let mut values = values.iter();
                for level in levels {
                    let value = if level == self.full {
                        values.next()
                    } else {
                        None
                    };
                    found.push(value.map_or(Cell::Missing, &cell));
                }
            }
            let bytes = found.iter().skip(begin).map(Cell::bytes).sum();
            self.room.take(bytes, self.path)?;
        }
    }
}
