//! Which columns hold what, and how the file is to be read.

use super::asked::{Asked, Setting};
use super::group_ids::GroupColumn;
use super::options::TableOptions;

/// The names of a table's columns, and what is to be known of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// Column with the text. Default `text`.
    pub text: String,
    /// Column with the label. Default `label`.
    pub label: String,
    /// Column that names the group: whom a row is about. Default none.
    pub group: Option<String>,
    /// Texts in the group column that are ids just as they are written, though they read like a
    /// missing value ("Null" is a surname) or like another id. Default none.
    pub real_ids: Vec<String>,
    /// What looking at the file doesn't tell. Default nothing.
    pub options: TableOptions,
    /// Where all this was given. Default a configuration.
    pub asked: Asked,
}

impl Default for TableSchema {
    fn default() -> Self {
        Self {
            text: "text".into(),
            label: "label".into(),
            group: None,
            real_ids: Vec::new(),
            options: TableOptions::default(),
            asked: Asked::default(),
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

    /// All its columns.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            text: &self.text,
            label: Some(&self.label),
            group: self.group.as_deref(),
            options: &self.options,
            asked: self.asked,
        }
    }

    /// Its texts alone.
    pub(super) fn texts_only(&self) -> Wanted<'_> {
        Wanted {
            label: None,
            group: None,
            ..self.wanted()
        }
    }
}

/// The columns to read, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) text: &'a str,
    pub(super) label: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) options: &'a TableOptions,
    pub(super) asked: Asked,
}

impl<'a> Wanted<'a> {
    /// Each column with what names it.
    pub(super) fn columns(self) -> impl Iterator<Item = (Setting, &'a str)> {
        let others = [(Setting::Label, self.label), (Setting::Group, self.group)];
        let others = others
            .into_iter()
            .filter_map(|(setting, column)| column.map(|column| (setting, column)));
        [(Setting::Text, self.text)].into_iter().chain(others)
    }
}
