//! What cells hold, whatever the format, and what a text, a label and a group may be.

use std::path::Path;

use super::asked::Setting;
use super::class_names;
use super::columns::{Columns, group_value, is_exact};
use super::error::{DataError, Place};
use super::label_form::tidy;
use super::room::Room;
use super::row_label::RowLabel;
use super::schema::{LabelsPerRow, Wanted};
use super::table::Row;

/// A cell as a reader found it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Nothing: null, or a cell that was never filled in.
    Missing,
    /// Text.
    Text(String),
    /// A whole number, in digits.
    Whole(String),
    /// A number with a fraction that is known to the last digit, in digits.
    Decimal(String),
    /// A floating-point number. `exact` is whether every whole number of its size has one of its
    /// own.
    Float { value: f64, exact: bool },
    /// True or false.
    Truth(bool),
    /// A list of such.
    List(Vec<Cell>),
    /// Anything else, in words: "an object".
    Other(&'static str),
}

impl Cell {
    /// A number of 64 bits.
    pub(super) fn double(value: f64) -> Self {
        Self::Float {
            value,
            exact: is_exact(value),
        }
    }

    /// A number of 32 bits.
    pub(super) fn single(number: f32) -> Self {
        let limit = (1_u32 << f32::MANTISSA_DIGITS) as f32;
        // As it is written in its own precision: 0.1, not 0.10000000149.
        let value = format!("{number:?}").parse().unwrap_or(f64::from(number));
        Self::Float {
            value,
            exact: number.fract() == 0.0 && number.abs() < limit,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Text(_) => "a string",
            Self::Whole(_) => "a number",
            Self::Float { value, .. } if value.fract() != 0.0 && value.is_finite() => "a fraction",
            Self::Float { .. } => "a number too large to be exact",
            Self::Decimal(_) => "a fraction",
            Self::Truth(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        const ITSELF: usize = 32;
        ITSELF
            + match self {
                Self::Text(text) | Self::Whole(text) | Self::Decimal(text) => text.len(),
                Self::List(cells) => cells.iter().map(Self::bytes).sum(),
                _ => 0,
            }
    }
}

/// One row's cells.
pub(super) type Cells = Columns<Cell>;

/// Makes rows of cells, by the same rules for every format.
pub(super) struct Rows<'a> {
    pub(super) wanted: Wanted<'a>,
    file: &'a Path,
    room: Room,
    rows: Vec<Row>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(wanted: Wanted<'a>, file: &'a Path, room: Room) -> Self {
        Self {
            wanted,
            file,
            room,
            rows: Vec::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    /// The room that is left.
    pub(super) fn room(&self) -> Room {
        self.room
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Adds a row. One without any value is a blank line, and is passed over.
    ///
    /// # Errors
    /// [`DataError`] for a cell that isn't what its column must hold.
    pub(super) fn add(&mut self, cells: Cells, row: usize) -> Result<(), DataError> {
        let place = || Place {
            file: self.file.to_owned(),
            row,
        };
        let text = self.text(cells.text, Setting::Text, &place)?;
        let second = cells.text_pair;
        let second = second.map(|cell| self.text(cell, Setting::TextPair, &place));
        let second = second.transpose()?;
        let blank = |text: &String| text.trim().is_empty();
        let textless = blank(&text) || second.as_ref().is_some_and(blank);
        let label = match cells.label {
            Some(cells) => self.row_label(cells, textless, &place)?,
            None => RowLabel::One(String::new()),
        };
        let group = match cells.group {
            Some(cell) => self.id(cell, Setting::Group, &place)?,
            None => None,
        };
        let client = match cells.client {
            Some(cell) => Some(self.client(cell, &place)?),
            None => None,
        };
        let bytes = text.len()
            + second.as_ref().map_or(0, String::len)
            + label.bytes()
            + group.as_ref().map_or(0, String::len)
            + client.as_ref().map_or(0, String::len);
        self.room.take(bytes + size_of::<Row>(), self.file)?;
        self.rows.push(Row {
            text,
            second,
            label,
            group,
            client,
            row,
        });
        Ok(())
    }

    /// Adds the rows of columns that are equally long, numbers of labels by their names.
    ///
    /// # Errors
    /// [`DataError`] as [`Self::add`] has it, and for a number without a name.
    pub(super) fn add_columns(
        &mut self,
        columns: Columns<Vec<Cell>>,
        class_names: &[String],
    ) -> Result<(), DataError> {
        let count = columns.text.len();
        let mut columns = columns.map(|_, cells| Ok::<_, DataError>(cells.into_iter()))?;
        for _ in 0..count {
            let row = self.rows.len() + 1;
            let place = || Place {
                file: self.file.to_owned(),
                row,
            };
            let cells = columns.each_mut().map(|setting, cells| {
                let cell = cells.next().unwrap_or(Cell::Missing);
                match setting {
                    Setting::Label => class_names::named(cell, class_names, &place),
                    _ => Ok(cell),
                }
            })?;
            self.add(cells, row)?;
        }
        Ok(())
    }

    /// A string; what is missing is a blank text, as an empty cell of a spreadsheet is.
    fn text(
        &self,
        cell: Cell,
        setting: Setting,
        place: &impl Fn() -> Place,
    ) -> Result<String, DataError> {
        match cell {
            Cell::Text(text) => Ok(text),
            Cell::Missing => Ok(String::new()),
            other => Err(self.wrong_type(setting, &other, "a string", place)),
        }
    }

    /// A string, a number or a truth value, as its text. A row without text needs none: it is
    /// dropped or refused for that. A class whose number a float may have rounded is refused: two
    /// classes might have become one.
    pub(super) fn label(
        &self,
        cell: Cell,
        textless: bool,
        place: &impl Fn() -> Place,
    ) -> Result<String, DataError> {
        let label = match cell {
            Cell::Text(text) => tidy(&text),
            Cell::Whole(digits) | Cell::Decimal(digits) => digits,
            Cell::Float { value, .. } if value.is_nan() => String::new(),
            Cell::Float {
                value,
                exact: false,
            } if value.fract() == 0.0 && *self.wanted.labels != LabelsPerRow::Value => {
                let expected = "a string, or a number that is exact as it is stored";
                return Err(self.wrong_type(Setting::Label, &cell, expected, place));
            }
            // As data frames and JSON write it.
            Cell::Float { value, .. } if value.is_finite() => format!("{value:?}"),
            Cell::Truth(truth) => truth.to_string(),
            Cell::Missing => String::new(),
            other => {
                let expected = "a string, a number, true or false";
                return Err(self.wrong_type(Setting::Label, &other, expected, place));
            }
        };
        if label.is_empty() && !textless {
            return Err(DataError::MissingLabel {
                place: place(),
                word: label,
                asked: self.wanted.asked,
            });
        }
        Ok(label)
    }

    /// A string or a whole number, with `.0` where a data frame that keeps gaps has written it
    /// so. A number beyond what a float holds exactly is refused: two people whose numbers round
    /// to one would become one.
    fn id(
        &self,
        cell: Cell,
        setting: Setting,
        place: &impl Fn() -> Place,
    ) -> Result<Option<String>, DataError> {
        match cell {
            Cell::Missing => Ok(None),
            Cell::Text(text) => Ok(group_value(&text)),
            Cell::Whole(digits) => Ok(Some(digits)),
            // What isn't a number is how data frames write a gap.
            Cell::Float { value, .. } if value.is_nan() => Ok(None),
            // Zero has one spelling.
            Cell::Float { value, exact: true } => Ok(Some(format!("{:.0}", value + 0.0))),
            other => {
                let expected = "a string or a whole number below 2^63";
                Err(self.wrong_type(setting, &other, expected, place))
            }
        }
    }

    /// The client to which a row goes: an id that every row has.
    fn client(&self, cell: Cell, place: &impl Fn() -> Place) -> Result<String, DataError> {
        let id = self.id(cell, Setting::Client, place)?;
        id.ok_or_else(|| DataError::MissingValue {
            place: place(),
            column: self.wanted.client.unwrap_or_default().to_owned(),
        })
    }

    pub(super) fn wrong_type(
        &self,
        setting: Setting,
        found: &Cell,
        expected: &'static str,
        place: &impl Fn() -> Place,
    ) -> DataError {
        let column = self.wanted.columns().find(|(of, _)| *of == setting);
        DataError::WrongType {
            place: place(),
            column: column.map_or_else(String::new, |(_, column)| column.to_owned()),
            found: found.kind(),
            expected,
        }
    }
}
