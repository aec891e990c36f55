//! CSV: what RFC 4180 allows is read to the letter, the rest refused with its place.

use proptest::prelude::*;
use umbel_model::data::TableSchema;

use crate::{TableFile, grouped, row};

fn rows(content: &str) -> Vec<umbel_model::data::Row> {
    TableFile::holding("a.csv", content)
        .read(&grouped())
        .expect("a well-formed table")
        .rows
}

fn complaint(content: impl AsRef<[u8]>) -> String {
    TableFile::holding("visits.csv", content).complaint(&TableSchema::default())
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    let found =
        rows("id,label,patient,text\r\n7,yes, p1 ,\"good, \"\"very\"\" good\"\r\n8,no,,bad\n");
    assert_eq!(
        found,
        [
            row(1, "good, \"very\" good", "yes", Some(" p1 ")),
            row(2, "bad", "no", None),
        ]
    );
}

#[test]
fn a_byte_order_mark_blank_lines_and_line_ends_within_quotes_are_read() {
    let found = rows("\u{feff}text,label,patient\n\n\"one\r\ntwo\",yes,p\r\n\r\nthree,no,q");
    assert_eq!(
        found,
        [
            row(1, "one\r\ntwo", "yes", Some("p")),
            row(2, "three", "no", Some("q"))
        ]
    );
}

#[test]
fn a_missing_column_lists_those_that_are_there() {
    assert_eq!(
        complaint("Text,label,\"a;b\"\nx,y,z\n"),
        "visits.csv has no column \"text\"; it has Text, label, \"a;b\"; name the right one under \
         data.text"
    );
}

#[test]
fn a_column_named_twice_is_refused() {
    assert_eq!(
        complaint("text,label,text\nx,y,z\n"),
        "visits.csv has more than one column \"text\"; rename all but one, or name another under \
         data.text"
    );
}

#[test]
fn a_stray_quote_names_row_line_and_remedy() {
    assert_eq!(
        complaint("text,label\n\"two\nlines\",yes\n5\" wide,no\n"),
        "row 2 of visits.csv: a quote inside an unquoted field (line 4); put the whole field in \
         quotes and double each quote inside it"
    );
    assert_eq!(
        complaint("text,label\n\"so \"great\"\",yes\n"),
        "row 1 of visits.csv: text after a closing quote (line 2); double each quote inside a \
         quoted field"
    );
    assert_eq!(
        complaint("text,label\na,yes\n\"never closed,no\nb,yes\n"),
        "row 2 of visits.csv: a quote that is never closed (line 3); close it, or double each \
         quote inside a quoted field"
    );
    assert_eq!(
        complaint("te\"xt,label\n"),
        "the header of visits.csv: a quote inside an unquoted field (line 1); put the whole field \
         in quotes and double each quote inside it"
    );
}

#[test]
fn a_ragged_row_is_refused() {
    assert_eq!(
        complaint("text,label\na,yes\nso, so,no\n"),
        "row 2 of visits.csv: 3 fields where the header has 2 (line 3); put texts that hold commas \
         or line ends in quotes"
    );
    assert!(complaint("text,label\na\n").contains("1 fields where the header has 2"));
}

#[test]
fn bytes_that_are_not_utf8_name_row_and_column() {
    assert_eq!(
        complaint(b"text,label\na,yes\ncaf\xe9,no\n"),
        "row 2 of visits.csv: column 1 isn't valid UTF-8; save the file as UTF-8"
    );
}

#[test]
fn a_file_without_rows_is_refused() {
    for content in ["", "\n\n", "\u{feff}", "text,label\n"] {
        assert_eq!(
            complaint(content),
            "visits.csv has no rows; give it at least one labelled text"
        );
    }
}

#[test]
fn a_file_of_unknown_format_or_none_at_all_is_refused() {
    let unknown = TableFile::holding("visits.xlsx", "").complaint(&TableSchema::default());
    assert_eq!(
        unknown,
        "can't tell the format of visits.xlsx from its name; let it end in .csv, .jsonl, .ndjson \
         or .parquet"
    );
    let absent = umbel_model::data::read_table("no/such.csv".as_ref(), &TableSchema::default());
    let message = absent.expect_err("an error").to_string();
    assert!(message.starts_with("can't read no/such.csv: "), "{message}");
}

proptest! {
    #[test]
    fn whatever_the_csv_crate_writes_is_read_back(
        cells in prop::collection::vec(("\\PC*|[\",\r\n a]*", "[ -~\r\n]*"), 1..20),
        crlf in any::<bool>(),
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        writer.write_record(["text", "label"]).expect("memory");
        for (text, label) in &cells {
            writer.write_record([text, label]).expect("memory");
        }
        let bytes = writer.into_inner().expect("memory");
        let file = TableFile::holding("a.csv", bytes);
        let table = file.read(&TableSchema::default()).expect("well-formed");
        let found: Vec<_> = table.rows.into_iter().map(|r| (r.text, r.label)).collect();
        prop_assert_eq!(found, cells);
    }
}
