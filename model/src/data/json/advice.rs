//! What to say of JSON that is no table.

use std::path::Path;

use serde_json::Value;

use super::object::{Object, TWICE};
use crate::data::columns::{Found, find};
use crate::data::error::{DataError, Place};
use crate::data::schema::Wanted;

/// What a table is.
pub(super) const ONE_OBJECT: &str = "write one JSON object a line";

/// How the place of an error is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    /// By columns of the line that is known.
    Columns,
    /// By lines and columns.
    Lines,
}

/// The error for what isn't JSON, or not of the kind that is read.
pub(super) fn syntax(error: &serde_json::Error, place: Place, counted: Counted) -> DataError {
    let reason = reason(error);
    if reason.starts_with(TWICE) {
        return DataError::Syntax {
            place,
            problem: reason,
            remedy: "leave one of them",
        };
    }
    let at = match counted {
        Counted::Columns => format!("column {}", error.column()),
        Counted::Lines => format!("line {}, column {}", error.line(), error.column()),
    };
    DataError::Syntax {
        place,
        remedy: remedy(&reason),
        problem: format!("not valid JSON at {at} ({reason})"),
    }
}

/// What to do about what the parser says.
fn remedy(reason: &str) -> &'static str {
    match reason {
        "trailing comma" => "remove the comma behind the last element",
        "key must be a string" => {
            "write keys and texts in double quotes, as Python's json.dumps does, one JSON object a line"
        }
        _ if reason.contains("expected value") => {
            "write one JSON object a line, with null (not NaN or Infinity) for what is missing"
        }
        _ => ONE_OBJECT,
    }
}

/// The error for a comma between two objects that aren't in a list.
pub(super) fn comma_between(place: Place) -> DataError {
    DataError::Syntax {
        place,
        problem: "a comma stands before it, and the objects aren't in a list".into(),
        remedy: "leave out the commas between lines, or put [ before the first object and ] behind the last",
    }
}

/// What the parser says, without its own count of lines.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// What an object is that holds many rows rather than one.
pub(super) fn not_a_row(object: &Object, wanted: Wanted<'_>) -> Option<String> {
    let value = |name: &str| match find(name, &object.keys) {
        Found::At(i) => object.values.get(i),
        _ => None,
    };
    if let Some(Value::Object(_) | Value::Array(_)) = value(wanted.text) {
        return Some(format!(
            "{:?} is a whole column (pandas' orient=\"columns\" or \"list\"), not one row's text",
            wanted.text
        ));
    }
    if value(wanted.text).is_some() {
        return None;
    }
    let holds_rows = |value: &Value| {
        let list = value.as_array();
        list.is_some_and(|l| !l.is_empty() && l.iter().all(|v| v.is_object() || v.is_array()))
    };
    let annotated = object.keys.iter().any(|key| key == "annotations");
    let mut lists = object.keys.iter().zip(&object.values);
    if let Some((key, _)) = lists.find(|(_, value)| !annotated && holds_rows(value)) {
        return Some(format!("its rows are inside {key:?}"));
    }
    let inner = object.values.first()?.as_object()?;
    (object.values.iter().all(Value::is_object) && inner.contains_key(wanted.text)).then(|| {
        "its rows are values of one object (pandas' orient=\"index\"), not a list".to_owned()
    })
}

/// The error for such a file.
pub(super) fn not_rows(problem: String, file: &Path) -> DataError {
    DataError::NotRows {
        file: file.to_owned(),
        problem,
    }
}

/// What to do where a column isn't among an object's keys but inside one of its values.
pub(super) fn inside(object: &Object, column: &str) -> Option<String> {
    let holds = |value: &Value| match value {
        Value::Object(inner) => inner.contains_key(column),
        Value::Array(list) => list.iter().any(|value| {
            value
                .as_object()
                .is_some_and(|inner| inner.contains_key(column))
        }),
        _ => false,
    };
    let annotated = object.keys.iter().any(|key| key == "annotations");
    let outer = object.keys.iter().zip(&object.values);
    let outer = outer
        .filter(|(_, value)| holds(value))
        .map(|(key, _)| key)
        .next();
    match (outer, annotated) {
        (_, true) => Some(
            "annotations are nested; export a flat table from the tool (Label Studio: JSON-MIN or \
             CSV), or flatten it with pandas.json_normalize"
                .into(),
        ),
        (Some(key), false) => Some(format!(
            "it is inside {key:?}: flatten the objects, e.g. with pandas.json_normalize or jq"
        )),
        (None, false) => None,
    }
}
