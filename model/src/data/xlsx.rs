//! Tables in Excel's workbooks, cell by cell: a sheet that says it is a million columns wide takes
//! no more memory than the cells that it has.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{DataRef, Reader, Xlsx, XlsxError};
use zip::ZipArchive;

use super::asked::Setting;
use super::cells::{Cell, Cells, Rows};
use super::columns::{ColumnPositions, Labels};
use super::content::Unread;
use super::error::DataError;
use super::room::Room;
use super::schema::Wanted;
use super::table::Row;

type Workbook = Xlsx<Cursor<Vec<u8>>>;

/// Rows of a sheet among which its header is looked for: people put titles above it.
const HEADER_WITHIN: usize = 20;

/// The rows of a sheet, and what was found out about it.
pub(super) struct XlsxTable {
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
}

/// Reads a whole file's bytes; `file` is its name in messages.
pub(super) fn read(
    bytes: Vec<u8>,
    file: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<XlsxTable, DataError> {
    check_archive(&bytes, file, room)?;
    // Nothing outlives a caught panic but the error.
    let read = catch_unwind(AssertUnwindSafe(|| read_sheet(bytes, file, wanted, room)));
    read.unwrap_or_else(|_| Err(damaged(file, "it is damaged")))
}

fn damaged(file: &Path, problem: impl ToString) -> DataError {
    DataError::Workbook {
        file: file.to_owned(),
        problem: problem.to_string(),
    }
}

/// Refuses archives that aren't workbooks, and those that unpack to more than there is room for.
fn check_archive(bytes: &[u8], file: &Path, mut room: Room) -> Result<(), DataError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(file, e))?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.to_ascii_lowercase()))
        .collect();
    if !names.iter().any(|name| name.ends_with("workbook.xml")) {
        return Err(DataError::Unread {
            file: file.to_owned(),
            found: other_archive(&names),
        });
    }
    for i in 0..archive.len() {
        let part = archive.by_index(i).map_err(|e| damaged(file, e))?;
        let name = part.name().unwrap_or_default().to_ascii_lowercase();
        let strings = name.ends_with("sharedstrings.xml");
        let mut content = Vec::new();
        part.take(room.left().saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|e| damaged(file, e))?;
        room.take(content.len(), file)?;
        if strings && announces_too_many(&content) {
            return Err(damaged(file, "it announces more texts than it holds"));
        }
    }
    Ok(())
}

/// What an archive is that holds no workbook.
fn other_archive(names: &[String]) -> Unread {
    let holds = |part: &str| names.iter().any(|name| name.ends_with(part));
    if names.iter().any(|name| name == "content.xml") {
        Unread {
            what: "an OpenDocument file (.ods)",
            remedy: "save it as .xlsx, or as CSV in UTF-8",
        }
    } else if holds("workbook.bin") {
        Unread {
            what: "a binary workbook (.xlsb)",
            remedy: "save it as .xlsx, or as CSV UTF-8",
        }
    } else {
        Unread {
            what: "a zip archive",
            remedy: "unpack it, or compress the table with gzip or zstd",
        }
    }
}

/// Whether a part announces more strings than it has bytes: room for them is made in advance.
fn announces_too_many(part: &[u8]) -> bool {
    const COUNT: &[u8] = b"uniqueCount";
    let places = part.windows(COUNT.len()).enumerate();
    places
        .filter(|(_, window)| *window == COUNT)
        .any(|(at, _)| {
            let after = part.get(at + COUNT.len()..).unwrap_or_default();
            let digits: String = after
                .iter()
                .take(64)
                .skip_while(|byte| b"=\"' \t\r\n+".contains(byte))
                .take_while(|byte| byte.is_ascii_digit())
                .map(|byte| char::from(*byte))
                .collect();
            !digits.is_empty() && digits.parse().map_or(true, |n: usize| n > part.len())
        })
}

/// A sheet's header: which row it is, and where the columns are.
struct Header {
    row: u32,
    text: u32,
    text_pair: Option<u32>,
    label: Option<Labels<u32>>,
    group: Option<u32>,
    client: Option<u32>,
}

fn read_sheet(
    bytes: Vec<u8>,
    file: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<XlsxTable, DataError> {
    let mut workbook: Workbook = Xlsx::new(Cursor::new(bytes)).map_err(|e| damaged(file, e))?;
    let sheets = workbook.sheet_names();
    let (sheet, header) = choose(&mut workbook, &sheets, file, wanted)?;
    let rows = rows_of(&mut workbook, &sheet, &header, file, wanted, room)?;
    let notes = vec![format!(
        "it is an Excel workbook; its sheet {sheet:?} was read"
    )];
    Ok(XlsxTable { rows, notes })
}

/// The sheet that is named, or the only one that has the columns.
fn choose(
    workbook: &mut Workbook,
    sheets: &[String],
    file: &Path,
    wanted: Wanted<'_>,
) -> Result<(String, Header), DataError> {
    let several = |found: Vec<String>, column: &str| DataError::Sheets {
        file: file.to_owned(),
        asked: wanted.asked,
        problem: column.to_owned(),
        found,
    };
    let candidates: Vec<&String> = match &wanted.options.sheet {
        Some(named) => sheets.iter().filter(|sheet| *sheet == named).collect(),
        None => sheets.iter().collect(),
    };
    if candidates.is_empty() {
        let problem = match &wanted.options.sheet {
            Some(named) => format!("no sheet {named:?}"),
            None => "no sheets".into(),
        };
        return Err(several(sheets.to_vec(), &problem));
    }
    let mut serving = Vec::new();
    let mut refused = None;
    for sheet in candidates {
        match header_of(workbook, sheet, file, wanted) {
            Ok(header) => serving.push((sheet.clone(), header)),
            Err(error @ DataError::NoRows { .. }) => {
                refused.get_or_insert(error);
            }
            // The columns of a sheet that has some say more than that another is empty.
            Err(error) => match refused {
                None | Some(DataError::NoRows { .. }) => refused = Some(error),
                Some(_) => {}
            },
        }
    }
    if serving.len() > 1 {
        let found = serving.into_iter().map(|(sheet, _)| sheet).collect();
        return Err(several(found, "more than one sheet with these columns"));
    }
    serving.pop().ok_or_else(|| {
        refused.unwrap_or(DataError::NoRows {
            file: file.to_owned(),
            cleaned: false,
        })
    })
}

/// The first row that names all columns, or the first one at all.
fn header_of(
    workbook: &mut Workbook,
    sheet: &str,
    file: &Path,
    wanted: Wanted<'_>,
) -> Result<Header, DataError> {
    let mut first: Option<Vec<String>> = None;
    let mut seen = 0;
    let mut header = None;
    each_row(workbook, sheet, file, |row, cells| {
        let names: Vec<String> = cells.iter().map(|(_, value)| name(value)).collect();
        if names.iter().all(|name| name.trim().is_empty()) {
            return Ok(true);
        }
        if let Ok(positions) = ColumnPositions::find(wanted, &names, file, || None) {
            let column = |i: usize| cells.get(i).map_or(0, |(column, _)| *column);
            header = Some(Header {
                row,
                text: column(positions.text),
                text_pair: positions.text_pair.map(column),
                label: positions.label.map(|labels| match labels {
                    Labels::Column(i) => Labels::Column(column(i)),
                    Labels::Each(each) => Labels::Each(each.into_iter().map(column).collect()),
                }),
                group: positions.group.map(column),
                client: positions.client.map(column),
            });
            return Ok(false);
        }
        first.get_or_insert(names);
        seen += 1;
        Ok(seen < HEADER_WITHIN)
    })?;
    if let Some(header) = header {
        return Ok(header);
    }
    let Some(names) = first else {
        return Err(DataError::NoRows {
            file: file.to_owned(),
            cleaned: false,
        });
    };
    let hint = || {
        Some(format!(
            "name the right one {}, or another sheet than {sheet:?} {}",
            wanted.asked.by(Setting::Text),
            wanted.asked.by(Setting::Sheet)
        ))
    };
    // One that is named twice.
    ColumnPositions::find(wanted, &names, file, hint).and(Err(damaged(file, "its header changed")))
}

fn rows_of(
    workbook: &mut Workbook,
    sheet: &str,
    header: &Header,
    file: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<Vec<Row>, DataError> {
    let mut rows = Rows::new(wanted, file, room);
    each_row(workbook, sheet, file, |row, cells| {
        if row <= header.row {
            return Ok(true);
        }
        let value = |column: u32| {
            let found = cells.iter().find(|(at, _)| *at == column);
            found.map_or(Cell::Missing, |(_, value)| cell(value))
        };
        let made = Cells {
            text: as_text(value(header.text)),
            text_pair: header.text_pair.map(|column| as_text(value(column))),
            label: header.label.as_ref().map(|labels| match labels {
                Labels::Column(column) => Labels::Column(value(*column)),
                Labels::Each(each) => Labels::Each(each.iter().map(|c| value(*c)).collect()),
            }),
            group: header.group.map(value),
            client: header.client.map(value),
        };
        let blank = |cell: &Cell| match cell {
            Cell::Missing => true,
            Cell::Text(text) => text.trim().is_empty(),
            _ => false,
        };
        let labels = made.label.iter().flat_map(Labels::iter);
        let mut others = labels
            .chain(&made.group)
            .chain(&made.client)
            .chain(&made.text_pair);
        if !blank(&made.text) || !others.all(blank) {
            rows.add(made, row as usize + 1)?;
        }
        Ok(true)
    })?;
    Ok(rows.into_rows())
}

/// Hands each row that has cells to `take`, with the column of each; until it says that it has
/// enough.
fn each_row(
    workbook: &mut Workbook,
    sheet: &str,
    file: &Path,
    mut take: impl FnMut(u32, &[(u32, DataRef<'_>)]) -> Result<bool, DataError>,
) -> Result<(), DataError> {
    let wrong = |e: XlsxError| damaged(file, format!("sheet {sheet:?}: {e}"));
    let mut reader = match workbook.worksheet_cells_reader(sheet) {
        Ok(reader) => reader,
        // A chart is a sheet, too.
        Err(XlsxError::NotAWorksheet(_)) => return Ok(()),
        Err(error) => return Err(wrong(error)),
    };
    let mut cells = Vec::new();
    let mut current = 0;
    while let Some(cell) = reader.next_cell().map_err(wrong)? {
        let (row, column) = cell.get_position();
        if row != current && !cells.is_empty() {
            if !take(current, &cells)? {
                return Ok(());
            }
            cells.clear();
        }
        if row < current {
            return Err(damaged(
                file,
                format!("sheet {sheet:?}: its rows are out of order"),
            ));
        }
        current = row;
        cells.push((column, cell.get_value().clone()));
    }
    if !cells.is_empty() {
        take(current, &cells)?;
    }
    Ok(())
}

fn name(value: &DataRef<'_>) -> String {
    match cell(value) {
        Cell::Text(text) | Cell::Whole(text) => text,
        _ => String::new(),
    }
}

fn cell(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::Empty => Cell::Missing,
        DataRef::String(text) => Cell::Text(text.clone()),
        DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
        DataRef::Bool(truth) => Cell::Truth(*truth),
        DataRef::Int(number) => Cell::Whole(number.to_string()),
        DataRef::Float(number) => float(*number),
        DataRef::DateTime(_) | DataRef::DateTimeIso(_) => Cell::Other("a date or a time"),
        DataRef::DurationIso(_) => Cell::Other("a duration"),
        DataRef::Error(error) => Cell::Text(error.to_string()),
    }
}

/// A number. A workbook has no whole numbers of their own, and keeps 15 digits.
fn float(number: f64) -> Cell {
    const EXACT: f64 = 1e15;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Cell::Whole(format!("{:.0}", number + 0.0));
    }
    Cell::Float {
        value: number,
        exact: false,
    }
}

/// A text that a workbook took for a number or a truth value is that text.
fn as_text(cell: Cell) -> Cell {
    match cell {
        Cell::Whole(digits) => Cell::Text(digits),
        Cell::Float { value, .. } => Cell::Text(value.to_string()),
        Cell::Truth(truth) => Cell::Text(truth.to_string().to_uppercase()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_announces_more_than_it_holds_is_known() {
        let part = |count: &str| format!("<sst uniqueCount=\"{count}\"><si><t>a</t></si></sst>");
        assert!(!announces_too_many(part("1").as_bytes()));
        assert!(announces_too_many(part("4294967295").as_bytes()));
        assert!(announces_too_many(
            part("99999999999999999999999").as_bytes()
        ));
        assert!(!announces_too_many(b"<sst/>"));
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        assert_eq!(float(3.0), Cell::Whole("3".into()));
        assert_eq!(float(-0.0), Cell::Whole("0".into()));
        assert_eq!(as_text(float(2.5)), Cell::Text("2.5".into()));
        assert!(matches!(float(1e15), Cell::Float { exact: false, .. }));
    }
}
