//! What can be wrong with a table, where it is, and what to do about it.
//!
//! The messages quote the file, so they stay at the site.

use std::io;
use std::path::PathBuf;

use bytesize::ByteSize;

use super::asked::{Asked, Setting};
use super::content::Unread;
use super::id_wording::{IdSpelling, RowNumbers, if_real, no_ids, spellings};
use super::part_names::Parts;
pub use super::place::Place;
use super::place::header_or;
use super::target_error::TargetError;
use super::unknown_label::UnknownLabel;
use super::wording::{list, quoted};

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
    /// Something other than a table, or one of a format that isn't read.
    #[error("{} is {}; {}", file.display(), found.what, found.remedy)]
    Unread {
        /// The file.
        file: PathBuf,
        /// What it is.
        found: Unread,
    },
    /// A file that holds more than one of its size may.
    #[error(
        "{} unpacks to more than {}, which no table of its size does; unpack it yourself if it \
         is sound",
        file.display(),
        ByteSize(*limit)
    )]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Bytes that it may hold.
        limit: u64,
    },
    /// A compressed file that can't be unpacked.
    #[error("{} can't be unpacked: {problem}; compress it again, or unpack it", file.display())]
    Compressed {
        /// The file.
        file: PathBuf,
        /// What the decoder says.
        problem: String,
    },
    /// Text that isn't in the encoding that it says it is in.
    #[error(
        "{} isn't valid {encoding}; save it as UTF-8, or name its encoding {}",
        file.display(),
        asked.by(Setting::Encoding)
    )]
    Encoding {
        /// The file.
        file: PathBuf,
        /// The encoding.
        encoding: &'static str,
        /// Who asked.
        asked: Asked,
    },
    /// JSON that holds a table in another shape than row by row.
    #[error(
        "{}: {problem}; write one object a row, e.g. with pandas' to_json(orient=\"records\", \
         lines=True)",
        file.display()
    )]
    NotRows {
        /// The file.
        file: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A workbook that can't be read.
    #[error(
        "{} can't be read as a workbook: {problem}; save it again, or as CSV UTF-8",
        file.display()
    )]
    Workbook {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A workbook of which it isn't clear which sheet is meant.
    #[error(
        "{} has {problem}: {}; name one {}",
        file.display(),
        list(.found, 10),
        asked.by(Setting::Sheet)
    )]
    Sheets {
        /// The file.
        file: PathBuf,
        /// Who asked.
        asked: Asked,
        /// What is wrong.
        problem: String,
        /// The sheets in question.
        found: Vec<String>,
    },
    /// A folder that isn't one whole table.
    #[error("{} {parts}", file.display())]
    Parts {
        /// The folder.
        file: PathBuf,
        /// Which are there, or aren't.
        parts: Parts,
    },
    /// Parts of one table that name classes differently.
    #[error(
        "{}: {} gives other names to its classes than the parts before it; write the table again",
        file.display(),
        part.display()
    )]
    ClassNames {
        /// The folder.
        file: PathBuf,
        /// The part.
        part: PathBuf,
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
        "{} has no column \"{column}\"; it has {}; {}",
        file.display(),
        list(.found, 40),
        hint.clone().unwrap_or_else(|| format!("name the right one {}", asked.by(*setting)))
    )]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// What names the column.
        setting: Setting,
        /// Who asked for it.
        asked: Asked,
        /// The missing column.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
        /// What to do, where something else than naming another column helps.
        hint: Option<String>,
    },
    /// Two columns have the name that the schema asks for.
    #[error(
        "{} has more than one column \"{column}\"; rename all but one, or name another {}",
        file.display(),
        asked.by(*setting)
    )]
    RepeatedColumn {
        /// The file.
        file: PathBuf,
        /// What names the column.
        setting: Setting,
        /// Who asked for it.
        asked: Asked,
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
        "{at}: column {column} isn't valid UTF-8; save the file as UTF-8, or name its encoding \
         (such as windows-1252) {by}",
        at = header_or(place),
        by = asked.by(Setting::Encoding)
    )]
    InvalidUtf8 {
        /// Where; row 0 is the header.
        place: Place,
        /// Which column, from 1.
        column: usize,
        /// Who asked.
        asked: Asked,
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
    /// An Arrow file or stream that can't be decoded.
    #[error(
        "{} can't be read as Arrow: {problem}; write it again, or convert it to Parquet or CSV",
        file.display()
    )]
    Arrow {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A column of a typed format, of a type that isn't read.
    #[error(
        "column \"{column}\" of {} is {found}; {} must name a column of {expected}",
        file.display(),
        asked.key(*setting)
    )]
    ColumnType {
        /// The file.
        file: PathBuf,
        /// What names the column.
        setting: Setting,
        /// Who asked for it.
        asked: Asked,
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
    #[error("{place}: the {}text is empty; {}", if *.second { "second " } else { "" }, emptied(*.asked))]
    EmptyText {
        /// Where.
        place: Place,
        /// Whether it is the second of two.
        second: bool,
        /// Who asked.
        asked: Asked,
    },
    /// A row that has a text but no label.
    #[error("{place}: the label is missing{}", missing_label(.word, *.asked))]
    MissingLabel {
        /// Where.
        place: Place,
        /// What stands there; blank where nothing does.
        word: String,
        /// Who asked.
        asked: Asked,
    },
    /// A row with more labels than one.
    #[error(
        "{place}: \"{column}\" is a list of {count} labels, and each text has one here; choose \
         one, or write a row for each"
    )]
    SeveralLabels {
        /// Where.
        place: Place,
        /// The column.
        column: String,
        /// How many there are.
        count: usize,
    },
    /// A row of which it can't be told what is right.
    #[error(transparent)]
    Target(Box<TargetError>),
    /// A label that the label set doesn't have.
    #[error(transparent)]
    UnknownLabel(Box<UnknownLabel>),
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
    #[error("there are no labels; a classifier needs at least two")]
    NoLabels,
    /// A label of nothing but white space.
    #[error("one of the labels is empty; give it a name")]
    BlankLabel,
    /// A label set that names a label twice.
    #[error("label {} is listed twice; list it once", quoted(.label))]
    RepeatedLabel {
        /// The label.
        label: String,
    },
}

fn after(cleaned: bool) -> &'static str {
    if cleaned { " left after cleaning" } else { "" }
}

fn emptied(asked: Asked) -> &'static str {
    match asked {
        Asked::Configuration => "fill it in, delete the row, or set data.clean to drop such rows",
        Asked::Evaluate | Asked::Predict => "fill it in, or delete the row",
    }
}

fn missing_label(word: &str, asked: Asked) -> String {
    let word = match word {
        "" => String::new(),
        word => format!(", {} stands there", quoted(word)),
    };
    let class = match (word.is_empty(), asked) {
        (false, Asked::Configuration) => {
            ". (If it is a class of its own, list all labels under data.labels.)"
        }
        _ => "",
    };
    format!("{word}; fill it in, or delete the row{class}")
}
