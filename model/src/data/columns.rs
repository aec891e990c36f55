//! What the readers of all formats share: where columns are, and how values are taken.

use std::path::Path;

use super::error::DataError;
use super::schema::TableSchema;

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
