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
        complaint("note,label,\"a;b\"\nx,y,z\n"),
        "visits.csv has no column \"text\"; it has note, label, \"a;b\"; name the right one under \
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
    assert!(complaint("text,label\na\n").contains("1 field where the header has 2"));
}

#[test]
fn bytes_that_are_not_utf8_name_row_and_column() {
    assert_eq!(
        complaint(b"text,label\na,yes\ncaf\xe9,no\n"),
        "row 2 of visits.csv: column 1 isn't valid UTF-8; save the file as UTF-8, or name its \
         encoding (such as windows-1252) under data.encoding"
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
fn a_file_that_isnt_there_is_named() {
    let absent = umbel_model::data::read_table("no/such.csv".as_ref(), &TableSchema::default());
    let message = absent.expect_err("an error").to_string();
    assert!(message.starts_with("can't read no/such.csv: "), "{message}");
}

/// The rows that every dialect below holds.
fn expected() -> Vec<umbel_model::data::Row> {
    vec![
        row(1, "good, film", "pos", None),
        row(2, "bad; film", "neg", None),
    ]
}

fn read(name: &'static str, content: impl AsRef<[u8]>) -> Vec<umbel_model::data::Row> {
    let table = TableFile::holding(name, content).read(&TableSchema::default());
    table.expect("a table").rows
}

#[test]
fn any_usual_dialect_holds_the_same_rows() {
    for content in [
        "text,label\n\"good, film\",pos\nbad; film,neg\n",
        "text;label\r\ngood, film;pos\r\n\"bad; film\";neg\r\n",
        "text\tlabel\ngood, film\tpos\nbad; film\tneg",
        "label|text\npos|good, film\nneg|bad; film\n",
        "text,label\r\"good, film\",pos\rbad; film,neg\r",
        "text,label\r\r\n\"good, film\",pos\r\r\nbad; film,neg\r\r\n",
        "text, label\n\"good, film\", \"pos\"\nbad; film, neg\n",
        " Text , LABEL\n\"good, film\" , pos\n\"bad; film\",neg \n",
        "sep=;\ntext;label\ngood, film;pos\n\"bad; film\";neg\n",
        "\u{feff},text,label\n0,\"good, film\",pos\n1,bad; film,neg\n,,\n",
        "text,label\n\"good, film\",pos\n\n\nbad; film,neg\u{200b}\n",
    ] {
        assert_eq!(read("a.csv", content), expected(), "{content:?}");
        assert_eq!(read("a.dat", content), expected(), "{content:?}");
    }
}

#[test]
fn quotes_that_a_backslash_escapes_are_read_where_the_whole_file_makes_sense_so() {
    let rows = [
        row(1, "he said \"x\", ok", "pos", None),
        row(2, "C:\\new", "neg", None),
    ];
    for content in [
        "text,label\n\"he said \\\"x\\\", ok\",pos\nC:\\\\new,neg\n",
        "text,label\nhe said \\\"x\\\"\\, ok,pos\nC:\\\\new,neg\n",
    ] {
        assert_eq!(read("a.csv", content), rows, "{content}");
    }
    let message = complaint("text,label\n\"he said \\\"x\\\"\",pos\n\"not \"so\",neg\n");
    assert!(
        message.contains("a quote that is escaped by a backslash"),
        "{message}"
    );
    // Without a fault a backslash is text.
    assert_eq!(read("a.csv", "text,label\n\"C:\\\",a\n")[0].text, "C:\\");
}

#[test]
fn single_quotes_around_fields_are_refused_by_name() {
    for content in [
        "text,label\n'it''s fine',pos\n",
        "text,label\n'good, film',pos\n",
        "'text','label'\n'a','b'\n",
    ] {
        let message = complaint(content);
        assert!(message.contains("double quotes"), "{message}");
        assert!(message.contains("single"), "{message}");
    }
    let apostrophes = "text,label\n'tis the season,a\n'yes',b\n";
    assert_eq!(read("a.csv", apostrophes)[1].text, "'yes'");
}

#[test]
fn a_table_without_a_header_is_told_so() {
    for content in [
        "a good film,pos\na bad film,neg\nanother good film,pos\n",
        "0,a good film\n4,a bad film\n",
        "a film that I have never seen before,good\nbad film,awful\n",
    ] {
        let message = complaint(content);
        assert!(message.contains("put a header line on top"), "{message}");
    }
    let below = complaint("Export of 2026\n\ntext,label\na,b\n");
    assert!(below.contains("record 2 looks like the header"), "{below}");
}

#[test]
fn another_delimiter_or_encoding_is_read_where_it_is_declared() {
    use umbel_model::data::TableOptions;
    let options = TableOptions {
        delimiter: Some("^".parse().expect("a delimiter")),
        encoding: Some("windows-1252".parse().expect("an encoding")),
        ..TableOptions::default()
    };
    let schema = TableSchema {
        options,
        ..TableSchema::default()
    };
    let table = TableFile::holding("a.csv", b"text^label\ncaf\xe9, bar^pos\n").read(&schema);
    assert_eq!(
        table.expect("declared").rows,
        [row(1, "caf\u{e9}, bar", "pos", None)]
    );
    let message = complaint("text^label\nx^pos\n");
    assert!(message.contains("data.delimiter"), "{message}");
}

#[test]
fn rs_numbers_of_rows_are_told_of() {
    let message = complaint("\"text\",\"label\"\n\"1\",\"good\",\"pos\"\n");
    assert!(message.contains("row.names = FALSE"), "{message}");
}

#[test]
fn a_missing_label_is_told_as_missing() {
    assert_eq!(
        complaint("text,label\na,x\nb,\n"),
        "row 2 of visits.csv: the label is missing; fill it in, or delete the row"
    );
    // A row without text is dropped, or refused for that.
    assert_eq!(read("a.csv", "text,label,id\na,x,1\n,,2\n").len(), 2);
}

proptest! {
    #[test]
    fn whatever_the_csv_crate_writes_is_read_back(
        cells in prop::collection::vec(("\\PC*|[\",\r\n a]*", "[!-~]{1,8}|[a-z] [\r\n]\"[a-z]"), 1..20),
        crlf in any::<bool>(),
        delimiter in prop::sample::select(b",;\t|".to_vec()),
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new()
            .terminator(terminator)
            .delimiter(delimiter)
            .from_writer(Vec::new());
        writer.write_record(["text", "label"]).expect("memory");
        for (text, label) in &cells {
            writer.write_record([text, label]).expect("memory");
        }
        let bytes = writer.into_inner().expect("memory");
        let file = TableFile::holding("a.csv", bytes);
        match file.read(&TableSchema::default()) {
            Ok(table) => {
                let found: Vec<_> = table.rows.into_iter().map(|r| (r.text, crate::one(&r.label))).collect();
                prop_assert_eq!(found, cells);
            }
            // The only thing that can't be known from a file.
            Err(error) => prop_assert!(error.to_string().contains("single quotes"), "{}", error),
        }
    }
}

#[test]
fn a_header_with_a_stray_quote_is_told_rather_than_missing_columns() {
    for (content, sign) in [
        ("text|label|remark, \"x\"\na|b|c\n", "|"),
        ("text;label;a \"b\"\na;b;c\n", ";"),
    ] {
        let message = TableFile::holding("a.csv", content).complaint(&TableSchema::default());
        assert!(
            message.starts_with("the header of a.csv: a quote inside an unquoted field"),
            "{sign}: {message}"
        );
    }
}

#[test]
fn a_header_that_backslashes_make_another_one_isnt_taken_for_an_empty_table() {
    for content in [
        "text,label,a\\, \"x\"\nhe said \\\"no\\\",b,c\n",
        "text,a\\,label\nhe said \\\"no\\\",b,c\n",
    ] {
        let message = TableFile::holding("a.csv", content).complaint(&TableSchema::default());
        assert!(
            message.contains("a quote that is escaped by a backslash"),
            "{message}"
        );
    }
}

#[test]
fn a_long_table_is_numbered_through_and_told_of_by_its_own_lines() {
    // Several pieces, as threads read them: line ends within quotes, blank records, doubled quotes.
    let text = |i: usize| format!("the \"{i}\"\nth {}", "word ".repeat(20));
    let mut table = String::from("text,label,patient\n");
    let mut expected = Vec::new();
    for i in 1..=40_000 {
        if i % 1000 == 0 {
            table += ",,\n";
        } else {
            let text = text(i);
            table += &format!("\"{}\",yes,p{i}\r\n", text.replace('"', "\"\""));
            expected.push(row(i, &text, "yes", Some(&format!("p{i}"))));
        }
    }
    assert!(table.len() > 4 << 20);
    assert_eq!(rows(&table), expected);
    let lines = table.matches('\n').count();
    let said = complaint(table.clone() + "so \"great\",no,q\n" + &table);
    assert!(said.contains(&format!("line {}", lines + 1)), "{said}");
    let said = complaint(table.clone() + "short,no\n" + &table);
    assert!(said.contains("row 40,001"), "{said}");
}
