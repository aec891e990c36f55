//! A table of texts as it was read: three columns of strings, whatever the file's format.

use std::path::{Path, PathBuf};

use super::error::{DataError, Place};
use super::group_ids::GroupColumn;
use super::schema::TableSchema;
use super::{csv, jsonl, parquet};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The text; may be blank until [`super::LabelledTexts::from_table`] refuses it.
    pub text: String,
    /// The label as text.
    pub label: String,
    /// The group as it is written, where the schema names a group column and the row has a value
    /// there that isn't blank.
    pub group: Option<String>,
    /// Where the row is in its file, as [`Place::row`] counts.
    pub row: usize,
}

/// The rows of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The file, for messages.
    pub file: PathBuf,
    /// The group column, if rows were read with one.
    pub group: Option<GroupColumn>,
    /// Whether [`super::clean`] has been through it.
    pub cleaned: bool,
    /// Its rows, in the file's order.
    pub rows: Vec<Row>,
}

impl Table {
    /// Where a row is.
    pub(super) fn place(&self, row: &Row) -> Place {
        Place {
            file: self.file.clone(),
            row: row.row,
        }
    }
}

/// Reads a table: `.csv` (RFC 4180), `.jsonl` or `.ndjson` (one object a line) or `.parquet`.
///
/// # Errors
/// [`DataError`] names the file, the row and the remedy.
pub fn read_table(path: &Path, schema: &TableSchema) -> Result<Table, DataError> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase);
    let rows = match extension.as_deref() {
        Some("csv") => csv::read(&bytes_of(path)?, path, schema)?,
        Some("jsonl" | "ndjson") => jsonl::read(&bytes_of(path)?, path, schema)?,
        Some("parquet") => parquet::read(path, schema)?,
        _ => {
            return Err(DataError::UnknownFormat {
                file: path.to_owned(),
            });
        }
    };
    if rows.is_empty() {
        return Err(DataError::NoRows {
            file: path.to_owned(),
            cleaned: false,
        });
    }
    Ok(Table {
        file: path.to_owned(),
        group: schema.group_column(),
        cleaned: false,
        rows,
    })
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|source| DataError::Unreadable {
        file: path.to_owned(),
        source,
    })
}

/// Bytes without the mark that some editors put in front of UTF-8.
pub(super) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// A group's value as it is written; blank is none. That no stray blank splits one person in two
/// is seen to where units are made ([`GroupColumn::check`]): what is mended silently here might
/// also put two people together.
pub(super) fn group_value(value: &str) -> Option<String> {
    (!value.trim().is_empty()).then(|| value.to_owned())
}

/// Whether a float is a whole number that it holds exactly: below 2^53, others may have been
/// rounded to the same one.
pub(super) fn is_exact(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < (1_u64 << f64::MANTISSA_DIGITS) as f64
}

/// The position of each column that a schema names, among those that a file has.
pub(super) struct ColumnPositions {
    pub(super) text: usize,
    pub(super) label: usize,
    pub(super) group: Option<usize>,
}

impl ColumnPositions {
    pub(super) fn find(
        schema: &TableSchema,
        found: &[String],
        file: &Path,
    ) -> Result<Self, DataError> {
        let position = |key, column: &str| {
            let mut matching =
                (0..found.len()).filter(|i| found.get(*i).is_some_and(|c| c == column));
            match (matching.next(), matching.next()) {
                (Some(i), None) => Ok(i),
                (None, _) => Err(DataError::MissingColumn {
                    file: file.to_owned(),
                    key,
                    column: column.to_owned(),
                    found: found.to_vec(),
                }),
                (Some(_), Some(_)) => Err(DataError::RepeatedColumn {
                    file: file.to_owned(),
                    key,
                    column: column.to_owned(),
                }),
            }
        };
        Ok(Self {
            text: position("text", &schema.text)?,
            label: position("label", &schema.label)?,
            group: match &schema.group {
                Some(column) => Some(position("group", column)?),
                None => None,
            },
        })
    }
}
