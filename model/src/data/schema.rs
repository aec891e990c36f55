//! Which columns hold what, and how the file is to be read.

use umbel_proto::task::TaskKind;

use super::asked::{Asked, Setting};
use super::columns::{Found, find};
use super::group_ids::GroupColumn;
use super::options::{Separator, TableOptions};

/// The names of a table's columns, and what is to be known of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// Column with the text. Default `text`.
    pub text: String,
    /// Column with the second text, where a row is a pair of texts. Default none.
    pub text_pair: Option<String>,
    /// Column with the label, the labels or the value. Default `label`.
    pub label: String,
    /// What stands between the labels of a text, where a row may have any number. Default nothing: such
    /// a text is one label.
    pub label_separator: Option<Separator>,
    /// How many labels a row has. Default one.
    pub labels: LabelsPerRow,
    /// Column that names the group: whom a row is about. Default none.
    pub group: Option<String>,
    /// Column that names the client of a row, where a simulation divides one table among clients.
    /// Default none.
    pub client: Option<String>,
    /// Texts in the group column that are ids just as they are written, though they read like a
    /// missing value ("Null" is a surname) or like another id. Default none.
    pub real_ids: Vec<String>,
    /// What looking at the file doesn't tell. Default nothing.
    pub options: TableOptions,
    /// Where all this was given. Default a configuration.
    pub asked: Asked,
}

/// How many labels a row of a table has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LabelsPerRow {
    /// One.
    #[default]
    One,
    /// A value in its place.
    Value,
    /// Any number. They stand in the label column as a list, or as a text with a separator between
    /// them; or else, if the table has no such column, each of the `names` has a column of its own with 1
    /// or 0.
    Any {
        /// The labels that may have columns of their own; none if they aren't known yet.
        names: Vec<String>,
    },
}

impl Default for TableSchema {
    fn default() -> Self {
        Self {
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            label_separator: None,
            labels: LabelsPerRow::One,
            group: None,
            client: None,
            real_ids: Vec::new(),
            options: TableOptions::default(),
            asked: Asked::default(),
        }
    }
}

impl TableSchema {
    /// The same for a task with these labels.
    #[must_use]
    pub fn for_task(self, task: TaskKind, names: &[String]) -> Self {
        let labels = match task {
            TaskKind::SingleLabel => LabelsPerRow::One,
            TaskKind::Regression => LabelsPerRow::Value,
            TaskKind::MultiLabel => LabelsPerRow::Any {
                names: names.to_vec(),
            },
        };
        Self { labels, ..self }
    }

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
            text_pair: self.text_pair.as_deref(),
            label: Some(&self.label),
            labels: &self.labels,
            separator: self.label_separator.as_ref().map(Separator::as_str),
            group: self.group.as_deref(),
            client: self.client.as_deref(),
            options: &self.options,
            asked: self.asked,
        }
    }

    /// Its texts alone.
    pub(super) fn texts_only(&self) -> Wanted<'_> {
        Wanted {
            label: None,
            group: None,
            client: None,
            ..self.wanted()
        }
    }
}

/// The columns to read, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) text: &'a str,
    pub(super) text_pair: Option<&'a str>,
    pub(super) label: Option<&'a str>,
    pub(super) labels: &'a LabelsPerRow,
    pub(super) separator: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) client: Option<&'a str>,
    pub(super) options: &'a TableOptions,
    pub(super) asked: Asked,
}

impl<'a> Wanted<'a> {
    /// Each column with what names it.
    pub(super) fn columns(self) -> impl Iterator<Item = (Setting, &'a str)> {
        let others = [
            (Setting::TextPair, self.text_pair),
            (Setting::Label, self.label),
            (Setting::Group, self.group),
            (Setting::Client, self.client),
        ];
        let others = others
            .into_iter()
            .filter_map(|(setting, column)| column.map(|column| (setting, column)));
        [(Setting::Text, self.text)].into_iter().chain(others)
    }

    /// Labels that may have columns of their own; none where a row has one label.
    pub(super) fn label_columns(self) -> &'a [String] {
        match (self.label, self.labels) {
            (Some(_), LabelsPerRow::Any { names }) => names,
            _ => &[],
        }
    }

    /// Where else labels may be, to be said where their column is missing.
    pub(super) fn labels_hint(self, setting: Setting) -> Option<String> {
        (setting == Setting::Label && !self.label_columns().is_empty()).then(|| {
            format!(
                "name the column of the labels {}, or give each label a column of its name with 1 \
                 or 0",
                self.asked.by(Setting::Label)
            )
        })
    }

    /// Whether lists are read: those of labels, of which a row may be allowed one.
    pub(super) fn takes_lists(self) -> bool {
        self.label.is_some()
    }

    /// Whether a header names all columns that are wanted, even if more than once.
    pub(super) fn are_in(self, header: &[String]) -> bool {
        let there = |column: &str| !matches!(find(column, header), Found::Nowhere);
        let own = self.label_columns();
        let mut columns = self.columns();
        columns.all(|(setting, column)| {
            let each = setting == Setting::Label && !own.is_empty();
            there(column) || (each && own.iter().all(|name| there(name)))
        })
    }
}
