//! Which label of a set each row of a table has.

use std::collections::{BTreeSet, HashMap};

use super::error::DataError;
use super::label_form::tidy;
use super::labels::LabelSet;
use super::row_label::RowLabel;
use super::table::{Row, Table};
use super::unknown_label::UnknownLabel;
use super::wording::list;

/// Looks labels up, each spelling once.
pub(super) struct LabelLookup<'a> {
    table: &'a Table,
    labels: &'a LabelSet,
    /// Whether the table's own names of classes stand for numbers that the set has.
    by_number: bool,
    known: HashMap<&'a str, usize>,
}

impl<'a> LabelLookup<'a> {
    pub(super) fn of(table: &'a Table, labels: &'a LabelSet) -> Self {
        let named = |name: &String| labels.index_of(name).is_some();
        let numbered = |i: usize| labels.index_of(&i.to_string()).is_some();
        let classes = &table.class_names;
        Self {
            by_number: !classes.is_empty()
                && !classes.iter().all(named)
                && (0..classes.len()).all(numbered),
            table,
            labels,
            known: HashMap::new(),
        }
    }

    /// The index of each of a row's labels.
    ///
    /// # Errors
    /// [`DataError::UnknownLabel`] for one that the set doesn't have.
    pub(super) fn indices_of(&mut self, row: &'a Row) -> Result<Vec<usize>, DataError> {
        let labels = row.label.names().iter();
        labels.map(|label| self.index_of(row, label)).collect()
    }

    fn index_of(&mut self, row: &Row, label: &'a str) -> Result<usize, DataError> {
        if let Some(index) = self.known.get(label) {
            return Ok(*index);
        }
        match self.look_up(label) {
            Some(index) => {
                self.known.insert(label, index);
                Ok(index)
            }
            None => {
                let unknown = UnknownLabel::new(
                    self.table.place(row),
                    label,
                    self.labels,
                    self.strangers(),
                    self.table.asked,
                );
                let separator = match row.label {
                    RowLabel::One(_) => None,
                    RowLabel::Several(_) => self.separator_in(label),
                };
                let unknown = UnknownLabel {
                    separator,
                    ..unknown
                };
                Err(DataError::UnknownLabel(Box::new(unknown)))
            }
        }
    }

    /// What stands between labels of the set, if this is several of them.
    fn separator_in(&self, label: &str) -> Option<&'static str> {
        let known = |part: &str| self.look_up(&tidy(part)).is_some();
        let separates =
            |separator: &&str| label.contains(*separator) && label.split(*separator).all(known);
        [";", ",", "|", "/", "\t", " "].into_iter().find(separates)
    }

    fn look_up(&self, label: &str) -> Option<usize> {
        if self.by_number {
            let number = self
                .table
                .class_names
                .iter()
                .position(|name| name == label)?;
            return self.labels.index_of(&number.to_string());
        }
        self.labels.index_of(label)
    }

    /// All labels of the table, if none of them is in the set.
    fn strangers(&self) -> Vec<String> {
        let rows = self.table.rows.iter();
        let labels = rows.flat_map(|row| row.label.names()).map(String::as_str);
        let distinct: BTreeSet<&str> = labels.filter(|label| !label.is_empty()).collect();
        match distinct.iter().any(|label| self.look_up(label).is_some()) {
            true => Vec::new(),
            false => distinct.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Which labels were read as others, in a sentence.
    pub(super) fn note(&self) -> Option<String> {
        let names = self.labels.names();
        let mut others: Vec<(&&str, &usize)> = self
            .known
            .iter()
            .filter(|(label, index)| names.get(**index).is_none_or(|name| name != **label))
            .collect();
        others.sort();
        let written = |labels: Vec<&str>| {
            let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
            list(&labels, 6)
        };
        let name = |index: &usize| names.get(*index).map_or("", String::as_str);
        (!others.is_empty()).then(|| {
            format!(
                "its labels {} were taken for {}",
                written(others.iter().map(|(label, _)| **label).collect()),
                written(others.iter().map(|(_, index)| name(index)).collect())
            )
        })
    }
}
