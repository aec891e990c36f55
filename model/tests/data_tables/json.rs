//! JSON Lines: one object a line, with strings where strings belong.

use proptest::prelude::*;
use serde_json::json;
use umbel_model::TaskKind;
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
        "row 2 of notes.jsonl: the label is missing; fill it in, or delete the row"
    );
}

#[test]
fn a_value_of_another_type_is_named_with_its_row() {
    assert_eq!(
        complaint("{\"text\":7,\"label\":\"x\"}"),
        "row 1 of notes.jsonl: \"text\" is a number; write a string"
    );
    assert_eq!(
        complaint("{\"text\":\"a\",\"label\":{\"x\":1}}"),
        "row 1 of notes.jsonl: \"label\" is an object; write a string, a number, true or false"
    );
}

#[test]
fn a_group_that_would_be_rounded_is_refused() {
    let message =
        complaint("{\"text\":\"a\",\"label\":\"x\",\"patient\":123456789012345678901234567890}");
    assert_eq!(
        message,
        "row 1 of notes.jsonl: \"patient\" is a number too large to be exact; write a string or a \
         whole number below 2^63"
    );
}

#[test]
fn classes_whose_numbers_would_be_rounded_to_one_are_refused() {
    let table = |label: &str| {
        let rows = format!("{{\"text\":\"a\",\"label\":0}}\n{{\"text\":\"b\",\"label\":{label}}}");
        TableFile::holding("notes.jsonl", rows)
    };
    for large in ["123456789012345678901", "-9223372036854775809", "1e300"] {
        assert_eq!(
            table(large).complaint(&TableSchema::default()),
            "row 2 of notes.jsonl: \"label\" is a number too large to be exact; write a string, or a \
             number that is exact as it is stored"
        );
    }
    let schema = TableSchema::default().for_task(TaskKind::Regression, &[]);
    for value in ["1e300", "123456789012345678901"] {
        assert!(table(value).read(&schema).is_ok());
    }
    for class in ["18446744073709551615", "1.0", "0.1", "9007199254740991.0"] {
        assert!(table(class).read(&TableSchema::default()).is_ok());
    }
}

#[test]
fn commas_and_quotes_that_json_hasnt_are_told_with_what_to_do() {
    let row = "{\"text\":\"a\",\"label\":\"x\"}";
    for content in [format!("{row},\n{row},\n"), format!("{row}\n,{row}\n")] {
        assert_eq!(
            complaint(content),
            "row 2 of notes.jsonl: a comma stands before it, and the objects aren't in a list; leave out \
             the commas between lines, or put [ before the first object and ] behind the last"
        );
    }
    for content in [format!("[{row},]"), row.replace('}', ",}")] {
        let told = complaint(content);
        assert!(
            told.contains("remove the comma behind the last element"),
            "{told}"
        );
    }
    let told = complaint(row.replace('"', "'"));
    assert!(
        told.contains("write keys and texts in double quotes"),
        "{told}"
    );
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(
        complaint("{\"text\":\"a\",\"label\":\"x\"}\n[1]\n"),
        "row 2 of notes.jsonl: a list, not an object; write one JSON object a line"
    );
    assert_eq!(
        complaint(b"{\"text\":\"caf\xe9\",\"label\":\"x\"}\n"),
        "row 1 of notes.jsonl: byte 13 of the line isn't valid UTF-8; save the file as UTF-8"
    );
    // However deep it goes, that is no reason to run out of stack.
    let deep = complaint("[".repeat(100_000));
    assert!(deep.contains("not valid JSON"), "{deep}");
    let inside = "[".repeat(100_000) + &"]".repeat(100_000);
    complaint(format!("{{\"text\":{inside},\"label\":\"x\"}}\n"));
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

fn read(name: &'static str, content: &str) -> Vec<umbel_model::data::Row> {
    let table = TableFile::holding(name, content).read(&TableSchema::default());
    table.expect("a table").rows
}

#[test]
fn objects_stand_on_lines_over_lines_or_in_a_list() {
    let rows = [row(1, "a", "x", None), row(2, "b", "1", None)];
    for content in [
        "{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\",\"label\":1}\n",
        "{\"text\":\"a\",\"label\":\"x\"}\r{\"text\":\"b\",\"label\":1}\r",
        "{\"text\":\"a\",\"label\":\"x\"} {\"text\":\"b\",\"label\":1}",
        "{\n \"text\":\"a\",\n \"label\":\"x\"\n}\n{\n \"text\":\"b\",\"label\":1}",
        "[{\"text\":\"a\",\"label\":\"x\"},{\"text\":\"b\",\"label\":1}]",
        "\u{feff} [\n  {\"text\":\"a\",\"label\":\"x\"},\n  {\"text\":\"b\",\"label\":1}\n]\n",
    ] {
        for name in ["a.json", "a.jsonl", "a.txt", "a.csv"] {
            assert_eq!(read(name, content), rows, "{name}: {content:?}");
        }
    }
}

#[test]
fn a_list_with_one_label_is_that_label_and_one_with_more_is_refused() {
    let one = "{\"text\":\"a\",\"label\":[\"x\"]}\n{\"text\":\"b\",\"label\":[1]}";
    assert_eq!(
        read("a.jsonl", one),
        [row(1, "a", "x", None), row(2, "b", "1", None)]
    );
    assert_eq!(
        complaint("{\"text\":\"a\",\"label\":[\"x\",\"y\"],\"patient\":1}"),
        "row 1 of notes.jsonl: \"label\" is a list of 2 labels, and each text has one here; choose \
         one, or write a row for each"
    );
    assert!(complaint("{\"text\":\"a\",\"label\":[],\"patient\":1}").contains("label is missing"));
}

#[test]
fn a_key_that_is_there_twice_is_refused_wherever_it_stands() {
    for content in [
        "{\"text\":\"a\",\"label\":\"x\",\"label\":\"y\"}",
        "[{\"text\":\"a\",\"label\":\"x\",\"label\":\"y\"}]",
        "{\"label\":\"x\",\n\"text\":\"a\",\"label\":\"x\"}",
    ] {
        let message = complaint(content);
        assert_eq!(
            message,
            "row 1 of notes.jsonl: the key \"label\" is there twice; leave one of them"
        );
    }
}

#[test]
fn the_keys_that_are_there_are_listed_where_one_is_missing() {
    assert_eq!(
        TableFile::holding("notes.jsonl", "{\"sentence\":\"a\",\"label\":1}")
            .complaint(&TableSchema::default()),
        "notes.jsonl has no column \"text\"; it has sentence, label; name the right one under \
         data.text"
    );
}

#[test]
fn nested_tables_are_refused_with_how_to_flatten_them() {
    for (content, told) in [
        (
            "{\"text\":{\"0\":\"a\"},\"label\":{\"0\":\"x\"}}",
            "orient=\"columns\"",
        ),
        (
            "{\"data\":[{\"text\":\"a\"},{\"text\":\"b\"}]}\n",
            "rows are inside \"data\"",
        ),
        (
            "{\"0\":{\"text\":\"a\",\"label\":1},\n\"1\":{\"text\":\"b\",\"label\":1}}",
            "orient=\"index\"",
        ),
        (
            "[{\"data\":{\"text\":\"a\"},\"annotations\":[]}]",
            "JSON-MIN",
        ),
        ("{\"meta\":{\"text\":\"a\"},\"label\":1}", "inside \"meta\""),
        ("[[\"a\",\"x\"],[\"b\",\"y\"]]", "a list, not an object"),
        ("{\"text\":\"a\",\"label\":NaN}", "not NaN"),
    ] {
        let message = TableFile::holding("notes.json", content).complaint(&TableSchema::default());
        assert!(message.contains(told), "{content}: {message}");
    }
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_is_read_back(
        cells in prop::collection::vec((any::<String>(), "[a-z]{1,3}"), 1..20),
        (pretty, list) in any::<(bool, bool)>(),
    ) {
        let objects: Vec<_> = cells
            .iter()
            .map(|(text, label)| json!({ "text": text, "label": label }))
            .collect();
        let written = |value: &serde_json::Value| match pretty {
            true => format!("{value:#}\n"),
            false => format!("{value}\n"),
        };
        let content = match list {
            true => written(&json!(objects)),
            false => objects.iter().map(written).collect(),
        };
        let file = TableFile::holding("a.jsonl", content);
        let table = file.read(&TableSchema::default()).expect("well-formed");
        let found: Vec<_> = table.rows.into_iter().map(|r| (r.text, crate::one(&r.label))).collect();
        prop_assert_eq!(found, cells);
    }
}
