//! What must hold of any folder that is read as one table: its parts, and what Hugging Face Datasets
//! says of them.

use std::fs;
use std::path::Path;

use umbel_model::data::{
    Asked, LabelSet, TableFormat, TableOptions, TableSchema, clean, read_table, read_texts,
};

use crate::folder;

/// Names that mean something in such a folder.
#[allow(dead_code, reason = "not every test changes them")]
pub const NAMES: &[&str] = &[
    "dataset_info.json",
    "state.json",
    "dataset_dict.json",
    "data-00000-of-00002.arrow",
    "cache-1.arrow",
    "part-0.json",
    "a.csv",
    "_SUCCESS",
];

/// Writes the files of an input into one folder, and reads that as a table.
pub fn check(input: &[u8]) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let named = home.path().join("texts");
    fs::create_dir(&named).expect("a temporary folder");
    for (name, content) in folder::read(input) {
        let plain = !name.is_empty()
            && name.len() < 100
            && !name.contains(['/', '\0'])
            && !name.starts_with('.');
        if plain {
            // The line break before the next file's name isn't the file's.
            let content = content.strip_suffix(b"\n").unwrap_or(&content);
            fs::write(named.join(name), content).expect("it can be written");
        }
    }
    for format in [None, Some(TableFormat::Csv), Some(TableFormat::Json)] {
        let schema = TableSchema {
            options: TableOptions {
                format,
                ..TableOptions::default()
            },
            asked: Asked::Evaluate,
            ..TableSchema::default()
        };
        read(&named, &schema);
    }
}

fn read(path: &Path, schema: &TableSchema) {
    let named = |refusal: String| assert!(refusal.contains("texts"), "{refusal}");
    let texts = read_texts(path, schema);
    match read_table(path, schema) {
        Err(error) => named(error.to_string()),
        Ok(table) => {
            assert!(!table.rows.is_empty());
            assert!(texts.is_ok(), "rows with labels are rows");
            let (table, _) = clean(table);
            let _labels = LabelSet::union([&table]);
        }
    }
}
