//! Which columns hold what, and which labels there are.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::error::{DataError, Place};
use super::group_ids::GroupColumn;
use super::table::Table;

/// The names of a table's columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableSchema {
    /// Column with the text. Default `text`.
    pub text: String,
    /// Column with the label. Default `label`.
    pub label: String,
    /// Column that names the group: whom a row is about. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Texts in the group column that are ids just as they are written, though they read like a
    /// missing value ("Null" is a surname) or like another id. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub real_ids: Vec<String>,
}

impl Default for TableSchema {
    fn default() -> Self {
        Self {
            text: "text".into(),
            label: "label".into(),
            group: None,
            real_ids: Vec::new(),
        }
    }
}

impl TableSchema {
    /// The group column, if one is named.
    pub(super) fn group_column(&self) -> Option<GroupColumn> {
        self.group.clone().map(|name| GroupColumn {
            name,
            real_ids: self.real_ids.clone(),
        })
    }

    /// Each column with the configuration key that names it.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("text", &self.text), ("label", &self.label)]
            .into_iter()
            .chain(self.group.as_ref().map(|column| ("group", column)))
            .map(|(key, column)| (key, column.as_str()))
    }
}

/// The labels of a classifier, in the order of its outputs: at least one, each once, none blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet {
    names: Vec<String>,
    indices: HashMap<String, usize>,
}

impl LabelSet {
    /// A label set in the order given.
    ///
    /// # Errors
    /// [`DataError::NoLabels`], [`DataError::BlankLabel`] or [`DataError::RepeatedLabel`].
    pub fn new(names: Vec<String>) -> Result<Self, DataError> {
        if names.is_empty() {
            return Err(DataError::NoLabels);
        }
        let mut indices = HashMap::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if name.trim().is_empty() {
                return Err(DataError::BlankLabel);
            }
            if indices.insert(name.clone(), index).is_some() {
                return Err(DataError::RepeatedLabel {
                    label: name.clone(),
                });
            }
        }
        Ok(Self { names, indices })
    }

    /// All labels of these tables, sorted.
    ///
    /// # Errors
    /// [`DataError::MissingValue`] for a row without a label, [`DataError::NoLabels`] where
    /// there are no rows at all.
    pub fn union<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Result<Self, DataError> {
        let mut names = BTreeSet::new();
        for table in tables {
            for row in &table.rows {
                if row.label.trim().is_empty() {
                    return Err(DataError::MissingValue {
                        place: Place {
                            file: table.file.clone(),
                            row: row.row,
                        },
                        column: "label".into(),
                    });
                }
                names.insert(row.label.clone());
            }
        }
        Self::new(names.into_iter().collect())
    }

    /// The labels in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a label set is never empty")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Where a label is in the order, if it is one of the set.
    pub fn index_of(&self, label: &str) -> Option<usize> {
        self.indices.get(label).copied()
    }
}
