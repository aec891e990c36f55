//! Tables in CSV: a header and records of as many fields.
//!
//! | module | what it is for |
//! |---|---|
//! | `rfc4180` | records and fields |
//! | `pieces` | where a long file is cut, so that several threads read it |
//! | `dialect` | which delimiter, and where the header is |
//! | `advice` | what to say of a file that can't be read |

mod advice;
mod dialect;
mod pieces;
mod rfc4180;

use std::path::Path;

use rayon::prelude::*;

use self::dialect::Layout;
use self::rfc4180::{Dialect, Fault, Field, Record, Records};
use super::cells::{Cell, Cells, Rows};
use super::error::{DataError, Place};
use super::options::Delimiter;
use super::room::Room;
use super::schema::Wanted;
use super::table::Row;

/// The rows of a file, and what was found out about it.
pub(super) struct CsvTable {
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
}

/// Reads a whole file's bytes in UTF-8; `file` is its name in messages.
pub(super) fn read(
    bytes: &[u8],
    file: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<CsvTable, DataError> {
    let layout = Layout::find(bytes, file, wanted)?;
    let reading = Reading {
        file,
        wanted,
        layout: &layout,
    };
    let mut notes = Vec::new();
    if layout.dialect.delimiter != b','
        && let Some(delimiter) = Delimiter::of_byte(layout.dialect.delimiter)
    {
        notes.push(format!(
            "its columns are separated by {}",
            delimiter.plural()
        ));
    }
    if layout.returns {
        notes.push("its lines end in CR alone".into());
    }
    let rows = match reading.rows(bytes, layout.dialect, room) {
        Ok(rows) => rows,
        Err(refused) if refused.by_backslash => {
            let escaping = Dialect {
                backslashes: true,
                ..layout.dialect
            };
            // Only if the whole file makes sense that way; the plain reading's error otherwise.
            let rows = reading.rows(bytes, escaping, room);
            let rows = rows.map_err(|_| refused.error)?;
            notes.push("backslashes escape its quotes".into());
            rows
        }
        Err(refused) => return Err(refused.error),
    };
    Ok(CsvTable { rows, notes })
}

/// Bytes of a piece of a file that one thread reads at a time, about.
const PIECE: usize = 1 << 20;

/// Rows that were read, how many records there were, blank ones among them, and the room that is left.
struct Part {
    rows: Vec<Row>,
    records: usize,
    room: Room,
}

/// Why a reading failed, and whether one with backslashes as escapes might not.
struct Refused {
    error: DataError,
    by_backslash: bool,
}

impl From<DataError> for Refused {
    fn from(error: DataError) -> Self {
        Self {
            error,
            by_backslash: false,
        }
    }
}

struct Reading<'a> {
    file: &'a Path,
    wanted: Wanted<'a>,
    layout: &'a Layout,
}

impl Reading<'_> {
    fn rows(&self, bytes: &[u8], dialect: Dialect, room: Room) -> Result<Vec<Row>, Refused> {
        let body = bytes.get(self.layout.begin..).unwrap_or_default();
        let mut records = Records::new(body, dialect);
        // The header was read before, but maybe by another dialect, in which it is another one.
        if let Some(header) = records.next() {
            self.whole(header, 0)?;
        }
        if let Some(rows) = self.rows_of_pieces(&records, room) {
            return Ok(rows);
        }
        Ok(self.rows_of(records, room)?.rows)
    }

    /// The rows of a long file, by several threads; `None` where one of them refuses something: which
    /// is the first, and on which line, is told by reading all in a row.
    fn rows_of_pieces(&self, records: &Records<'_>, room: Room) -> Option<Vec<Row>> {
        let pieces = records.pieces(PIECE)?;
        let parts: Option<Vec<Part>> = pieces
            .into_par_iter()
            .map(|piece| self.rows_of(piece, room).ok())
            .collect();
        let parts = parts?;
        let taken = parts.iter().map(|part| room.left() - part.room.left());
        if taken.sum::<u64>() > room.left() {
            return None;
        }
        let mut rows = Vec::with_capacity(parts.iter().map(|part| part.rows.len()).sum());
        let mut before = 0;
        for part in parts {
            rows.extend(part.rows.into_iter().map(|row| Row {
                row: before + row.row,
                ..row
            }));
            before += part.records;
        }
        Some(rows)
    }

    /// The rows of these records, the first of which is row 1.
    fn rows_of(&self, records: Records<'_>, room: Room) -> Result<Part, Refused> {
        let mut rows = Rows::new(self.wanted, self.file, room);
        let mut count = 0;
        for record in records {
            count += 1;
            let record = self.whole(record, count)?;
            // In a piece of a long table it is refused where it would be any other's first row; all in
            // a row then tells.
            let bars = self.layout.dialect.delimiter == b'|';
            if count == 1 && bars && advice::is_rule(&record) {
                return Err(advice::markdown(self.file).into());
            }
            let width = self.layout.header.len();
            let blank = |field: &Field| field.bytes.trim_ascii().is_empty();
            if width > 1 && record.fields.iter().all(blank) {
                continue;
            }
            rows.add(self.cells(record, count)?, count)?;
        }
        Ok(Part {
            room: rows.room(),
            rows: rows.into_rows(),
            records: count,
        })
    }

    /// A record that keeps the rules and has as many fields as the header.
    fn whole(&self, record: Result<Record, Fault>, row: usize) -> Result<Record, Refused> {
        let record = record.map_err(|fault| {
            let fault = Fault {
                line: fault.line + self.layout.lines_before,
                ..fault
            };
            Refused {
                error: advice::fault(fault, self.place(row)),
                by_backslash: fault.after_backslash,
            }
        })?;
        let width = self.layout.header.len();
        if record.fields.len() != width {
            return Err(Refused {
                by_backslash: record.fields.iter().any(|f| f.bytes.ends_with(b"\\")),
                error: advice::ragged(&record, width, self.layout, self.place(row)),
            });
        }
        Ok(record)
    }

    fn place(&self, row: usize) -> Place {
        Place {
            file: self.file.to_owned(),
            row,
        }
    }

    fn cells(&self, record: Record, row: usize) -> Result<Cells, DataError> {
        // One column may serve twice (a label that is also the group), so each is copied.
        let cell = |i: usize| {
            let Some(field) = record.fields.get(i) else {
                return Ok(Cell::Missing);
            };
            let text = self.layout.text_of(field, i);
            let text = text.map_err(|()| DataError::InvalidUtf8 {
                place: self.place(row),
                column: i + 1,
                asked: self.wanted.asked,
            })?;
            if !field.quoted && advice::is_in_single_quotes(text) {
                return Err(advice::single_quotes(self.place(row)));
            }
            Ok(Cell::Text(text.to_owned()))
        };
        // Bytes of another encoding anywhere mean that the rest is misread, too.
        for (i, field) in record.fields.iter().enumerate() {
            self.layout
                .text_of(field, i)
                .map_err(|()| DataError::InvalidUtf8 {
                    place: self.place(row),
                    column: i + 1,
                    asked: self.wanted.asked,
                })?;
        }
        let positions = &self.layout.positions;
        Ok(Cells {
            text: cell(positions.text)?,
            text_pair: positions.text_pair.map(cell).transpose()?,
            label: match &positions.label {
                Some(labels) => Some(labels.map(|position| cell(*position))?),
                None => None,
            },
            group: positions.group.map(cell).transpose()?,
            client: positions.client.map(cell).transpose()?,
        })
    }
}
