//! Rows that have any number of labels: lists, texts with a separator, and columns of ones and zeros.

use super::cells::{Cell, Rows};
use super::columns::Labels;
use super::error::{DataError, Place};
use super::label_form::tidy;
use super::list_text::{ListText, list_in};
use super::row_label::RowLabel;
use super::schema::LabelsPerRow;
use super::target_error::TargetError;

impl Rows<'_> {
    /// What a row says of its labels. A row without text needs none: it is dropped or refused for
    /// that.
    pub(super) fn row_label(
        &self,
        cells: Labels<Cell>,
        textless: bool,
        place: &impl Fn() -> Place,
    ) -> Result<RowLabel, DataError> {
        let LabelsPerRow::Any { names } = self.wanted.labels else {
            return match cells {
                Labels::Column(cell) => {
                    let label = self.label(self.only(cell, place)?, textless, place);
                    label.map(RowLabel::One)
                }
                // Columns of their own are looked for where a row may have any number.
                Labels::Each(_) => Ok(RowLabel::several(Vec::new())),
            };
        };
        match cells {
            Labels::Column(Cell::List(cells)) => {
                let labels = cells.into_iter().map(|cell| self.label(cell, false, place));
                Ok(RowLabel::several(labels.collect::<Result<_, _>>()?))
            }
            Labels::Column(Cell::Text(text)) => {
                let parts = match (self.wanted.separator, list_in(&text)) {
                    (Some(separator), _) => text.split(separator).map(str::to_owned).collect(),
                    (None, ListText::NoList) => vec![text],
                    (None, ListText::Items(items)) => items,
                    (None, ListText::Unclear) => {
                        let place = place();
                        return Err(TargetError::UnclearList { place, found: text }.into());
                    }
                };
                // An empty text is how a table of text has a row without labels.
                let labels = parts
                    .iter()
                    .map(|label| tidy(label))
                    .filter(|label| !label.is_empty());
                Ok(RowLabel::several(labels.collect()))
            }
            Labels::Column(cell) => {
                let label = self.label(cell, textless, place)?;
                let label = Some(label).filter(|label| !label.is_empty());
                Ok(RowLabel::several(label.into_iter().collect()))
            }
            Labels::Each(cells) => {
                let mut labels = Vec::new();
                for (cell, name) in cells.into_iter().zip(names) {
                    if has(&cell, name, textless, place)? {
                        labels.push(tidy(name));
                    }
                }
                Ok(RowLabel::several(labels))
            }
        }
    }

    /// The label that a list has alone, as annotation tools write it.
    fn only(&self, cell: Cell, place: &impl Fn() -> Place) -> Result<Cell, DataError> {
        let Cell::List(mut cells) = cell else {
            return Ok(cell);
        };
        match cells.len() {
            0 | 1 => Ok(cells.pop().unwrap_or(Cell::Missing)),
            count => Err(DataError::SeveralLabels {
                place: place(),
                column: self.wanted.label.unwrap_or_default().to_owned(),
                count,
            }),
        }
    }
}

/// Whether the cell of a label's own column says that a row has it. Missing is neither yes nor no.
fn has(
    cell: &Cell,
    column: &str,
    textless: bool,
    place: &impl Fn() -> Place,
) -> Result<bool, DataError> {
    let found = match cell {
        Cell::Truth(truth) => return Ok(*truth),
        Cell::Missing => String::new(),
        Cell::Text(text) | Cell::Whole(text) | Cell::Decimal(text) => text.clone(),
        Cell::Float { value, .. } => value.to_string(),
        Cell::List(_) => "a list".into(),
        Cell::Other(kind) => (*kind).to_owned(),
    };
    match tidy(&found).to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" => Ok(true),
        "0" | "0.0" | "false" => Ok(false),
        _ if textless => Ok(false),
        _ => Err(TargetError::NoTruth {
            place: place(),
            column: column.to_owned(),
            found,
        }
        .into()),
    }
}
