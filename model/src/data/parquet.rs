//! Tables in Parquet, by its column reader: flat columns of strings or whole numbers. A group may
//! be a column of floats, too, if all of them are whole: that is how a data frame keeps whole
//! numbers with gaps.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;

use super::columns::{ColumnPositions, group_value, is_exact};
use super::error::{DataError, Place};
use super::schema::TableSchema;
use super::table::Row;

/// Values decoded at a time.
const BATCH: usize = 4096;

/// Reads a file.
pub(super) fn read(path: &Path, schema: &TableSchema) -> Result<Vec<Row>, DataError> {
    let file = File::open(path).map_err(|source| DataError::Unreadable {
        file: path.to_owned(),
        source,
    })?;
    // The decoder meets some damaged files with a panic. Nothing outlives a caught one but the
    // error: file and buffers are dropped here.
    catch_unwind(AssertUnwindSafe(|| read_rows(file, path, schema))).unwrap_or_else(|_| {
        Err(DataError::Parquet {
            file: path.to_owned(),
            problem: "it is damaged".into(),
        })
    })
}

fn read_rows(file: File, path: &Path, schema: &TableSchema) -> Result<Vec<Row>, DataError> {
    let damaged = |e: ParquetError| DataError::Parquet {
        file: path.to_owned(),
        problem: e.to_string(),
    };
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let leaves = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .to_vec();
    let names: Vec<String> = leaves.iter().map(|leaf| leaf.path().string()).collect();
    let positions = ColumnPositions::find(schema, &names, path)?;
    for (key, column) in schema.columns() {
        let leaf = names
            .iter()
            .position(|name| name == column)
            .and_then(|i| leaves.get(i));
        check_flat(leaf, key, column, path)?;
    }
    let mut rows = Vec::new();
    for i in 0..reader.num_row_groups() {
        let group = reader.get_row_group(i).map_err(damaged)?;
        let column = |i: usize| {
            let leaf = leaves
                .get(i)
                .ok_or_else(|| damaged(ParquetError::General("a column is missing".into())))?;
            let reader = group.get_column_reader(i).map_err(damaged)?;
            read_column(reader, leaf, path)
        };
        let columns = RowGroup {
            texts: column(positions.text)?,
            labels: column(positions.label)?,
            groups: positions.group.map(column).transpose()?,
        };
        columns.append_to(&mut rows, path, schema)?;
    }
    Ok(rows)
}

fn check_flat(
    leaf: Option<&ColumnDescPtr>,
    key: &'static str,
    column: &str,
    path: &Path,
) -> Result<(), DataError> {
    use parquet::basic::Type;
    let expected = match key {
        "text" => "strings",
        "label" => "strings, whole numbers or truth values",
        _ => "strings or whole numbers",
    };
    let nested = leaf.is_none_or(|leaf| leaf.max_rep_level() > 0 || leaf.path().parts().len() > 1);
    let found = leaf.map(|leaf| leaf.physical_type());
    let fits = match found {
        Some(Type::BYTE_ARRAY) => true,
        Some(Type::INT32 | Type::INT64) => key != "text",
        Some(Type::BOOLEAN) => key == "label",
        Some(Type::FLOAT | Type::DOUBLE) => key == "group",
        _ => false,
    };
    if fits && !nested {
        return Ok(());
    }
    Err(DataError::ColumnType {
        file: path.to_owned(),
        key,
        column: column.to_owned(),
        found: match found {
            Some(_) if nested => "nested".into(),
            Some(physical) => format!("of type {physical}"),
            None => "of no type".into(),
        },
        expected,
    })
}

/// What a cell holds.
enum Cell {
    Null,
    NotUtf8,
    /// A float that isn't a whole number, or too large to be exact.
    NotWhole,
    Text(String),
}

/// The columns of one row group.
struct RowGroup {
    texts: Vec<Cell>,
    labels: Vec<Cell>,
    groups: Option<Vec<Cell>>,
}

impl RowGroup {
    fn append_to(
        self,
        rows: &mut Vec<Row>,
        path: &Path,
        schema: &TableSchema,
    ) -> Result<(), DataError> {
        let count = self.texts.len();
        if self.labels.len() != count || self.groups.as_ref().is_some_and(|g| g.len() != count) {
            return Err(DataError::Parquet {
                file: path.to_owned(),
                problem: "its columns differ in length".into(),
            });
        }
        let mut groups = self.groups.map(Vec::into_iter);
        for (text, label) in self.texts.into_iter().zip(self.labels) {
            let row = rows.len() + 1;
            let text = value(text, &schema.text, path, row)?;
            let label = value(label, &schema.label, path, row)?;
            let group = match (groups.as_mut().and_then(Iterator::next), &schema.group) {
                (Some(cell), Some(column)) => value(cell, column, path, row)?,
                _ => None,
            };
            rows.push(Row {
                // As in JSON Lines, a null text is a blank one, and a null label is missing.
                text: text.unwrap_or_default(),
                label: label.ok_or_else(|| DataError::MissingValue {
                    place: place(path, row),
                    column: schema.label.clone(),
                })?,
                group: group.as_deref().and_then(group_value),
                row,
            });
        }
        Ok(())
    }
}

fn value(cell: Cell, column: &str, path: &Path, row: usize) -> Result<Option<String>, DataError> {
    match cell {
        Cell::Text(text) => Ok(Some(text)),
        Cell::Null => Ok(None),
        Cell::NotUtf8 => Err(DataError::WrongType {
            place: place(path, row),
            column: column.to_owned(),
            found: "not valid UTF-8",
            expected: "strings in UTF-8",
        }),
        Cell::NotWhole => Err(DataError::WrongType {
            place: place(path, row),
            column: column.to_owned(),
            found: "a fraction or a very large number",
            expected: "strings or whole numbers in a column of whole numbers",
        }),
    }
}

/// A float of a group column. What isn't a number is how data frames write a gap.
fn whole(number: f64, exact: bool) -> Cell {
    match number {
        n if n.is_nan() => Cell::Null,
        // Zero has one spelling.
        n if exact => Cell::Text(format!("{:.0}", n + 0.0)),
        _ => Cell::NotWhole,
    }
}

fn place(file: &Path, row: usize) -> Place {
    Place {
        file: file.to_owned(),
        row,
    }
}

fn read_column(
    reader: ColumnReader,
    leaf: &ColumnDescPtr,
    path: &Path,
) -> Result<Vec<Cell>, DataError> {
    let unsigned = is_unsigned(leaf);
    let cells = match reader {
        ColumnReader::ByteArrayColumnReader(mut r) => {
            cells(&mut r, leaf, |bytes| match str::from_utf8(bytes.data()) {
                Ok(text) => Cell::Text(text.to_owned()),
                Err(_) => Cell::NotUtf8,
            })
        }
        ColumnReader::Int32ColumnReader(mut r) => cells(&mut r, leaf, |number| {
            Cell::Text(if unsigned {
                number.cast_unsigned().to_string()
            } else {
                number.to_string()
            })
        }),
        ColumnReader::Int64ColumnReader(mut r) => cells(&mut r, leaf, |number| {
            Cell::Text(if unsigned {
                number.cast_unsigned().to_string()
            } else {
                number.to_string()
            })
        }),
        ColumnReader::BoolColumnReader(mut r) => {
            cells(&mut r, leaf, |truth| Cell::Text(truth.to_string()))
        }
        ColumnReader::FloatColumnReader(mut r) => cells(&mut r, leaf, |number| {
            let limit = (1_u32 << f32::MANTISSA_DIGITS) as f32;
            let exact = number.fract() == 0.0 && number.abs() < limit;
            whole(f64::from(*number), exact)
        }),
        ColumnReader::DoubleColumnReader(mut r) => {
            cells(&mut r, leaf, |number| whole(*number, is_exact(*number)))
        }
        // `check_flat` has refused every other type.
        _ => Ok(Vec::new()),
    };
    cells.map_err(|e| DataError::Parquet {
        file: path.to_owned(),
        problem: e.to_string(),
    })
}

fn is_unsigned(leaf: &ColumnDescPtr) -> bool {
    use parquet::basic::{ConvertedType, LogicalType};
    let by_converted = matches!(
        leaf.converted_type(),
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    );
    let by_logical = match leaf.logical_type_ref() {
        Some(LogicalType::Integer(integer)) => !integer.is_signed,
        _ => false,
    };
    by_converted || by_logical
}

/// All cells of a flat column chunk: values where the definition level is full, nulls elsewhere.
fn cells<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    leaf: &ColumnDescPtr,
    cell: impl Fn(&T::T) -> Cell,
) -> Result<Vec<Cell>, ParquetError> {
    let full = leaf.max_def_level();
    let mut found = Vec::new();
    loop {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (records, ..) = reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Ok(found);
        }
        if full == 0 {
            found.extend(values.iter().map(&cell));
            continue;
        }
        let mut values = values.iter();
        for level in levels {
            let value = if level == full { values.next() } else { None };
            found.push(value.map_or(Cell::Null, &cell));
        }
    }
}
