//! Folders of Hugging Face Datasets: the streams of one split are one table.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use umbel_model::data::{TableSchema, read_table};

use crate::arrow::{contents, texts};
use crate::row;

/// A stream of rows whose labels are numbers with names.
fn stream(rows: &[(&str, i64)], names: &str) -> Vec<u8> {
    let info = format!(r#"{{"info": {{"features": {{"label": {{"names": {names}}}}}}}}}"#);
    let fields = vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("label", DataType::Int64, true),
    ];
    let metadata = std::collections::HashMap::from([("huggingface".to_owned(), info)]);
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let labels: Int64Array = rows.iter().map(|(_, label)| *label).collect();
    let text: Vec<&str> = rows.iter().map(|(text, _)| *text).collect();
    let columns = vec![texts(&text), Arc::new(labels) as ArrayRef];
    let batch = RecordBatch::try_new(schema, columns).expect("a batch");
    let [_, stream] = contents(&[batch], None);
    stream
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
    folder
}

const NAMES: &str = r#"["neg", "pos"]"#;

#[test]
fn a_saved_data_set_is_the_streams_that_its_state_lists() {
    let state = br#"{"_data_files": [{"filename": "data-00000-of-00002.arrow"},
        {"filename": "data-00001-of-00002.arrow"}], "_split": "train"}"#;
    let saved = folder(&[
        ("dataset_info.json", b"{}"),
        ("state.json", state),
        ("data-00001-of-00002.arrow", &stream(&[("b", 0)], NAMES)),
        ("data-00000-of-00002.arrow", &stream(&[("a", 1)], NAMES)),
        // What an earlier version left behind.
        ("data-00002-of-00003.arrow", &stream(&[("c", 1)], NAMES)),
    ]);
    let table = read_table(saved.path(), &TableSchema::default()).expect("a data set");
    assert_eq!(table.class_names, ["neg", "pos"]);
    assert_eq!(
        table.rows,
        [row(1, "a", "pos", None), row(2, "b", "neg", None)]
    );
}

#[test]
fn several_splits_and_parts_that_name_classes_differently_are_refused() {
    let complaint = |files: &[(&str, &[u8])]| {
        let folder = folder(files);
        let error = read_table(folder.path(), &TableSchema::default());
        error.expect_err("a refusal").to_string()
    };
    let train = stream(&[("a", 1)], NAMES);
    let splits = complaint(&[
        ("dataset_dict.json", br#"{"splits": ["train", "test"]}"#),
        ("train/data-00000-of-00001.arrow", &train),
    ]);
    assert!(
        splits.contains("name the folder of one split in it, such as train"),
        "{splits}"
    );
    let cache = complaint(&[
        ("dataset_info.json", b"{}"),
        ("reviews-train.arrow", &train),
        ("reviews-test.arrow", &train),
    ]);
    assert!(cache.contains("a cache of several splits"), "{cache}");
    let other = stream(&[("b", 1)], r#"["pos", "neg"]"#);
    let parts = complaint(&[("0.arrow", &train), ("1.arrow", &other)]);
    assert!(
        parts.contains("gives other names to its classes"),
        "{parts}"
    );
}
