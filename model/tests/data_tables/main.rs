//! What becomes of a table file: every format, well-formed and not, up to privacy units.

mod any_bytes;
mod arrow;
mod cleaning;
mod containers;
mod csv;
mod group_ids;
mod json;
mod no_tables;
mod parquet;
mod published_tables;
mod python;
mod saved_datasets;
mod tasks;
mod units;

use umbel_model::data::{DataError, LabelledTexts, Row, RowLabel, Table, TableSchema, read_table};

/// A file in a folder that is gone when this is dropped, and that is named alike everywhere.
struct TableFile {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl TableFile {
    fn holding(name: &'static str, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(name), content).expect("a temporary file");
        Self { folder, name }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join(self.name)
    }

    fn read(&self, schema: &TableSchema) -> Result<Table, DataError> {
        read_table(&self.path(), schema)
    }

    /// The message of the error that reading ends in, the folder taken off the file's name.
    fn complaint(&self, schema: &TableSchema) -> String {
        let error = self.read(schema).expect_err("an error");
        self.without_folder(&error)
    }

    fn without_folder(&self, error: &DataError) -> String {
        let folder = format!(
            "{}{}",
            self.folder.path().display(),
            std::path::MAIN_SEPARATOR
        );
        error.to_string().replace(&folder, "")
    }
}

fn grouped() -> TableSchema {
    TableSchema {
        group: Some("patient".into()),
        ..TableSchema::default()
    }
}

fn row(row: usize, text: &str, label: &str, group: Option<&str>) -> Row {
    Row {
        text: text.into(),
        second: None,
        label: label.into(),
        group: group.map(str::to_owned),
        client: None,
        row,
    }
}

/// The labels of texts of which each has one, as indices.
fn classes(texts: &LabelledTexts) -> Vec<usize> {
    let targets = texts.targets.iter();
    targets
        .flat_map(|target| target.classes().iter().copied())
        .collect()
}

/// The only label of a row.
fn one(label: &RowLabel) -> String {
    match label.names() {
        [label] => label.clone(),
        labels => panic!("{labels:?}"),
    }
}
