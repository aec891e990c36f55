//! Which delimiter a file has: the one by which its header names the columns that are wanted.

use std::path::Path;

use super::advice;
use super::rfc4180::{Dialect, Fault, Field, Records};
use crate::data::columns::ColumnPositions;
use crate::data::error::{DataError, Place};
use crate::data::options::Delimiter;
use crate::data::schema::Wanted;

/// How a file is laid out.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dialect: Dialect,
    pub(super) header: Vec<String>,
    pub(super) positions: ColumnPositions,
    /// Where the header begins, in bytes.
    pub(super) begin: usize,
    /// Lines before that.
    pub(super) lines_before: usize,
    /// Whether a blank stands after every delimiter.
    pub(super) blanks: bool,
    /// Whether lines end in CR alone.
    pub(super) returns: bool,
}

/// A header as one delimiter divides it.
struct Header {
    delimiter: Delimiter,
    names: Vec<String>,
    blanks: bool,
    returns: bool,
}

impl Header {
    fn read(bytes: &[u8], delimiter: Delimiter) -> Option<Result<Self, HeaderError>> {
        let dialect = dialect(delimiter);
        let mut records = Records::new(bytes, dialect);
        let record = match records.next()? {
            Ok(record) => record,
            Err(fault) => return Some(Err(HeaderError::Fault(fault))),
        };
        let blank = |field: &Field| !field.quoted && field.bytes.starts_with(b" ");
        let blanks = record.fields.len() > 1 && record.fields.iter().skip(1).all(blank);
        let name = |(i, field): (usize, Field)| {
            String::from_utf8(field.bytes).map_err(|_| HeaderError::InvalidUtf8 { column: i + 1 })
        };
        let names: Result<Vec<String>, HeaderError> =
            record.fields.into_iter().enumerate().map(name).collect();
        let returns = records.end_in_returns();
        Some(names.map(|names| Self {
            delimiter,
            names,
            blanks,
            returns,
        }))
    }

    /// Whether all columns that are wanted are named here, even if more than once.
    fn serves(&self, wanted: Wanted<'_>) -> bool {
        wanted.are_in(&self.names)
    }
}

/// Whether the first line names all columns that are wanted, quotes aside.
fn names_all(bytes: &[u8], delimiter: Delimiter, wanted: Wanted<'_>) -> bool {
    let line = bytes.split(|b| b"\r\n".contains(b)).next();
    let fields = line.unwrap_or_default().split(|b| *b == delimiter.byte());
    let name = |field: &[u8]| String::from_utf8_lossy(field).replace('"', "");
    let names: Vec<String> = fields.map(name).collect();
    wanted.are_in(&names)
}

enum HeaderError {
    Fault(Fault),
    InvalidUtf8 { column: usize },
}

fn dialect(delimiter: Delimiter) -> Dialect {
    Dialect {
        delimiter: delimiter.byte(),
        backslashes: false,
    }
}

impl Layout {
    /// Looks at the first line of a file.
    pub(super) fn find(bytes: &[u8], file: &Path, wanted: Wanted<'_>) -> Result<Self, DataError> {
        let (declared, begin) = match hint(bytes) {
            Some((delimiter, begin)) => (wanted.options.delimiter.or(Some(delimiter)), begin),
            None => (wanted.options.delimiter, 0),
        };
        let body = &bytes[begin..];
        let candidates = match declared {
            Some(delimiter) => vec![delimiter],
            None => Delimiter::USUAL.to_vec(),
        };
        let mut headers = Vec::new();
        let mut broken = None;
        // Whether the columns are there by the delimiter of the header that is broken.
        let mut meant = false;
        for delimiter in candidates {
            match Header::read(body, delimiter) {
                None => {
                    return Err(DataError::NoRows {
                        file: file.to_owned(),
                        cleaned: false,
                    });
                }
                Some(Ok(header)) => headers.push(header),
                Some(Err(error)) => {
                    if !meant && names_all(body, delimiter, wanted) {
                        meant = true;
                        broken = Some(error);
                    } else {
                        broken.get_or_insert(error);
                    }
                }
            }
        }
        let serving = headers.iter().position(|header| header.serves(wanted));
        if serving.is_none() && meant {
            return Err(header_error(broken, file, wanted));
        }
        // Where no delimiter serves, the one that finds the most columns is most likely meant.
        let widest = || {
            let width = |i: &usize| (headers[*i].names.len(), usize::MAX - i);
            (0..headers.len()).max_by_key(width)
        };
        let Some(chosen) = serving.or_else(widest) else {
            return Err(header_error(broken, file, wanted));
        };
        let header = headers.swap_remove(chosen);
        let dialect = dialect(header.delimiter);
        let advice = || advice::missing_column(body, dialect, &header.names, wanted);
        let positions = ColumnPositions::find(wanted, &header.names, file, advice)?;
        Ok(Self {
            dialect,
            positions,
            begin,
            lines_before: usize::from(begin > 0),
            blanks: header.blanks,
            returns: header.returns,
            header: header.names,
        })
    }

    /// A field's text.
    pub(super) fn text_of<'f>(&self, field: &'f Field, column: usize) -> Result<&'f str, ()> {
        let text = str::from_utf8(&field.bytes).map_err(|_| ())?;
        Ok(match self.blanks && column > 0 && !field.quoted {
            true => text.trim_start_matches(' '),
            false => text,
        })
    }
}

fn header_error(error: Option<HeaderError>, file: &Path, wanted: Wanted<'_>) -> DataError {
    let place = Place {
        file: file.to_owned(),
        row: 0,
    };
    match error {
        Some(HeaderError::Fault(fault)) => advice::fault(fault, place),
        Some(HeaderError::InvalidUtf8 { column }) => DataError::InvalidUtf8 {
            place,
            column,
            asked: wanted.asked,
        },
        None => DataError::NoRows {
            file: file.to_owned(),
            cleaned: false,
        },
    }
}

/// The line `sep=;` that some tables begin with for Excel: the delimiter, and where the header
/// begins.
fn hint(bytes: &[u8]) -> Option<(Delimiter, usize)> {
    let end = bytes.iter().position(|b| b"\r\n".contains(b))?;
    let line = bytes[..end].trim_ascii_end();
    let line = line
        .strip_prefix(b"\"")
        .and_then(|line| line.strip_suffix(b"\""))
        .unwrap_or(line);
    let sign = match line.strip_prefix(b"sep=").or(line.strip_prefix(b"SEP="))? {
        [sign] => *sign,
        // The trimming above takes a tab.
        [] => b'\t',
        _ => return None,
    };
    let next = match &bytes[end..] {
        [b'\r', b'\n', ..] => end + 2,
        _ => end + 1,
    };
    Some((Delimiter::of_byte(sign)?, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::TableSchema;

    fn layout(text: &str) -> Layout {
        let schema = TableSchema::default();
        Layout::find(text.as_bytes(), Path::new("a.csv"), schema.wanted()).expect("a header")
    }

    #[test]
    fn the_delimiter_is_the_one_by_which_the_header_names_the_columns() {
        for (text, delimiter) in [
            ("text,label\n", b','),
            ("id;text;label\n", b';'),
            ("text\tlabel\n", b'\t'),
            ("label|text\n", b'|'),
            ("a,b;text;label;c,d\n", b';'),
            ("\"text\";\"label\"\n", b';'),
            ("sep=;\r\ntext;label\r\n", b';'),
            ("sep=\t\ntext\tlabel\n", b'\t'),
        ] {
            assert_eq!(layout(text).dialect.delimiter, delimiter, "{text:?}");
        }
    }

    #[test]
    fn a_line_for_excel_isnt_the_header() {
        let layout = layout("sep=^\r\nlabel^text\r\n");
        assert_eq!((layout.begin, layout.lines_before), (7, 1));
        assert_eq!(layout.positions.text, 1);
    }

    #[test]
    fn blanks_after_every_delimiter_are_part_of_it() {
        assert!(layout("text, label\n").blanks);
        assert!(!layout("text,label, id\n").blanks);
        assert!(!layout("text , label,id\n").blanks);
    }
}
