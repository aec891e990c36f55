//! Files that hold no table, and folders that aren't one, are called what they are.

use umbel_model::data::{TableOptions, TableSchema, read_table};

use crate::containers::{CSV, complaint, gzip, read, utf16};
use crate::{TableFile, row};

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
