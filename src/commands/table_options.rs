//! What can be said of a table on a command line: what `[data]` has in a configuration.

use clap::Args;
use umbel_model::data::{Delimiter, TableFormat, TableOptions, TextEncoding};

/// How to read a table, where looking at it doesn't tell.
#[derive(Args, Clone, Debug)]
pub struct TableArguments {
    /// The table's format: csv, json, parquet, arrow or xlsx [default: by its content].
    #[arg(long, value_name = "FORMAT")]
    format: Option<TableFormat>,
    /// What separates the columns of a CSV table: one character, or comma, semicolon, tab, pipe or
    /// space [default: by its header].
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,
    /// The encoding of a table that is text, e.g. windows-1252 [default: UTF-8 or UTF-16, by its
    /// content].
    #[arg(long, value_name = "NAME")]
    encoding: Option<TextEncoding>,
    /// The sheet of a workbook [default: the one with the columns].
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
}

impl TableArguments {
    /// As options of a reader.
    pub fn options(&self) -> TableOptions {
        TableOptions {
            format: self.format,
            delimiter: self.delimiter,
            encoding: self.encoding,
            sheet: self.sheet.clone(),
        }
    }
}
