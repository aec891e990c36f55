//! What must hold of any file that is read as a table.

use std::io::Write;

use umbel_model::data::{
    Asked, LabelSet, LabelledTexts, TableFormat, TableOptions, TableSchema, clean, read_table,
    read_texts,
};
use umbel_model::{Target, TaskKind};

/// Reads a file in every way that there is: as what it looks like, and as each format by
/// declaration. It is a table with rows, or an error that names the file.
pub fn check(input: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(input).expect("a temporary file");
    let declared = TableFormat::WORDS.map(|(_, format)| Some(format));
    for format in [None].into_iter().chain(declared) {
        let columns = [
            (None, None),
            (Some("patient"), None),
            (None, Some("answer")),
        ];
        for (group, text_pair) in columns {
            let schema = TableSchema {
                group: group.map(str::to_owned),
                text_pair: text_pair.map(str::to_owned),
                options: TableOptions {
                    format,
                    ..TableOptions::default()
                },
                asked: Asked::Evaluate,
                ..TableSchema::default()
            };
            read(file.path(), &schema);
            read_for_tasks(file.path(), &schema);
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

/// Reads a file as tasks have it whose texts have any number of labels, or a value.
fn read_for_tasks(path: &std::path::Path, schema: &TableSchema) {
    let names = ["a".to_owned(), "b".to_owned()];
    let labels = LabelSet::new(names.to_vec()).expect("labels");
    for task in [TaskKind::MultiLabel, TaskKind::Regression] {
        let mut schema = schema.clone().for_task(task, &names);
        schema.label_separator = ";".parse().ok();
        let Ok(table) = read_table(path, &schema) else {
            continue;
        };
        let Ok(texts) = LabelledTexts::for_task(&clean(table).0, task, &labels) else {
            continue;
        };
        let right = |target: &Target| match target {
            Target::Class(_) => false,
            Target::Labels(labels) => labels.is_sorted() && labels.iter().all(|label| *label < 2),
            Target::Value(value) => value.is_finite(),
        };
        assert!(texts.targets.iter().all(right));
        assert!(
            texts
                .seconds
                .is_none_or(|seconds| seconds.len() == texts.texts.len())
        );
    }
}
