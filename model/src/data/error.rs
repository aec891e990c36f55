//! What can be wrong with a table, where it is, and what to do about it.
//!
//! The messages quote the file, so they stay at the site.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::id_wording::{IdSpelling, RowNumbers, if_real, no_ids, spellings};
use super::wording::{quoted, thousands};

/// A row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named to the reader.
    pub file: PathBuf,
    /// The row, from 1: in CSV and Parquet the data row (a header isn't counted), in JSON
    /// Lines the line.
    pub row: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of {}", thousands(self.row), self.file.display())
    }
}

/// Why a table can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system doesn't hand the file over.
    #[error("can't read {}: {source}; check the path and that you may read it", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file's name doesn't tell its format.
    #[error(
        "can't tell the format of {} from its name; let it end in .csv, .jsonl, .ndjson or \
         .parquet",
        file.display()
    )]
    UnknownFormat {
        /// The file.
        file: PathBuf,
    },
    /// A table without a single row.
    #[error(
        "{} has no rows{}; give it at least one labelled text",
        file.display(),
        after(*.cleaned)
    )]
    NoRows {
        /// The file.
        file: PathBuf,
        /// Whether cleaning dropped what there was.
        cleaned: bool,
    },
    /// A column that the schema names isn't there.
    #[error(
        "{} has no column \"{column}\"; it has {}; name the right one under data.{key}",
        file.display(),
        list(.found, usize::MAX)
    )]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The configuration key that names the column: `text`, `label` or `group`.
        key: &'static str,
        /// The missing column.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// Two columns have the name that the schema asks for.
    #[error(
        "{} has more than one column \"{column}\"; rename all but one, or name another under \
         data.{key}",
        file.display()
    )]
    RepeatedColumn {
        /// The file.
        file: PathBuf,
        /// The configuration key that names the column.
        key: &'static str,
        /// The column.
        column: String,
    },
    /// Something breaks the rules of the file's format.
    #[error("{at}: {problem}; {remedy}", at = header_or(place))]
    Syntax {
        /// Where; row 0 is the header.
        place: Place,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Bytes that aren't UTF-8.
    #[error(
        "{at}: column {column} isn't valid UTF-8; save the file as UTF-8",
        at = header_or(place)
    )]
    InvalidUtf8 {
        /// Where; row 0 is the header.
        place: Place,
        /// Which column, from 1.
        column: usize,
    },
    /// A Parquet file that can't be decoded.
    #[error(
        "{} can't be read as Parquet: {problem}; write it again, or convert it to CSV",
        file.display()
    )]
    Parquet {
        /// The file.
        file: PathBuf,
        /// What the decoder says.
        problem: String,
    },
    /// A Parquet column of a type that isn't read.
    #[error(
        "column \"{column}\" of {} is {found}; data.{key} must name a column of {expected}",
        file.display()
    )]
    ColumnType {
        /// The file.
        file: PathBuf,
        /// The configuration key that names the column.
        key: &'static str,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The types that are read.
        expected: &'static str,
    },
    /// A row lacks a value that it must have.
    #[error("{place}: \"{column}\" is missing; fill it in, or delete the row")]
    MissingValue {
        /// Where.
        place: Place,
        /// The column.
        column: String,
    },
    /// A value of a type that isn't read.
    #[error("{place}: \"{column}\" is {found}; write {expected}")]
    WrongType {
        /// Where.
        place: Place,
        /// The column.
        column: String,
        /// What it is.
        found: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A text of nothing but white space.
    #[error(
        "{place}: the text is empty; fill it in, delete the row, or set data.clean to drop such \
         rows"
    )]
    EmptyText {
        /// Where.
        place: Place,
    },
    /// A label that the label set doesn't have.
    #[error(
        "{place}: label {label} isn't one of {}; correct it, or list it under data.labels",
        list(.labels, 10),
        label = quoted(.label)
    )]
    UnknownLabel {
        /// Where.
        place: Place,
        /// The label found.
        label: String,
        /// The label set.
        labels: Vec<String>,
    },
    /// Groups are asked for, but the table was read without any.
    #[error("{} was read without a group column; name one under data.group", file.display())]
    NoGroups {
        /// The file.
        file: PathBuf,
    },
    /// Rows that belong to no group.
    #[error(
        "{rows} of {}: the group is missing: \"{column}\" {}, and a row that is about nobody in \
         particular can't be protected; fill in the ids, or delete these rows{}",
        file.display(),
        no_ids(.words),
        if_real(.words)
    )]
    MissingGroup {
        /// The file.
        file: PathBuf,
        /// The group column.
        column: String,
        /// The rows.
        rows: RowNumbers,
        /// What is written there, but for blanks.
        words: Vec<String>,
    },
    /// A group that is a number as a tool writes it that may have rounded it.
    #[error(
        "{place}: \"{column}\" is {id}, a number that may have been rounded, so several people \
         may have it; write ids out in full, in a column of text",
        id = quoted(.id)
    )]
    RoundedGroup {
        /// Where, the first of them.
        place: Place,
        /// The group column.
        column: String,
        /// What is written there.
        id: String,
    },
    /// Ids that are most likely one, written in several ways.
    #[error(
        "{}: \"{column}\" has what looks like one id in several spellings: {}; each of them would \
         count as a person of its own, and one person be protected less than promised. Write each \
         id in one way; if they are different people, list each spelling under data.real_ids",
        file.display(),
        spellings(.ids)
    )]
    GroupSpellings {
        /// The file.
        file: PathBuf,
        /// The group column.
        column: String,
        /// The ids, each in all its spellings.
        ids: Vec<Vec<IdSpelling>>,
    },
    /// A label set without labels.
    #[error("there are no labels; list them under data.labels")]
    NoLabels,
    /// A label of nothing but white space.
    #[error("one of the labels is empty; give it a name under data.labels")]
    BlankLabel,
    /// A label set that names a label twice.
    #[error("label {} is listed twice; list it once under data.labels", quoted(.label))]
    RepeatedLabel {
        /// The label.
        label: String,
    },
}

fn after(cleaned: bool) -> &'static str {
    if cleaned { " left after cleaning" } else { "" }
}

fn header_or(place: &Place) -> String {
    match place.row {
        0 => format!("the header of {}", place.file.display()),
        _ => place.to_string(),
    }
}

/// Names in quotes where they need them, the first `most` of them.
fn list(names: &[String], most: usize) -> String {
    let mut text = names
        .iter()
        .take(most)
        .map(|name| bare_or_quoted(name))
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(left) = names.len().checked_sub(most).filter(|left| *left > 0) {
        text.push_str(&format!(" and {left} more"));
    }
    if text.is_empty() {
        "no columns".into()
    } else {
        text
    }
}

fn bare_or_quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./?!+ ".contains(c);
    if !name.trim().is_empty() && name.trim() == name && name.chars().all(plain) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_label_says_what_where_and_what_to_do() {
        let error = DataError::UnknownLabel {
            place: Place {
                file: "visits.csv".into(),
                row: 1204,
            },
            label: "postive".into(),
            labels: vec!["negative".into(), "positive".into()],
        };
        assert_eq!(
            error.to_string(),
            "row 1,204 of visits.csv: label \"postive\" isn't one of negative, positive; correct \
             it, or list it under data.labels"
        );
    }

    #[test]
    fn long_lists_and_long_labels_are_cut() {
        let error = DataError::UnknownLabel {
            place: Place {
                file: "a.csv".into(),
                row: 1,
            },
            label: "x".repeat(5000),
            labels: (0..77).map(|i| format!("intent_{i}")).collect(),
        };
        let message = error.to_string();
        assert!(message.contains("intent_9 and 67 more"), "{message}");
        assert!(message.len() < 400, "{message}");
    }
}
