//! Folders in which Hugging Face Datasets keeps a table: which of their files are its parts.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::content::Unread;

/// Bytes of a description beyond which it isn't read.
const DESCRIPTION: u64 = 1 << 20;

/// Leaves the names of a folder's parts. A folder of another kind keeps all it has.
///
/// # Errors
/// In words, if the folder has more than one table.
pub(super) fn keep_parts(folder: &Path, names: &mut Vec<String>) -> Result<(), Unread> {
    let has = |names: &[String], file: &str| names.iter().any(|name| name == file);
    if has(names, "dataset_dict.json") {
        return Err(Unread {
            what: "a data set of several splits (a DatasetDict of Hugging Face Datasets)",
            remedy: "name the folder of one split in it, such as train",
        });
    }
    if !has(names, "dataset_info.json") {
        return Ok(());
    }
    let state = described(&folder.join("state.json"));
    names.retain(|name| !name.ends_with(".json") && !name.ends_with(".lock"));
    match state {
        Some(state) => keep_listed(&state, names),
        None if splits(names) > 1 => Err(Unread {
            what: "a cache of several splits of a data set, or of what was made of them",
            remedy: "name one file, or save the split that is meant with Dataset.save_to_disk",
        }),
        None => Ok(()),
    }
}

/// What `state.json` lists. Files of an earlier, longer version may lie beside them.
fn keep_listed(state: &Value, names: &mut Vec<String>) -> Result<(), Unread> {
    let files = |key: &str| -> HashSet<&str> {
        let files = state.get(key).and_then(Value::as_array);
        let names = files.into_iter().flatten();
        names
            .filter_map(|file| file.get("filename")?.as_str())
            .collect()
    };
    if !files("_indices_data_files").is_empty() || !files("_indices_files").is_empty() {
        return Err(Unread {
            what: "a data set whose rows are chosen by another file (indices)",
            remedy: "save it again after Dataset.flatten_indices()",
        });
    }
    let listed = files("_data_files");
    if !listed.is_empty() {
        names.retain(|name| listed.contains(name.as_str()));
    }
    Ok(())
}

fn described(path: &Path) -> Option<Value> {
    let size = fs::metadata(path).ok()?.len();
    let text = (size <= DESCRIPTION).then(|| fs::read(path).ok())??;
    serde_json::from_slice(&text).ok()
}

/// How many tables files are parts of: `imdb-test-00000-of-00002.arrow` is one of `imdb-test`.
fn splits(names: &[String]) -> usize {
    let streams = names.iter().filter_map(|name| name.strip_suffix(".arrow"));
    let tables: HashSet<&str> = streams.map(table_of).collect();
    tables.len()
}

fn table_of(name: &str) -> &str {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let numbered = || {
        let (rest, count) = name.rsplit_once("-of-")?;
        let (table, number) = rest.rsplit_once('-')?;
        (digits(count) && digits(number)).then_some(table)
    };
    numbered().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(files: &[(&str, &str)]) -> Result<Vec<String>, &'static str> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("a file");
        }
        let mut names = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        keep_parts(folder.path(), &mut names).map_err(|unread| unread.what)?;
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
