//! What to say of a CSV file that can't be read: what was found, and what to do about it.

use std::path::Path;

use super::dialect::Layout;
use super::rfc4180::{Dialect, Fault, FaultKind, Record, Records};
use crate::data::asked::Setting;
use crate::data::columns::{Found, find};
use crate::data::content::Unread;
use crate::data::error::{DataError, Place};
use crate::data::schema::Wanted;

/// Records that are looked at for advice.
const LOOKED_AT: usize = 50;

/// The error for a record that breaks the rules.
pub(super) fn fault(fault: Fault, place: Place) -> DataError {
    let (problem, remedy) = match fault.kind {
        FaultKind::StrayQuote | FaultKind::TextAfterQuote if fault.after_backslash => (
            "a quote that is escaped by a backslash",
            "double each quote inside a quoted field instead (Python's csv: doublequote=True, no \
             escapechar)",
        ),
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
        FaultKind::MixedLineEnds => (
            "a line end of another kind than that of the first line, outside of quotes",
            "end all lines alike, with CRLF or LF, and put texts that hold line ends in quotes",
        ),
    };
    DataError::Syntax {
        place,
        problem: format!("{problem} (line {})", fault.line),
        remedy,
    }
}

/// The error for a record with more or fewer fields than the header has.
pub(super) fn ragged(record: &Record, expected: usize, layout: &Layout, place: Place) -> DataError {
    let fields = &record.fields;
    let quoted_otherwise = fields
        .iter()
        .any(|field| !field.quoted && field.bytes.starts_with(b"'"));
    let remedy = if fields.iter().any(|field| field.bytes.ends_with(b"\\")) {
        "put texts that hold the delimiter in quotes rather than a backslash before it (Python's \
         csv: quoting=csv.QUOTE_MINIMAL, no escapechar)"
    } else if quoted_otherwise {
        "put texts that hold the delimiter in double quotes, not single ones (quotechar='\"')"
    } else if place.row == 1 && fields.len() == expected + 1 {
        "put texts that hold the delimiter in quotes; if the first field of every row is its \
         number, as R's write.table leaves it, write the table with row.names = FALSE"
    } else if layout.dialect.delimiter == b',' {
        "put texts that hold commas or line ends in quotes"
    } else {
        "put texts that hold the delimiter or line ends in quotes"
    };
    let count = fields.len();
    let several = if count == 1 { "field" } else { "fields" };
    DataError::Syntax {
        place,
        problem: format!(
            "{count} {several} where the header has {expected} (line {})",
            record.line + layout.lines_before
        ),
        remedy,
    }
}

/// Whether a field that isn't quoted looks as if it were, by single quotes: inside it they only
/// come in pairs, as whoever doubles them leaves them.
pub(super) fn is_in_single_quotes(text: &str) -> bool {
    let inner = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''));
    inner.is_some_and(|inner| inner.contains("''") && !inner.replace("''", "").contains('\''))
}

/// Whether a record is what stands below the header of a table in Markdown: `|---|:--|`.
pub(super) fn is_rule(record: &Record) -> bool {
    let cells = record.fields.iter().map(|field| field.bytes.trim_ascii());
    let cells: Vec<&[u8]> = cells.filter(|cell| !cell.is_empty()).collect();
    let is_line = |cell: &&[u8]| {
        cell.len() > 1 && cell.contains(&b'-') && cell.iter().all(|byte| b"-:".contains(byte))
    };
    cells.len() > 1 && cells.iter().all(is_line)
}

/// The error for such a table.
pub(super) fn markdown(file: &Path) -> DataError {
    DataError::Unread {
        file: file.to_owned(),
        found: Unread {
            what: "a table in Markdown",
            remedy: "write it as CSV or JSON Lines",
        },
    }
}

/// The error for such a field.
pub(super) fn single_quotes(place: Place) -> DataError {
    DataError::Syntax {
        place,
        problem: "a field in single quotes".into(),
        remedy: "quote fields with double quotes (quotechar='\"'), and leave single ones as they are",
    }
}

/// What to do where a header lacks a column; `None` for the usual advice.
pub(super) fn missing_column(
    bytes: &[u8],
    dialect: Dialect,
    header: &[String],
    wanted: Wanted<'_>,
) -> Option<String> {
    let single = |name: &String| name.len() > 1 && name.starts_with('\'') && name.ends_with('\'');
    if header.iter().any(single) {
        return Some("quote names with double quotes, not single ones (quotechar='\"')".into());
    }
    if header.iter().any(|name| name.chars().any(char::is_control)) {
        return Some(
            "its first line holds control characters: end lines with LF or CRLF, and separate \
             columns by commas, semicolons, tabs or pipes"
                .into(),
        );
    }
    if let Some(row) = header_below(bytes, dialect, wanted) {
        return Some(format!(
            "record {row} looks like the header; delete what stands above it"
        ));
    }
    if looks_like_data(bytes, dialect, header) {
        let columns: Vec<&str> = wanted.columns().map(|(_, column)| column).collect();
        return Some(format!(
            "its first line seems to be a row already: put a header line on top, such as {:?}",
            columns.join(",")
        ));
    }
    (header.len() == 1 && wanted.options.delimiter.is_none()).then(|| {
        format!(
            "name the right one {}, or, if another character than comma, semicolon, tab or pipe \
             separates columns, that one {}",
            wanted.asked.by(Setting::Text),
            wanted.asked.by(Setting::Delimiter)
        )
    })
}

/// The record, from 2, that names the columns that are wanted.
fn header_below(bytes: &[u8], dialect: Dialect, wanted: Wanted<'_>) -> Option<usize> {
    let few = Records::new(bytes, dialect).zip(1..).take(LOOKED_AT);
    few.filter_map(|(record, row)| Some((record.ok()?, row)))
        .find(|(record, _)| {
            let names: Vec<String> = record
                .fields
                .iter()
                .map(|field| String::from_utf8_lossy(&field.bytes).into_owned())
                .collect();
            wanted
                .columns()
                .all(|(_, column)| matches!(find(column, &names), Found::At(_)))
        })
        .map(|(_, row)| row)
        .filter(|row| *row > 1)
}

/// Whether the first line is no header: it holds a number, a sentence, or what stands in the
/// same column further down.
fn looks_like_data(bytes: &[u8], dialect: Dialect, header: &[String]) -> bool {
    let is_value =
        |name: &String| name.trim().parse::<f64>().is_ok() || name.split_whitespace().count() > 4;
    if header.iter().any(is_value) {
        return true;
    }
    let below = Records::new(bytes, dialect).skip(1).take(LOOKED_AT);
    below.filter_map(Result::ok).any(|record| {
        let same = |(name, field): (&String, &super::rfc4180::Field)| {
            !name.trim().is_empty() && name.as_bytes() == field.bytes
        };
        header.iter().zip(&record.fields).any(same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_quotes_around_a_field_are_known_by_those_inside() {
        for text in ["'it''s fine'", "'''tis'", "'a''''b'"] {
            assert!(is_in_single_quotes(text), "{text}");
        }
        for text in [
            "'tis the season",
            "'yes'",
            "it''s",
            "'a' and 'b'",
            "'",
            "''",
            "don't",
        ] {
            assert!(!is_in_single_quotes(text), "{text}");
        }
    }
}
