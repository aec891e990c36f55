//! `[data]`: how tables are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_model::data::{
    Asked, Delimiter, LabelsPerRow, Separator, TableFormat, TableOptions, TableSchema,
    TextEncoding, read_labels,
};
use umbel_proto::classifier::labels_mistake;
use umbel_proto::task::TaskKind;

use super::{ConfigError, refuse, require};

/// `[data]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// The column with the text. Over the network it is that of the evaluation files; each site
    /// names its own.
    pub text: String,
    /// The column with the second text, where the model reads two texts together (a question and an answer, a
    /// premise and a hypothesis). The plan says that it does, and each site names its own column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The column with the label, the labels or the value, likewise. With `task.kind =
    /// "multi-label"` it has lists, or texts with a separator; a table without such a column may have
    /// one column for each label, with 1 or 0.
    pub label: String,
    /// What stands between the labels of a text in that column, such as `";"`, for `multi-label`. Left
    /// out, such a text is one label. Over the network, each site names its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub label_separator: Option<Separator>,
    /// The column that names the group (a patient, an author), for the unit `group`. Over the
    /// network, each site names its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Texts in that column that are ids exactly as written, though they look like a missing value
    /// ("Null" is a surname) or like another id. Over the network, each site lists its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub real_ids: Vec<String>,
    /// The label set, in the order of the model's outputs. A simulation may leave it out and takes
    /// all labels of its files: numbers in the order of their values, others sorted by their
    /// letters. Over the network it is needed, since sites must not reveal theirs.
    #[serde(deserialize_with = "read_labels")]
    pub labels: Vec<String>,
    /// The format of all tables: `csv`, `json`, `parquet`, `arrow` or `xlsx`. Left out, each is known by its
    /// content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub format: Option<TableFormat>,
    /// What separates the columns of CSV tables: one character, or `comma`, `semicolon`, `tab`,
    /// `pipe` or `space`. Left out, the first four are looked for in the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub delimiter: Option<Delimiter>,
    /// The encoding of tables that are text, such as `windows-1252`. Left out, they are in UTF-8 or
    /// UTF-16, which are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub encoding: Option<TextEncoding>,
    /// The sheet of workbooks that have several with these columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Normalise white space and drop empty and duplicate rows, at the sites and in evaluation
    /// files.
    pub clean: bool,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            label_separator: None,
            group: None,
            real_ids: Vec::new(),
            labels: Vec::new(),
            format: None,
            delimiter: None,
            encoding: None,
            sheet: None,
            clean: true,
        }
    }
}

impl DataSection {
    /// How tables are read, whatever the task.
    pub(super) fn schema(&self) -> TableSchema {
        TableSchema {
            text: self.text.clone(),
            text_pair: self.text_pair.clone(),
            label: self.label.clone(),
            label_separator: self.label_separator.clone(),
            labels: LabelsPerRow::One,
            group: self.group.clone(),
            client: None,
            real_ids: self.real_ids.clone(),
            options: TableOptions {
                format: self.format,
                delimiter: self.delimiter,
                encoding: self.encoding,
                sheet: self.sheet.clone(),
            },
            asked: Asked::Configuration,
        }
    }

    pub(super) fn check(&self, task: TaskKind) -> Result<(), ConfigError> {
        require(
            task == TaskKind::MultiLabel || self.label_separator.is_none(),
            "data.label_separator",
            "only goes with task.kind = \"multi-label\"; remove it",
        )?;
        match labels_mistake(task, &self.labels) {
            Some(mistake) if !self.labels.is_empty() => Err(refuse(
                "data.labels",
                match task {
                    TaskKind::Regression => format!("{mistake}, or left out"),
                    _ => format!("{mistake} (or left out, in a simulation)"),
                },
            )),
            _ => Ok(()),
        }
    }
}
