//! Folders in which Hugging Face Datasets keeps a table: which of their files are its parts.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::content::Unread;
use super::error::DataError;
use super::part_names::{self, Parts};

/// Bytes of a description beyond which it isn't read.
const DESCRIPTION: u64 = 1 << 20;

/// Leaves the names of a folder's parts. A folder of another kind keeps all it has.
///
/// # Errors
/// [`DataError::Unread`] or [`DataError::Parts`], if the folder isn't one whole table.
pub(super) fn keep_parts(folder: &Path, names: &mut Vec<String>) -> Result<(), DataError> {
    let has = |names: &[String], file: &str| names.iter().any(|name| name == file);
    let unread = |what, remedy| {
        Err(DataError::Unread {
            file: folder.to_owned(),
            found: Unread { what, remedy },
        })
    };
    if has(names, "dataset_dict.json") {
        return unread(
            "a data set of several splits (a DatasetDict of Hugging Face Datasets)",
            "name the folder of one split in it, such as train",
        );
    }
    if has(names, "dataset_info.json") {
        let state = described(&folder.join("state.json"));
        names.retain(|name| !name.ends_with(".json") && !name.ends_with(".lock"));
        let listed = state.as_ref().map(Listed::of).unwrap_or_default();
        if listed.chosen {
            return unread(
                "a data set whose rows are chosen by another file (indices)",
                "save it again after Dataset.flatten_indices()",
            );
        }
        if !listed.parts.is_empty() {
            return keep_listed(&listed.parts, names).map_err(|parts| of_folder(folder, parts));
        }
        if streams(names) > 1 {
            return unread(
                "a cache of several splits of a data set, or of what was made of them",
                "name one file, or save the split that is meant with Dataset.save_to_disk",
            );
        }
    }
    part_names::check(names).map_err(|parts| of_folder(folder, parts))
}

fn of_folder(folder: &Path, parts: Parts) -> DataError {
    DataError::Parts {
        file: folder.to_owned(),
        parts,
    }
}

/// What `state.json` says.
#[derive(Default)]
struct Listed<'a> {
    /// The streams that are the table.
    parts: Vec<&'a str>,
    /// Whether another file says which of their rows are.
    chosen: bool,
}

impl<'a> Listed<'a> {
    fn of(state: &'a Value) -> Self {
        let files = |key: &str| -> Vec<&'a str> {
            let files = state.get(key).and_then(Value::as_array);
            let names = files.into_iter().flatten();
            names
                .filter_map(|file| file.get("filename")?.as_str())
                .collect()
        };
        let chosen = ["_indices_data_files", "_indices_files"];
        Self {
            parts: files("_data_files"),
            chosen: chosen.iter().any(|key| !files(key).is_empty()),
        }
    }
}

/// Leaves what `state.json` lists. Files of an earlier, longer version may lie beside them.
fn keep_listed(listed: &[&str], names: &mut Vec<String>) -> Result<(), Parts> {
    let there: HashSet<&str> = names.iter().map(String::as_str).collect();
    let lacking = listed.iter().filter(|part| !there.contains(*part));
    let lacking: Vec<String> = lacking.map(|part| (*part).to_owned()).collect();
    if !lacking.is_empty() {
        return Err(Parts::Lacking {
            count: lacking.len(),
            names: lacking,
            of: listed.len(),
        });
    }
    let listed: HashSet<&str> = listed.iter().copied().collect();
    names.retain(|name| listed.contains(name.as_str()));
    Ok(())
}

/// How many tables the streams of a cache are: a file by itself is one.
fn streams(names: &[String]) -> usize {
    let streams = names.iter().filter(|name| name.ends_with(".arrow"));
    let table = |name: &String| part_names::table(name).unwrap_or_else(|| name.clone());
    streams.map(table).collect::<HashSet<String>>().len()
}

fn described(path: &Path) -> Option<Value> {
    let size = fs::metadata(path).ok()?.len();
    let text = (size <= DESCRIPTION).then(|| fs::read(path).ok())??;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("a file");
        }
        let mut names = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        keep_parts(folder.path(), &mut names).map_err(|error| error.to_string())?;
        Ok(names)
    }

    #[test]
    fn of_a_saved_data_set_the_listed_streams_are_read() {
        let state = r#"{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}"#;
        let files = [
            ("dataset_info.json", "{}"),
            ("state.json", state),
            ("data-00000-of-00001.arrow", ""),
            ("data-00001-of-00002.arrow", ""),
        ];
        assert_eq!(kept(&files), Ok(vec!["data-00000-of-00001.arrow".into()]));
    }

    #[test]
    fn a_listed_stream_that_isnt_there_is_missed() {
        let state = r#"{"_data_files": [{"filename": "data-00000-of-00002.arrow"},
            {"filename": "data-00001-of-00002.arrow"}]}"#;
        let cut = kept(&[
            ("dataset_info.json", "{}"),
            ("state.json", state),
            ("data-00000-of-00002.arrow", ""),
        ]);
        let cut = cut.expect_err("one isn't there");
        assert!(
            cut.contains("lacks 1 of the 2 parts of its table: data-00001-of-00002.arrow"),
            "{cut}"
        );
    }

    #[test]
    fn a_cache_serves_if_it_has_one_split() {
        let info = ("dataset_info.json", "{}");
        let one = [
            info,
            ("t-train-00000-of-00002.arrow", ""),
            ("t-train-00001-of-00002.arrow", ""),
        ];
        assert_eq!(kept(&one).map(|names| names.len()), Ok(2));
        let two = [info, ("t-train.arrow", ""), ("t-test.arrow", "")];
        assert!(kept(&two).is_err_and(|what| what.contains("several splits")));
    }

    #[test]
    fn several_tables_and_chosen_rows_are_refused() {
        assert!(
            kept(&[("dataset_dict.json", "{}")]).is_err_and(|what| what.contains("DatasetDict"))
        );
        let state = r#"{"_indices_data_files": [{"filename": "indices.arrow"}]}"#;
        let chosen = kept(&[("dataset_info.json", "{}"), ("state.json", state)]);
        assert!(chosen.is_err_and(|what| what.contains("indices")));
    }

    #[test]
    fn other_folders_keep_all_they_have() {
        let files = [("part-0.json", "{}"), ("part-1.json", "{}")];
        assert_eq!(kept(&files).map(|names| names.len()), Ok(2));
    }
}
