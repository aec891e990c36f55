//! What must hold of any file that is read as a table.

use std::io::Write;

use umbel_model::data::{
    Asked, LabelSet, LabelledTexts, TableFormat, TableOptions, TableSchema, clean, read_table,
    read_texts,
};

/// Reads a file in every way that there is: as what it looks like, and as each format by
/// declaration. It is a table with rows, or an error that names the file.
pub fn check(input: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(input).expect("a temporary file");
    let declared = TableFormat::WORDS.map(|(_, format)| Some(format));
    for format in [None].into_iter().chain(declared) {
        for group in [None, Some("patient".to_owned())] {
            let schema = TableSchema {
                group,
                options: TableOptions {
                    format,
                    ..TableOptions::default()
                },
                asked: Asked::Evaluate,
                ..TableSchema::default()
            };
            read(file.path(), &schema);
        }
    }
}

fn read(path: &std::path::Path, schema: &TableSchema) {
    let name = path.file_name().expect("a name").to_string_lossy();
    if let Err(error) = read_texts(path, schema) {
        assert!(error.to_string().contains(&*name), "{error}");
    }
    match read_table(path, schema) {
        Err(error) => assert!(error.to_string().contains(&*name), "{error}"),
        Ok(table) => {
            assert!(!table.rows.is_empty());
            let (table, _) = clean(table);
            if let Ok(labels) = LabelSet::union([&table])
                && let Ok(texts) = LabelledTexts::from_table(&table, &labels)
            {
                // Every label of a set that the tables gave is one of it.
                let targets = texts.targets.iter();
                let mut all = targets.flat_map(|target| target.classes());
                assert!(all.all(|label| *label < labels.len()));
                let _units = texts.rows_by_group(Some(2));
            }
        }
    }
}
