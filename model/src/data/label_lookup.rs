//! Which label of a set each row of a table has.

use std::collections::{BTreeSet, HashMap};

use super::error::DataError;
use super::labels::LabelSet;
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

    /// The index of a row's label.
    ///
    /// # Errors
    /// [`DataError::UnknownLabel`] for one that the set doesn't have.
    pub(super) fn index_of(&mut self, row: &'a Row) -> Result<usize, DataError> {
        if let Some(index) = self.known.get(row.label.as_str()) {
            return Ok(*index);
        }
        match self.look_up(&row.label) {
            Some(index) => {
                self.known.insert(&row.label, index);
                Ok(index)
            }
            None => Err(DataError::UnknownLabel(Box::new(UnknownLabel::new(
                self.table.place(row),
                &row.label,
                self.labels,
                self.strangers(),
                self.table.asked,
            )))),
        }
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
        let labels = self.table.rows.iter().map(|row| row.label.as_str());
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
