//! Where in a file something is.

use std::fmt;
use std::path::PathBuf;

use super::wording::thousands;

/// A row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named to the reader.
    pub file: PathBuf,
    /// The row, from 1: in CSV and Parquet the data row (a header isn't counted), in JSON
    /// Lines the line, in other JSON the object, in a workbook the row as the sheet numbers it. In
    /// a folder, rows are counted through its parts.
    pub row: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of {}", thousands(self.row), self.file.display())
    }
}

/// The same where row 0 is the header.
pub(super) fn header_or(place: &Place) -> String {
    match place.row {
        0 => format!("the header of {}", place.file.display()),
        _ => place.to_string(),
    }
}
