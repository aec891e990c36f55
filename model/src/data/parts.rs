//! Tables that are folders of part files, as Spark, dask and Hugging Face Datasets write them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::content::Unread;
use super::error::DataError;
use super::saved_dataset;

/// What tables have that keep rows which were replaced or deleted.
const LOGS: [&str; 2] = ["_delta_log", ".hoodie"];

/// The part files of a folder, in the order of their names, numbers in them by value. What begins
/// with `_` or `.` is no part: checksums, and marks that the writer was done; nor is a `README.md`,
/// which every data set on the Hugging Face Hub has.
pub(super) fn of(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source: io::Error| DataError::Unreadable {
        file: folder.to_owned(),
        source,
    };
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if LOGS.contains(&name.as_str()) {
            return Err(DataError::Unread {
                file: folder.to_owned(),
                found: Unread {
                    what: "a table of Delta Lake or Hudi, whose log says which rows of its files count",
                    remedy: "write the table as it is now to a folder of Parquet files without a log",
                },
            });
        }
        if name.starts_with(['_', '.']) || name.ends_with(".crc") || name == "README.md" {
            continue;
        }
        if entry.path().is_dir() && !folder.join("dataset_dict.json").exists() {
            return Err(DataError::Unread {
                file: entry.path(),
                found: match name.contains('=') {
                    true => Unread {
                        what: "a partition of a table, whose column is the folder's name",
                        remedy: "write the table without partitions (Spark: no partitionBy; \
                                 pandas: no partition_cols)",
                    },
                    false => Unread {
                        what: "a folder inside a folder",
                        remedy: "name a file, or a folder that holds nothing but part files",
                    },
                },
            });
        }
        parts.push(name);
    }
    saved_dataset::keep_parts(folder, &mut parts)?;
    parts.sort_by(|a, b| super::label_form::natural(a, b).then_with(|| a.cmp(b)));
    if parts.is_empty() {
        return Err(DataError::NoRows {
            file: folder.to_owned(),
            cleaned: false,
        });
    }
    Ok(parts.iter().map(|name| folder.join(name)).collect())
}
