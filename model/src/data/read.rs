//! From a file to a table, by what is found in it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use encoding_rs::UTF_8;

use super::content::{self, Content};
use super::encoding::to_utf8;
use super::error::DataError;
use super::options::TableFormat;
use super::room::Room;
use super::schema::{TableSchema, Wanted};
use super::table::{Row, Table};
use super::{arrow, compression, csv, json, parquet, parts, xlsx};

/// Bytes from which a file is known.
const HEAD: u64 = 1024;

/// Reads a table: CSV (RFC 4180) with a header and columns between commas, semicolons, tabs or
/// pipes; JSON Lines or a list of objects; Parquet; Arrow; a workbook of Excel; or a folder of such files.
/// Text may be in UTF-8 or UTF-16, or in another encoding that `schema` names, and it may be
/// compressed by gzip or Zstandard. The file's content decides; its name only where the content
/// could be anything.
///
/// # Errors
/// [`DataError`] names the file, the row and the remedy.
pub fn read_table(path: &Path, schema: &TableSchema) -> Result<Table, DataError> {
    let part = read_wanted(path, schema.wanted())?;
    Ok(Table {
        file: path.to_owned(),
        group: schema.group_column(),
        cleaned: false,
        asked: schema.asked,
        class_names: part.class_names,
        notes: part.notes,
        rows: part.rows,
    })
}

/// Reads the texts of a table alone, each with its second one where rows are pairs, as
/// [`read_table`] does; it needs no labels. Blank ones are among them.
///
/// # Errors
/// [`DataError`] names the file, the row and the remedy.
pub fn read_texts(
    path: &Path,
    schema: &TableSchema,
) -> Result<Vec<(String, Option<String>)>, DataError> {
    let part = read_wanted(path, schema.texts_only())?;
    let texts = part.rows.into_iter();
    Ok(texts.map(|row| (row.text, row.second)).collect())
}

/// What comes out of one file.
#[derive(Default)]
struct Part {
    rows: Vec<Row>,
    class_names: Vec<String>,
    notes: Vec<String>,
}

fn read_wanted(path: &Path, wanted: Wanted<'_>) -> Result<Part, DataError> {
    let part = if path.is_dir() {
        read_folder(path, wanted)?
    } else {
        read_file(path, wanted)?
    };
    if part.rows.is_empty() {
        return Err(DataError::NoRows {
            file: path.to_owned(),
            cleaned: false,
        });
    }
    Ok(part)
}

/// All parts of a folder, rows numbered through.
fn read_folder(folder: &Path, wanted: Wanted<'_>) -> Result<Part, DataError> {
    let mut whole: Option<Part> = None;
    for path in parts::of(folder)? {
        let part = match read_file(&path, wanted) {
            // Writers leave empty parts behind.
            Err(DataError::NoRows { .. }) => continue,
            part => part?,
        };
        match &mut whole {
            None => whole = Some(part),
            Some(whole) => {
                if whole.class_names != part.class_names {
                    return Err(DataError::ClassNames {
                        file: folder.to_owned(),
                        part: path,
                    });
                }
                let before = whole.rows.len();
                whole.rows.extend(part.rows.into_iter().map(|row| Row {
                    row: before + row.row,
                    ..row
                }));
            }
        }
    }
    Ok(whole.unwrap_or_default())
}

fn read_file(path: &Path, wanted: Wanted<'_>) -> Result<Part, DataError> {
    let unreadable = |source: io::Error| DataError::Unreadable {
        file: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let head = file.by_ref().take(HEAD).read_to_end(&mut bytes);
    head.map_err(unreadable)?;
    let content = Content::of(&bytes);
    let format = wanted.options.format.or(content.format());
    if let (Content::Other(found), None | Some(TableFormat::Csv | TableFormat::Json)) =
        (content, format)
    {
        return Err(DataError::Unread {
            file: path.to_owned(),
            found,
        });
    }
    if format == Some(TableFormat::Parquet) {
        let size = file.metadata().map_err(unreadable)?.len();
        file.rewind().map_err(unreadable)?;
        let table = parquet::read(file, path, wanted, Room::of_file(size))?;
        return Ok(Part {
            rows: table.rows,
            class_names: table.class_names,
            notes: Vec::new(),
        });
    }
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    let room = Room::of_file(bytes.len() as u64);
    if format == Some(TableFormat::Arrow) {
        let table = arrow::read(bytes, path, wanted, room)?;
        return Ok(Part {
            rows: table.rows,
            class_names: table.class_names,
            notes: Vec::new(),
        });
    }
    if format == Some(TableFormat::Xlsx) {
        let table = xlsx::read(bytes, path, wanted, room)?;
        return Ok(Part {
            rows: table.rows,
            notes: table.notes,
            class_names: Vec::new(),
        });
    }
    let bytes = compression::unpacked(bytes, room, path)?;
    read_text(&bytes, path, format, wanted, room)
}

fn read_text(
    bytes: &[u8],
    path: &Path,
    format: Option<TableFormat>,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<Part, DataError> {
    let (text, encoding) = to_utf8(bytes, wanted.options.encoding, path, wanted.asked)?;
    let mut notes = Vec::new();
    if encoding != UTF_8 {
        notes.push(format!("it was read as {}", encoding.name()));
    }
    if is_json(&text, path, format) {
        return Ok(Part {
            rows: json::read(&text, path, wanted, room)?,
            class_names: Vec::new(),
            notes,
        });
    }
    if let (None, true, Some(found)) = (
        wanted.options.encoding,
        encoding == UTF_8,
        content::binary(&text),
    ) {
        return Err(DataError::Unread {
            file: path.to_owned(),
            found,
        });
    }
    let table = csv::read(&text, path, wanted, room)?;
    notes.extend(table.notes);
    Ok(Part {
        rows: table.rows,
        class_names: Vec::new(),
        notes,
    })
}

/// Whether a text is JSON: it begins as JSON does, or is called so, unless it is declared to be
/// something else.
fn is_json(text: &[u8], path: &Path, declared: Option<TableFormat>) -> bool {
    match declared {
        Some(format) => format == TableFormat::Json,
        None => {
            let begins = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
            begins || is_called_json(path)
        }
    }
}

fn is_called_json(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let name = name
        .strip_suffix(".gz")
        .or(name.strip_suffix(".zst"))
        .unwrap_or(&name);
    [".json", ".jsonl", ".ndjson"]
        .iter()
        .any(|end| name.ends_with(end))
}
