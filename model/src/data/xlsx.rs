//! Tables in Excel's workbooks, cell by cell: a sheet that says it is a million columns wide takes
//! no more memory than the cells that it has.

mod archive;
mod value;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{DataRef, Reader, Xlsx, XlsxError};

use self::archive::check_archive;
use self::value::{as_text, cell, name};
use super::asked::Setting;
use super::cells::{Cell, Cells, Rows};
use super::columns::{ColumnPositions, Labels};
use super::error::{DataError, Place};
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
    let merges = check_archive(&bytes, file, room)?;
    // Nothing outlives a caught panic but the error.
    let read = catch_unwind(AssertUnwindSafe(|| {
        read_sheet(bytes, merges, file, wanted, room)
    }));
    read.unwrap_or_else(|_| Err(damaged(file, "it is damaged")))
}

fn damaged(file: &Path, problem: impl ToString) -> DataError {
    DataError::Workbook {
        file: file.to_owned(),
        problem: problem.to_string(),
    }
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
    merges: bool,
    file: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<XlsxTable, DataError> {
    let mut workbook: Workbook = Xlsx::new(Cursor::new(bytes)).map_err(|e| damaged(file, e))?;
    let sheets = workbook.sheet_names();
    let (sheet, header) = choose(&mut workbook, &sheets, file, wanted)?;
    if merges {
        refuse_merged(&mut workbook, &sheet, &header, file)?;
    }
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

/// Refuses a column in which one cell goes over several rows: only the first of them has its value.
fn refuse_merged(
    workbook: &mut Workbook,
    sheet: &str,
    header: &Header,
    file: &Path,
) -> Result<(), DataError> {
    let wrong = |e: XlsxError| damaged(file, format!("sheet {sheet:?}: {e}"));
    let regions = workbook.merge_cells_by_sheet_name(sheet).map_err(wrong)?;
    let labels = header.label.iter().flat_map(Labels::iter);
    let others = [header.text_pair, header.group, header.client];
    let columns: Vec<u32> = std::iter::once(header.text)
        .chain(labels.copied())
        .chain(others.into_iter().flatten())
        .collect();
    let merged = regions.into_iter().find(|region| {
        let goes_down = region.start.0 > header.row && region.end.0 > region.start.0;
        let among = |column: &u32| (region.start.1..=region.end.1).contains(column);
        goes_down && columns.iter().any(among)
    });
    match merged {
        None => Ok(()),
        Some(region) => Err(DataError::Syntax {
            place: Place {
                file: file.to_owned(),
                row: region.start.0 as usize + 1,
            },
            problem: format!(
                "its cell in a column that is read is merged with those below, down to row {}",
                u64::from(region.end.0) + 1
            ),
            remedy: "unmerge the cells, and give each row its own value",
        }),
    }
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
