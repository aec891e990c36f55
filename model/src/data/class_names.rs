//! The names that Hugging Face Datasets gives to whole numbers: its feature `ClassLabel`, of
//! which the file's metadata keep the names.

use serde_json::Value;

use super::cells::Cell;
use super::error::{DataError, Place};

/// The entry of a file's metadata that has them.
pub(super) const KEY: &str = "huggingface";

/// The names for a column's numbers, in the order of the numbers; empty where there are none.
/// `info` is what the file's metadata have under [`KEY`].
pub(super) fn of(info: Option<&str>, column: &str) -> Vec<String> {
    let names = || -> Option<Vec<String>> {
        let info: Value = serde_json::from_str(info?).ok()?;
        let feature = info.get("info")?.get("features")?.get(column)?;
        // Of a list, the names are its elements'.
        let element = feature.get("feature").or_else(|| feature.get(0));
        let names = element.unwrap_or(feature).get("names")?.as_array()?;
        names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    names().unwrap_or_default()
}

/// A label by its name. -1 is how rows without a label are kept.
pub(super) fn named(
    cell: Cell,
    names: &[String],
    place: &impl Fn() -> Place,
) -> Result<Cell, DataError> {
    if let Cell::List(cells) = cell {
        let cells = cells.into_iter().map(|cell| named(cell, names, place));
        return Ok(Cell::List(cells.collect::<Result<_, _>>()?));
    }
    let Cell::Whole(digits) = &cell else {
        return Ok(cell);
    };
    if names.is_empty() {
        return Ok(cell);
    }
    if digits == "-1" {
        return Ok(Cell::Missing);
    }
    let index: Option<usize> = digits.parse().ok();
    match index.and_then(|index| names.get(index)) {
        Some(name) => Ok(Cell::Text(name.clone())),
        None => Err(DataError::Syntax {
            place: place(),
            problem: format!(
                "label {digits} has no name among the {} of the file's ClassLabel",
                names.len()
            ),
            remedy: "correct it, or write the table again",
        }),
    }
}
