//! Tables in CSV: a header and records of as many fields.

use std::path::Path;

use super::columns::{ColumnPositions, group_value, without_byte_order_mark};
use super::error::{DataError, Place};
use super::rfc4180::{Fault, FaultKind, Record, Records};
use super::schema::TableSchema;
use super::table::Row;

/// Reads a whole file's bytes; `file` is its name in messages.
pub(super) fn read(bytes: &[u8], file: &Path, schema: &TableSchema) -> Result<Vec<Row>, DataError> {
    let mut records = Records::new(without_byte_order_mark(bytes));
    let at = |row| Place {
        file: file.to_owned(),
        row,
    };
    let Some(header) = records.next() else {
        return Err(DataError::NoRows {
            file: file.to_owned(),
            cleaned: false,
        });
    };
    let header = header.map_err(|fault| syntax(fault, at(0)))?;
    let header = strings(header, || at(0))?;
    let positions = ColumnPositions::find(schema, &header, file)?;
    records
        .zip(1..)
        .map(|(record, row)| {
            let record = record.map_err(|fault| syntax(fault, at(row)))?;
            if record.fields.len() != header.len() {
                return Err(ragged(&record, header.len(), at(row)));
            }
            let fields = strings(record, || at(row))?;
            Ok(row_of(fields, &positions, row))
        })
        .collect()
}

fn strings(record: Record, place: impl Fn() -> Place) -> Result<Vec<String>, DataError> {
    let utf8 = |(field, column)| {
        String::from_utf8(field).map_err(|_| DataError::InvalidUtf8 {
            place: place(),
            column,
        })
    };
    record.fields.into_iter().zip(1..).map(utf8).collect()
}

fn row_of(mut fields: Vec<String>, positions: &ColumnPositions, row: usize) -> Row {
    // One column may serve twice (a label that is also the group), so nothing is moved out
    // before the last use.
    let field = |i: usize| fields.get(i).cloned().unwrap_or_default();
    let label = field(positions.label);
    let group = positions.group.and_then(|i| group_value(&field(i)));
    let text = fields.get_mut(positions.text).map(std::mem::take);
    Row {
        text: text.unwrap_or_default(),
        label,
        group,
        row,
    }
}

fn ragged(record: &Record, expected: usize, place: Place) -> DataError {
    DataError::Syntax {
        place,
        problem: format!(
            "{} fields where the header has {expected} (line {})",
            record.fields.len(),
            record.line
        ),
        remedy: "put texts that hold commas or line ends in quotes",
    }
}

fn syntax(fault: Fault, place: Place) -> DataError {
    let (problem, remedy) = match fault.kind {
        FaultKind::StrayQuote => (
            "a quote inside an unquoted field",
            "put the whole field in quotes and double each quote inside it",
        ),
        FaultKind::TextAfterQuote => (
            "text after a closing quote",
            "double each quote inside a quoted field",
        ),
        FaultKind::UnclosedQuote => (
            "a quote that is never closed",
            "close it, or double each quote inside a quoted field",
        ),
        FaultKind::LoneCarriageReturn => (
            "a carriage return without a line feed outside of quotes",
            "end lines with CRLF or LF, and put texts that hold line ends in quotes",
        ),
    };
    DataError::Syntax {
        place,
        problem: format!("{problem} (line {})", fault.line),
        remedy,
    }
}
