//! JSON Lines: one object a line, with strings where strings belong.

use proptest::prelude::*;
use serde_json::json;
use umbel_model::data::TableSchema;

use crate::{TableFile, grouped, row};

fn complaint(content: impl AsRef<[u8]>) -> String {
    TableFile::holding("notes.jsonl", content).complaint(&grouped())
}

#[test]
fn numbers_and_truth_values_are_labels_as_their_text_and_blank_lines_are_skipped() {
    let content = "\u{feff}{\"text\":\"a\",\"label\":1,\"patient\":17}\r\n\n  \n\
        {\"label\":true,\"text\":\"b\\n\",\"patient\":\" p \",\"more\":[{}]}\n\
        {\"text\":null,\"label\":0.5}\n{\"text\":\"\",\"label\":\"x\",\"patient\":null}";
    for name in ["a.jsonl", "a.ndjson", "a.JSONL"] {
        let table = TableFile::holding(name, content)
            .read(&grouped())
            .expect("well-formed");
        assert_eq!(
            table.rows,
            [
                row(1, "a", "1", Some("17")),
                row(4, "b\n", "true", Some(" p ")),
                row(5, "", "0.5", None),
                row(6, "", "x", None),
            ]
        );
    }
}

#[test]
fn a_missing_field_is_named_with_its_row() {
    let first = "{\"text\":\"a\",\"label\":\"x\"}\n";
    assert_eq!(
        complaint(format!("{first}{{\"label\":\"x\"}}\n")),
        "row 2 of notes.jsonl: \"text\" is missing; fill it in, or delete the row"
    );
    assert_eq!(
        complaint(format!("{first}{{\"text\":\"a\",\"label\":null}}\n")),
        "row 2 of notes.jsonl: \"label\" is missing; fill it in, or delete the row"
    );
}

#[test]
fn a_value_of_another_type_is_named_with_its_row() {
    assert_eq!(
        complaint("{\"text\":7,\"label\":\"x\"}"),
        "row 1 of notes.jsonl: \"text\" is a number; write a string"
    );
    assert_eq!(
        complaint("{\"text\":\"a\",\"label\":[\"x\"]}"),
        "row 1 of notes.jsonl: \"label\" is a list; write a string, a number, true or false"
    );
}

#[test]
fn a_group_that_would_be_rounded_is_refused() {
    let message =
        complaint("{\"text\":\"a\",\"label\":\"x\",\"patient\":123456789012345678901234567890}");
    assert_eq!(
        message,
        "row 1 of notes.jsonl: \"patient\" is a fraction or a very large number; write a string or \
         a whole number below 2^63"
    );
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(
        complaint("{\"text\":\"a\",\"label\":\"x\"}\n[1]\n"),
        "row 2 of notes.jsonl: a list, not an object; write one JSON object a line"
    );
    assert_eq!(
        complaint("{\"text\":\"a\",\n\"label\":\"x\"}\n"),
        "row 1 of notes.jsonl: not valid JSON at column 12 (EOF while parsing a value); write one \
         JSON object a line"
    );
    assert_eq!(
        complaint(b"{\"text\":\"caf\xe9\",\"label\":\"x\"}\n"),
        "row 1 of notes.jsonl: byte 13 of the line isn't valid UTF-8; save the file as UTF-8"
    );
    assert!(complaint("[".repeat(100_000)).contains("recursion limit"));
}

#[test]
fn a_file_without_rows_is_refused() {
    for content in ["", "\n \n"] {
        let message = complaint(content);
        assert_eq!(
            message,
            "notes.jsonl has no rows; give it at least one labelled text"
        );
    }
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_is_read_back(
        cells in prop::collection::vec((any::<String>(), any::<String>()), 1..20),
    ) {
        let mut content = String::new();
        for (text, label) in &cells {
            content.push_str(&json!({ "text": text, "label": label }).to_string());
            content.push('\n');
        }
        let file = TableFile::holding("a.jsonl", content);
        let table = file.read(&TableSchema::default()).expect("well-formed");
        let found: Vec<_> = table.rows.into_iter().map(|r| (r.text, r.label)).collect();
        prop_assert_eq!(found, cells);
    }
}
