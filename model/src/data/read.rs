//! From a file to a table, by the format that its name says.

use std::path::Path;

use super::error::DataError;
use super::schema::TableSchema;
use super::table::Table;
use super::{csv, jsonl, parquet};

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
