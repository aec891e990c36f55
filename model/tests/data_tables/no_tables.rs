//! Files that hold no table, and folders that aren't one, are called what they are.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field};
use umbel_model::data::{TableOptions, TableSchema, read_table};

use crate::arrow::{contents, texts};
use crate::containers::{
    CSV, archive, cells, complaint, gzip, part, read, text_cell, utf16, workbook,
};
use crate::parquet::file;
use crate::{TableFile, row};
use parquet::basic::Compression;

#[test]
fn bytes_that_are_no_text_are_called_so_and_a_zero_in_a_text_is_read() {
    let known = "write it as CSV or JSON Lines";
    for (content, expected) in [
        (
            &b"\x12\0\0\0\0\0\0\0\x0a\x12text,label"[..],
            "a binary file of a format that isn't known here",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", "a picture (PNG)"),
        (
            b"X\n\0\0\0\x03\0\x04\x03\x01\0\x03\x05\0",
            "an R object (.rds)",
        ),
        (b"|text|label|\n|---|:--|\n|a|x|\n", known),
        (b"text | label\n--- | ---\na | x\n", known),
    ] {
        for content in [content.to_vec(), gzip(content)] {
            let told = complaint("notes.csv", content);
            assert!(told.contains(expected), "{told}");
        }
    }
    assert_eq!(
        read("a.csv", "text,label\na\0b,x\n"),
        [row(1, "a\0b", "x", None)]
    );
    // Declared, an encoding may have zeros anywhere.
    let wide = utf16("t\u{e9}xt,label\na,x\n", u16::to_be_bytes);
    let schema = TableSchema {
        text: "t\u{e9}xt".into(),
        options: TableOptions {
            encoding: Some("utf-16be".parse().expect("an encoding")),
            ..TableOptions::default()
        },
        ..TableSchema::default()
    };
    let table = TableFile::holding("a.csv", wide)
        .read(&schema)
        .expect("a table");
    assert_eq!(table.rows, [row(1, "a", "x", None)]);
}

#[test]
fn a_folders_readme_is_no_part_and_its_parts_are_of_one_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| std::fs::write(folder.path().join(name), CSV).expect("a file");
    let complaint = || {
        let table = read_table(folder.path(), &TableSchema::default());
        table.expect_err("a refusal").to_string()
    };
    std::fs::write(folder.path().join("README.md"), "# Texts\n").expect("a file");
    write("train-00001-of-00002.csv");
    assert!(complaint().contains("lacks 1 of the 2 parts of its table: train-00000-of-00002.csv"));
    write("train-00000-of-00002.csv");
    let table = read_table(folder.path(), &TableSchema::default()).expect("a table");
    assert_eq!(table.rows.len(), 4);
    write("test-00000-of-00001.csv");
    let told = complaint();
    assert!(
        told.contains("holds 2 tables: test-*-of-00001, train-*-of-00002; name one file"),
        "{told}"
    );
}

#[test]
fn cells_that_are_merged_over_rows_are_refused_where_they_are_read() {
    let rows = cells(&[
        &[
            text_cell("A1", "text"),
            text_cell("B1", "label"),
            text_cell("C1", "note"),
        ],
        &[
            text_cell("A2", "a"),
            text_cell("B2", "x"),
            text_cell("C2", "n"),
        ],
        &[text_cell("A3", "b"), text_cell("B3", "y")],
    ]);
    let with = |merged: &str| {
        let merged = format!("<mergeCells><mergeCell ref=\"{merged}\"/></mergeCells>");
        workbook(&[("v", &format!("{rows}</sheetData>{merged}<sheetData>"))])
    };
    assert_eq!(
        complaint("a.xlsx", with("B2:B3")),
        "row 2 of a.xlsx: its cell in a column that is read is merged with those below, down to row 3; \
         unmerge the cells, and give each row its own value"
    );
    // Those of other columns, of a title and within a row don't matter.
    for merged in ["C2:C3", "A1:C1", "B1:B2", "B3:C3"] {
        assert_eq!(read("a.xlsx", with(merged)).len(), 2, "{merged}");
    }
}

#[test]
fn archives_and_tables_with_a_log_are_called_what_they_are() {
    for (name, expected) in [
        ("arr_0.npy", "an archive of NumPy arrays (.npz)"),
        ("archive/data.pkl", "a file of PyTorch"),
        ("word/document.xml", "a document of Word (.docx)"),
        ("rows.csv", "a zip archive; unpack it"),
    ] {
        let told = complaint("notes.csv", archive(&[part(name, "x")]));
        assert!(told.contains(expected), "{told}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("part-0.csv"), CSV).expect("a file");
    std::fs::create_dir(folder.path().join("_delta_log")).expect("a folder");
    let table = read_table(folder.path(), &TableSchema::default());
    let told = table.expect_err("a refusal").to_string();
    assert!(told.contains("a table of Delta Lake or Hudi"), "{told}");
}

#[test]
fn a_column_inside_of_another_is_told_with_how_to_flatten_it() {
    let told = "\"text\" is inside \"review\": flatten it";
    let nested = "message m { optional group review { optional binary text (UTF8); \
                  optional binary label (UTF8); } }";
    let parquet = complaint("notes.parquet", file(nested, Compression::SNAPPY, &[]));
    assert!(
        parquet.contains(&format!("it has review.text, review.label; {told}")),
        "{parquet}"
    );
    let text = Arc::new(Field::new("text", DataType::Utf8, true));
    let review = StructArray::from(vec![(text, texts(&["a"]))]);
    let batch = RecordBatch::try_from_iter([("review", Arc::new(review) as ArrayRef)]);
    for content in contents(&[batch.expect("a batch")], None) {
        let arrow = complaint("notes.arrow", content);
        assert!(arrow.contains(&format!("it has review; {told}")), "{arrow}");
    }
}
