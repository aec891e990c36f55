//! Tables that Python writes, in every option of its libraries: read to the same rows, or refused in
//! words that name the option.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use umbel_model::data::{LabelSet, LabelledTexts, TableOptions, TableSchema, read_table};

#[derive(Deserialize)]
struct Written {
    missing: Vec<String>,
    rows: Vec<(String, String)>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    declared: BTreeMap<String, String>,
    /// Words of which one stands in a refusal; without any, the file must be read.
    refused: Option<String>,
    /// The rows, where they aren't those of the others.
    rows: Option<Vec<(String, String)>>,
}

/// What `examples/write_tables.py` writes into a folder.
fn written(folder: &Path) -> Result<Written, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/write_tables.py");
    let interpreter = std::env::var("UMBEL_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(interpreter)
        .args(["-W", "ignore"])
        .arg(script)
        .arg(folder)
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
}

/// The rows of a file, its labels in the form of the label set.
fn read(path: &Path, file: &File, labels: &LabelSet) -> Result<Vec<(String, String)>, String> {
    let declared = |key: &str| file.declared.get(key);
    let schema = TableSchema {
        options: TableOptions {
            delimiter: declared("delimiter").map(|d| d.parse()).transpose()?,
            encoding: declared("encoding").map(|e| e.parse()).transpose()?,
            ..TableOptions::default()
        },
        ..TableSchema::default()
    };
    let table = read_table(path, &schema).map_err(|e| e.to_string())?;
    let texts = LabelledTexts::from_table(&table, labels).map_err(|e| e.to_string())?;
    let label = |index: usize| labels.names()[index].clone();
    let labels = crate::classes(&texts).into_iter().map(label);
    Ok(texts.texts.iter().cloned().zip(labels).collect())
}

#[test]
fn whatever_python_writes_is_read_to_the_same_rows_or_refused_by_the_name_of_the_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = match written(folder.path()) {
        Ok(written) => written,
        Err(reason) => return println!("skipped: no Python: {reason}"),
    };
    for library in &written.missing {
        println!("skipped: Python has no {library}");
    }
    let names = ["0", "1", "2", "10"].map(str::to_owned).to_vec();
    let labels = LabelSet::new(names).expect("labels");
    let mut wrong = Vec::new();
    let mut counts = (0, 0);
    for file in &written.files {
        let mut expected = file.rows.as_ref().unwrap_or(&written.rows).clone();
        match (
            read(&folder.path().join(&file.name), file, &labels),
            &file.refused,
        ) {
            (Ok(mut rows), _) => {
                // Files of a folder come in the order of their names.
                rows.sort();
                expected.sort();
                if rows != expected {
                    wrong.push(format!("{}: other rows: {rows:?}", file.name));
                }
                counts.0 += 1;
            }
            (Err(message), Some(words)) if words.split('|').any(|word| message.contains(word)) => {
                counts.1 += 1;
            }
            (Err(message), _) => wrong.push(format!("{}: {message}", file.name)),
        }
    }
    let (read, refused) = counts;
    println!("{read} files read, {refused} refused");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read > 0, "nothing was read");
}
