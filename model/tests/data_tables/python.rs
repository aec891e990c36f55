//! Tables that Python writes, in every option of its libraries and with random rows in random options: read to
//! the same rows, or refused in words that name the option.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use umbel_model::data::{LabelSet, LabelledTexts, TableOptions, TableSchema, read_table};

/// A row: its text, its label in its normal form, and its group, where there are groups.
type Cells = Vec<Option<String>>;

#[derive(Deserialize)]
struct Written {
    missing: Vec<String>,
    rows: Vec<Cells>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    declared: BTreeMap<String, String>,
    /// Words of which one stands in a refusal; without any, the file must be read.
    refused: Option<String>,
    /// The rows, where they aren't those of the others.
    rows: Option<Vec<Cells>>,
    /// The rows that are right, too, where an option leaves no trace.
    rows_too: Option<Vec<Cells>>,
    /// How it was written, for whoever looks into a failure.
    options: Option<String>,
}

impl File {
    fn schema(&self, group: Option<&str>) -> TableSchema {
        let declared = |key: &str| self.declared.get(key);
        TableSchema {
            group: group.map(str::to_owned),
            options: TableOptions {
                delimiter: declared("delimiter").map(|d| d.parse().expect("a delimiter")),
                encoding: declared("encoding").map(|e| e.parse().expect("an encoding")),
                ..TableOptions::default()
            },
            ..TableSchema::default()
        }
    }
}

/// What a script in `examples` writes into a folder.
fn written(script: &str, arguments: &[&str], folder: &Path) -> Result<Written, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{script}"));
    let interpreter = std::env::var("UMBEL_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(interpreter)
        .args(["-W", "ignore"])
        .arg(script)
        .args(arguments)
        .arg(folder)
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
}

/// The rows of a file, its labels in the form of the label set.
fn read(path: &Path, file: &File, labels: &LabelSet) -> Result<Vec<Cells>, String> {
    let table = read_table(path, &file.schema(None)).map_err(|e| e.to_string())?;
    let texts = LabelledTexts::from_table(&table, labels).map_err(|e| e.to_string())?;
    let label = |index: usize| labels.names()[index].clone();
    let labels = crate::classes(&texts).into_iter().map(label);
    let rows = texts.texts.iter().cloned().zip(labels);
    Ok(rows
        .map(|(text, label)| vec![Some(text), Some(label)])
        .collect())
}

/// The rows of a file as they are read, with their groups, blank texts and all.
fn read_with_groups(path: &Path, file: &File) -> Result<Vec<Cells>, String> {
    let table = read_table(path, &file.schema(Some("patient"))).map_err(|e| e.to_string())?;
    let label = |label: String| match label.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None if label == "True" || label == "False" => label.to_lowercase(),
        None => label,
    };
    let rows = table.rows.into_iter();
    Ok(rows
        .map(|row| {
            vec![
                Some(row.text),
                Some(label(crate::one(&row.label))),
                row.group,
            ]
        })
        .collect())
}

/// Compares what each file is read to with what was written; panics with all that differs.
fn compare(
    written: &Written,
    folder: &Path,
    read: impl Fn(&Path, &File) -> Result<Vec<Cells>, String>,
) {
    for library in &written.missing {
        println!("skipped: Python has no {library}");
    }
    let sorted = |rows: &Vec<Cells>| {
        // Files of a folder come in the order of their names.
        let mut rows = rows.clone();
        rows.sort();
        rows
    };
    let mut wrong = Vec::new();
    let mut counts = (0, 0);
    for file in &written.files {
        let options = file.options.as_deref().unwrap_or_default();
        let name = format!("{} {options}", file.name);
        match (read(&folder.join(&file.name), file), &file.refused) {
            (Ok(rows), _) => {
                let rows = sorted(&rows);
                let expected = sorted(file.rows.as_ref().unwrap_or(&written.rows));
                if rows != expected && file.rows_too.as_ref().map(sorted) != Some(rows.clone()) {
                    wrong.push(format!("{name}: other rows: {rows:?}, not {expected:?}"));
                }
                counts.0 += 1;
            }
            (Err(message), Some(words)) if words.split('|').any(|word| message.contains(word)) => {
                counts.1 += 1;
            }
            (Err(message), _) => wrong.push(format!("{name}: {message}")),
        }
    }
    let (read, refused) = counts;
    println!("{read} files read, {refused} refused");
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(read > 0, "nothing was read");
}

#[test]
fn whatever_python_writes_is_read_to_the_same_rows_or_refused_by_the_name_of_the_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = match written("write_tables.py", &[], folder.path()) {
        Ok(written) => written,
        Err(reason) => return println!("skipped: no Python: {reason}"),
    };
    let names = ["0", "1", "2", "10"].map(str::to_owned).to_vec();
    let labels = LabelSet::new(names).expect("labels");
    compare(&written, folder.path(), |path, file| {
        read(path, file, &labels)
    });
}

/// Shards, classes with names, splits, views of other rows, caches, and what is exported.
#[test]
fn whatever_hugging_face_datasets_keeps_is_read_to_the_same_rows_and_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = match written("write_datasets.py", &[], folder.path()) {
        Ok(written) => written,
        Err(reason) => return println!("skipped: no Python: {reason}"),
    };
    if !written.missing.is_empty() {
        return println!("skipped: Python has no {}", written.missing.join(", "));
    }
    compare(&written, folder.path(), |path, file| {
        let table = read_table(path, &file.schema(None)).map_err(|e| e.to_string())?;
        let rows = table.rows.into_iter();
        let cells = rows.map(|row| vec![Some(row.text), Some(crate::one(&row.label))]);
        Ok(cells.collect())
    });
}

/// `UMBEL_TABLES` tables, by default some hundreds.
#[test]
fn random_tables_in_random_options_are_read_to_the_same_rows_or_refused_by_the_name_of_the_option()
{
    let count = std::env::var("UMBEL_TABLES").unwrap_or_else(|_| "420".into());
    let folder = tempfile::tempdir().expect("a folder");
    let written = match written("write_random_tables.py", &["16", &count], folder.path()) {
        Ok(written) => written,
        Err(reason) => return println!("skipped: no Python: {reason}"),
    };
    compare(&written, folder.path(), read_with_groups);
}
