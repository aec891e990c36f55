//! Tables in JSON Lines: one object a line.

use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{group_value, is_exact, without_byte_order_mark};
use super::error::{DataError, Place};
use super::schema::TableSchema;
use super::table::Row;

/// Reads a whole file's bytes; `file` is its name in messages.
pub(super) fn read(bytes: &[u8], file: &Path, schema: &TableSchema) -> Result<Vec<Row>, DataError> {
    without_byte_order_mark(bytes)
        .split(|byte| *byte == b'\n')
        .zip(1..)
        .filter(|(line, _)| !line.trim_ascii().is_empty())
        .map(|(line, row)| {
            let object = Object {
                fields: parse(line, || place(file, row))?,
                file,
                row,
            };
            object.row(schema)
        })
        .collect()
}

fn place(file: &Path, row: usize) -> Place {
    Place {
        file: file.to_owned(),
        row,
    }
}

fn parse(line: &[u8], place: impl Fn() -> Place) -> Result<Map<String, Value>, DataError> {
    let syntax = |problem| DataError::Syntax {
        place: place(),
        problem,
        remedy: "write one JSON object a line",
    };
    let line = str::from_utf8(line).map_err(|e| DataError::Syntax {
        place: place(),
        problem: format!("byte {} of the line isn't valid UTF-8", e.valid_up_to() + 1),
        remedy: "save the file as UTF-8",
    })?;
    match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(syntax(format!("{}, not an object", kind(&other)))),
        Err(e) => Err(syntax(format!(
            "not valid JSON at column {} ({})",
            e.column(),
            reason(&e)
        ))),
    }
}

/// What the parser says, without its own count of lines, which is always 1 here.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// One line's object.
struct Object<'a> {
    fields: Map<String, Value>,
    file: &'a Path,
    row: usize,
}

impl Object<'_> {
    fn row(&self, schema: &TableSchema) -> Result<Row, DataError> {
        Ok(Row {
            text: self.text(&schema.text)?,
            label: self.label(&schema.label)?,
            group: match &schema.group {
                Some(column) => self.group(column)?,
                None => None,
            },
            row: self.row,
        })
    }

    fn value(&self, column: &str) -> Result<&Value, DataError> {
        self.fields
            .get(column)
            .ok_or_else(|| DataError::MissingValue {
                place: place(self.file, self.row),
                column: column.to_owned(),
            })
    }

    /// A string; `null` is a blank text, as an empty cell of a spreadsheet is.
    fn text(&self, column: &str) -> Result<String, DataError> {
        match self.value(column)? {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            other => Err(self.wrong_type(column, other, "a string")),
        }
    }

    /// A string, a number or a truth value, as its text.
    fn label(&self, column: &str) -> Result<String, DataError> {
        match self.value(column)? {
            Value::String(label) => Ok(label.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Null => Err(DataError::MissingValue {
                place: place(self.file, self.row),
                column: column.to_owned(),
            }),
            other => Err(self.wrong_type(column, other, "a string, a number, true or false")),
        }
    }

    /// A string or a whole number, with `.0` where a data frame that keeps gaps has written it
    /// so. A number beyond what a float holds exactly is refused: two people whose numbers round
    /// to one would become one.
    fn group(&self, column: &str) -> Result<Option<String>, DataError> {
        match self.fields.get(column) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(group)) => Ok(group_value(group)),
            Some(Value::Number(number))
                if !number.is_f64() || number.as_f64().is_some_and(is_exact) =>
            {
                Ok(Some(number.to_string()))
            }
            Some(other) => {
                Err(self.wrong_type(column, other, "a string or a whole number below 2^63"))
            }
        }
    }

    fn wrong_type(&self, column: &str, found: &Value, expected: &'static str) -> DataError {
        DataError::WrongType {
            place: place(self.file, self.row),
            column: column.to_owned(),
            found: kind(found),
            expected,
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction or a very large number",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
