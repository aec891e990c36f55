//! Tables in JSON: one object a line (JSON Lines), objects one after another over several lines,
//! or a list of objects.
//!
//! | module | what it is for |
//! |---|---|
//! | `object` | one row's object, of which no key may be there twice |
//! | `advice` | what to say of JSON that is no table |

mod advice;
mod object;

use std::path::Path;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Value;

use self::object::{Element, Object};
use super::asked::Setting;
use super::cells::{Cell, Cells, Rows};
use super::columns::{Found, Labels, find};
use super::error::{DataError, Place};
use super::room::Room;
use super::schema::Wanted;
use super::table::Row;

/// Reads a whole file's bytes in UTF-8; `file` is its name in messages.
pub(super) fn read(
    bytes: &[u8],
    file: &Path,
    wanted: Wanted<'_>,
    room: Room,
) -> Result<Vec<Row>, DataError> {
    let mut reading = Reading {
        file,
        wanted,
        rows: Rows::new(wanted, file, room),
        seen: false,
        groupless: None,
        listed: false,
    };
    match shape(bytes) {
        Shape::List => reading.list(bytes)?,
        Shape::Objects => reading.objects(bytes)?,
        Shape::Lines => reading.lines(bytes)?,
    }
    reading.check_group()?;
    Ok(reading.rows.into_rows())
}

enum Shape {
    /// One list of objects.
    List,
    /// Objects that go over several lines, or several objects on a line.
    Objects,
    /// One value a line.
    Lines,
}

/// How the objects of a file stand in it. What is none of the three counts as lines, of which the
/// first that is wrong is told.
fn shape(bytes: &[u8]) -> Shape {
    let begin = bytes.trim_ascii_start();
    let first = begin.split(|b| *b == b'\n').next().unwrap_or_default();
    match begin.first() {
        Some(b'[') if is_object_or_end(begin) => Shape::List,
        Some(b'{') => match serde_json::from_slice::<serde::de::IgnoredAny>(first) {
            Err(error) if error.is_eof() => Shape::Objects,
            Err(error) if error.to_string().starts_with("trailing characters") => Shape::Objects,
            _ => Shape::Lines,
        },
        _ => Shape::Lines,
    }
}

/// Whether a list's first element is an object, or whether it goes over several lines: a line
/// that is a list is something else.
fn is_object_or_end(list: &[u8]) -> bool {
    let inner = list.get(1..).unwrap_or_default().trim_ascii_start();
    matches!(inner.first(), Some(b'{' | b']'))
}

struct Reading<'a> {
    file: &'a Path,
    wanted: Wanted<'a>,
    rows: Rows<'a>,
    /// Whether an object was seen that had text and label.
    seen: bool,
    /// The keys of the first object, until one is seen that has a group.
    groupless: Option<Vec<String>>,
    /// Whether objects are elements of a list. An object by itself may hold a whole table.
    listed: bool,
}

impl Reading<'_> {
    fn place(&self, row: usize) -> Place {
        Place {
            file: self.file.to_owned(),
            row,
        }
    }

    /// Refuses a file none of whose objects has a group: the column is named wrongly.
    fn check_group(&self) -> Result<(), DataError> {
        let (Some(column), Some(keys)) = (self.wanted.group, &self.groupless) else {
            return Ok(());
        };
        match find(column, keys) {
            Found::At(_) | Found::Repeated => Ok(()),
            Found::Nowhere => Err(DataError::MissingColumn {
                file: self.file.to_owned(),
                setting: Setting::Group,
                asked: self.wanted.asked,
                column: column.to_owned(),
                found: keys.clone(),
                hint: None,
            }),
        }
    }

    fn lines(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
        for (line, row) in lines.filter(|(line, _)| !line.trim_ascii().is_empty()) {
            let line = str::from_utf8(line).map_err(|e| DataError::Syntax {
                place: self.place(row),
                problem: format!("byte {} of the line isn't valid UTF-8", e.valid_up_to() + 1),
                remedy: "save the file as UTF-8",
            })?;
            if line.starts_with(',') {
                return Err(advice::comma_between(self.place(row)));
            }
            let element = serde_json::from_str(line)
                .map_err(|e| advice::syntax(&e, self.place(row), advice::Counted::Columns))?;
            self.element(element, row)?;
        }
        Ok(())
    }

    fn objects(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let mut elements = serde_json::Deserializer::from_slice(bytes).into_iter::<Element>();
        for row in 1.. {
            let begin = elements.byte_offset();
            let Some(element) = elements.next() else {
                break;
            };
            let element = element.map_err(|e| {
                let rest = bytes.get(begin..).unwrap_or_default().trim_ascii_start();
                match rest.starts_with(b",") {
                    true => advice::comma_between(self.place(row)),
                    false => advice::syntax(&e, self.place(row), advice::Counted::Lines),
                }
            })?;
            self.element(element, row)?;
        }
        Ok(())
    }

    fn list(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let mut failed = None;
        self.listed = true;
        let list = List {
            reading: self,
            failed: &mut failed,
            row: 0,
        };
        let read = json.deserialize_seq(list).and_then(|()| json.end());
        match (failed, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => {
                let place = self.place(self.rows.count() + 1);
                Err(advice::syntax(&error, place, advice::Counted::Lines))
            }
            (None, Ok(())) => Ok(()),
        }
    }

    fn element(&mut self, element: Element, row: usize) -> Result<(), DataError> {
        let object = match element {
            Element::Object(object) => object,
            Element::Other(kind) => {
                return Err(DataError::Syntax {
                    place: self.place(row),
                    problem: format!("{kind}, not an object"),
                    remedy: advice::ONE_OBJECT,
                });
            }
        };
        if !self.seen
            && !self.listed
            && let Some(problem) = advice::not_a_row(&object, self.wanted)
        {
            return Err(advice::not_rows(problem, self.file));
        }
        let cells = self.cells(&object, row)?;
        match cells.group {
            Some(Cell::Missing) if !self.seen => self.groupless = Some(object.keys),
            Some(Cell::Missing) => {}
            _ => self.groupless = None,
        }
        self.seen = true;
        self.rows.add(cells, row)
    }

    fn cells(&self, object: &Object, row: usize) -> Result<Cells, DataError> {
        let value = |setting, column| self.value(object, setting, column, row);
        let own = self.wanted.label_columns();
        let is_there = |name: &str| position(object, name) != Found::Nowhere;
        let label = |column| {
            let each = !is_there(column) && !own.is_empty() && own.iter().any(|n| is_there(n));
            Ok::<_, DataError>(if each {
                let own = own
                    .iter()
                    .map(|name| Ok(cell(value(Setting::Label, name)?)));
                Labels::Each(own.collect::<Result<_, DataError>>()?)
            } else {
                Labels::Column(list(value(Setting::Label, column)?))
            })
        };
        Ok(Cells {
            text: cell(value(Setting::Text, self.wanted.text)?),
            text_pair: match self.wanted.text_pair {
                Some(column) => Some(cell(value(Setting::TextPair, column)?)),
                None => None,
            },
            label: self.wanted.label.map(label).transpose()?,
            group: match self.wanted.group {
                // Left out, as null: a gap.
                Some(column) => Some(match position(object, column) {
                    Found::Nowhere => Cell::Missing,
                    _ => group(value(Setting::Group, column)?),
                }),
                None => None,
            },
            client: match self.wanted.client {
                Some(column) => Some(group(value(Setting::Client, column)?)),
                None => None,
            },
        })
    }

    /// The value of a column. Where the first object lacks it, the column is named wrongly;
    /// where a later one does, the value is missing.
    fn value<'o>(
        &self,
        object: &'o Object,
        setting: Setting,
        column: &str,
        row: usize,
    ) -> Result<&'o Value, DataError> {
        match position(object, column) {
            Found::At(i) => Ok(&object.values[i]),
            Found::Repeated => Err(DataError::RepeatedColumn {
                file: self.file.to_owned(),
                setting,
                asked: self.wanted.asked,
                column: column.to_owned(),
            }),
            Found::Nowhere if !self.seen => Err(DataError::MissingColumn {
                file: self.file.to_owned(),
                setting,
                asked: self.wanted.asked,
                column: column.to_owned(),
                found: object.keys.clone(),
                hint: advice::inside(object, column),
            }),
            Found::Nowhere => Err(DataError::MissingValue {
                place: self.place(row),
                column: column.to_owned(),
            }),
        }
    }
}

fn position(object: &Object, column: &str) -> Found {
    match object.keys.iter().position(|key| key == column) {
        Some(i) => Found::At(i),
        None => find(column, &object.keys),
    }
}

/// A label or a list of labels.
fn list(value: &Value) -> Cell {
    match value {
        Value::Array(values) => Cell::List(values.iter().map(cell).collect()),
        other => cell(other),
    }
}

/// A group. `7.0` beside `7` are two spellings, as in any text.
fn group(value: &Value) -> Cell {
    match cell(value) {
        Cell::Float { exact: true, .. } => Cell::Text(value.to_string()),
        cell => cell,
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Missing,
        Value::String(text) => Cell::Text(text.clone()),
        Value::Bool(truth) => Cell::Truth(*truth),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => Cell::double(value),
            _ => Cell::Whole(number.to_string()),
        },
        Value::Array(_) => Cell::Other("a list"),
        Value::Object(_) => Cell::Other("an object"),
    }
}

/// Reads a list's elements as they come, so that none is kept but as a row.
struct List<'r, 'a> {
    reading: &'r mut Reading<'a>,
    failed: &'r mut Option<DataError>,
    row: usize,
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<Element>()? {
            self.row += 1;
            if let Err(error) = self.reading.element(element, self.row) {
                *self.failed = Some(error);
                return Err(serde::de::Error::custom("a row is wrong"));
            }
        }
        Ok(())
    }
}
