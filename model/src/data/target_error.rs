//! Rows of which it can't be told what is right.

use super::error::{DataError, Place};
use super::wording::quoted;

/// A row whose label, labels or value serve no run of its task.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A value of a regression that is no number.
    #[error(
        "{place}: the value {} is no finite number; write a number with a point, such as 36.5, or \
         delete the row",
        quoted(.found)
    )]
    NotAValue {
        /// Where.
        place: Place,
        /// What stands there.
        found: String,
    },
    /// A row from which a run can't learn.
    #[error("{place}: {problem}; correct it, or delete the row")]
    Unfit {
        /// Where.
        place: Place,
        /// Why.
        problem: String,
    },
    /// A text that looks like a list of labels, and is none in JSON or Python.
    #[error(
        "{place}: {} looks like a list of labels, but can't be read as one; write it as JSON, such as \
         [\"a\", \"b\"], or name what stands between labels (label_separator)",
        quoted(.found)
    )]
    UnclearList {
        /// Where.
        place: Place,
        /// What stands there.
        found: String,
    },
    /// A cell of a label's own column that doesn't say whether the row has the label.
    #[error("{place}: \"{column}\" is {}; it must be 1 where the row has this label, or 0", found_in(.found))]
    NoTruth {
        /// Where.
        place: Place,
        /// The column.
        column: String,
        /// What stands there; blank where nothing does.
        found: String,
    },
}

impl From<TargetError> for DataError {
    fn from(error: TargetError) -> Self {
        Self::Target(Box::new(error))
    }
}

fn found_in(cell: &str) -> String {
    match cell.trim().is_empty() {
        true => "empty".into(),
        false => quoted(cell),
    }
}
