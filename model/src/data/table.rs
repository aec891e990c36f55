//! A table of texts as it was read: three columns of strings, whatever the file's format.

use std::path::PathBuf;

use super::asked::Asked;
use super::error::Place;
use super::group_ids::GroupColumn;
use super::row_label::RowLabel;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The text; may be blank until [`super::LabelledTexts::from_table`] refuses it.
    pub text: String,
    /// The second text, where rows are pairs; may be blank likewise.
    pub second: Option<String>,
    /// The label as text, or all of them, without white space or invisible characters at their
    /// ends, letters composed.
    pub label: RowLabel,
    /// The group as it is written, where the schema names a group column and the row has a value
    /// there that isn't blank.
    pub group: Option<String>,
    /// The value of the column by which a simulation divides a table among clients, if the schema
    /// names one; never blank then.
    pub client: Option<String>,
    /// Where the row is in its file, as [`Place::row`] counts.
    pub row: usize,
}

/// The rows of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The file, for messages.
    pub file: PathBuf,
    /// The group column, if rows were read with one.
    pub group: Option<GroupColumn>,
    /// Whether [`super::clean`] has been through it.
    pub cleaned: bool,
    /// Who asked for it.
    pub asked: Asked,
    /// The names of classes that the file itself gives to whole numbers, in the order of the
    /// numbers (`ClassLabel` of Hugging Face Datasets); rows have the names. Empty where it gives
    /// none.
    pub class_names: Vec<String>,
    /// What was found out about the file, in sentences for whoever reads it.
    pub notes: Vec<String>,
    /// Its rows, in the file's order.
    pub rows: Vec<Row>,
}

impl Table {
    /// Where a row is.
    pub(super) fn place(&self, row: &Row) -> Place {
        Place {
            file: self.file.clone(),
            row: row.row,
        }
    }
}
