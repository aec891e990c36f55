//! What a workbook's cells hold.

use calamine::DataRef;

use crate::data::cells::Cell;

/// What a cell says as a column's name.
pub(super) fn name(value: &DataRef<'_>) -> String {
    match cell(value) {
        Cell::Text(text) | Cell::Whole(text) => text,
        _ => String::new(),
    }
}

pub(super) fn cell(value: &DataRef<'_>) -> Cell {
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
pub(super) fn as_text(cell: Cell) -> Cell {
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
    fn whole_numbers_have_no_fraction() {
        assert_eq!(float(3.0), Cell::Whole("3".into()));
        assert_eq!(float(-0.0), Cell::Whole("0".into()));
        assert_eq!(as_text(float(2.5)), Cell::Text("2.5".into()));
        assert!(matches!(float(1e15), Cell::Float { exact: false, .. }));
    }
}
