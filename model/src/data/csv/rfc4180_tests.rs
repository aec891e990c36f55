//! Records of CSV, by the letter and a little beyond.

use proptest::prelude::*;

use super::*;

const COMMAS: Dialect = Dialect {
    delimiter: b',',
    backslashes: false,
};

fn fields_of(text: &str, dialect: Dialect) -> Vec<Vec<String>> {
    Records::new(text.as_bytes(), dialect)
        .map(|record| {
            let record = record.expect("well-formed");
            let text = |field: Field| String::from_utf8(field.bytes).expect("UTF-8");
            record.fields.into_iter().map(text).collect()
        })
        .collect()
}

fn fields(text: &str) -> Vec<Vec<String>> {
    fields_of(text, COMMAS)
}

fn fault(text: &str) -> (FaultKind, usize) {
    let fault = Records::new(text.as_bytes(), COMMAS)
        .find_map(Result::err)
        .expect("a fault");
    (fault.kind, fault.line)
}

#[test]
fn quoted_fields_hold_commas_line_ends_and_doubled_quotes() {
    assert_eq!(
        fields("a,\"b, \"\"c\"\"\r\nd\"\r\n\"\",e\n"),
        [vec!["a", "b, \"c\"\r\nd"], vec!["", "e"]]
    );
}

#[test]
fn a_trailing_comma_ends_in_an_empty_field_and_the_last_line_needs_no_end() {
    assert_eq!(fields("a,\nb,c"), [vec!["a", ""], vec!["b", "c"]]);
    assert_eq!(fields("a,"), [vec!["a", ""]]);
}

#[test]
fn blank_lines_are_no_records_and_still_count_as_lines() {
    let lines: Vec<usize> = Records::new(b"\na\r\n\r\n\"b\nc\"\nd", COMMAS)
        .map(|r| r.expect("well-formed").line)
        .collect();
    assert_eq!(lines, [2, 4, 6]);
}

#[test]
fn lines_end_as_the_first_one_does() {
    assert_eq!(
        fields("a,b\r1,\"x\ny\"\r"),
        [vec!["a", "b"], vec!["1", "x\ny"]]
    );
    assert_eq!(fields("a\r\r\nb\r\r\n"), [vec!["a"], vec!["b"]]);
    assert_eq!(fault("a\nb\rc"), (FaultKind::MixedLineEnds, 2));
    assert_eq!(fault("a\rb\nc"), (FaultKind::MixedLineEnds, 2));
    assert_eq!(fault("a\rb\r\nc"), (FaultKind::MixedLineEnds, 2));
    assert_eq!(fault("a\nb\r"), (FaultKind::MixedLineEnds, 2));
}

#[test]
fn blanks_may_surround_a_quoted_field_and_belong_to_others() {
    assert_eq!(
        fields("\"a\" , \"b, c\"\n d , e\n"),
        [vec!["a", "b, c"], vec![" d ", " e"]]
    );
}

#[test]
fn another_delimiter_makes_a_comma_text() {
    let tabs = Dialect {
        delimiter: b'\t',
        ..COMMAS
    };
    assert_eq!(
        fields_of("a, b\t\"c\td\"\n\t \n", tabs),
        [vec!["a, b", "c\td"], vec!["", " "]]
    );
    let spaces = Dialect {
        delimiter: b' ',
        ..COMMAS
    };
    assert_eq!(fields_of("\"a b\" c\n", spaces), [vec!["a b", "c"]]);
}

#[test]
fn a_backslash_escapes_where_the_dialect_says_so() {
    let dialect = Dialect {
        backslashes: true,
        ..COMMAS
    };
    let text = "\"he said \\\"x\\\", ok\",C:\\new\n\\\"a\\, b,\"\\\\\"\n";
    assert_eq!(
        fields_of(text, dialect),
        [vec!["he said \"x\", ok", "C:\\new"], vec!["\"a, b", "\\"]]
    );
    for text in ["\"he said \\\"x\\\"\",y", "he said \\\"x\\\",y"] {
        let fault = Records::new(text.as_bytes(), COMMAS).find_map(Result::err);
        assert!(fault.is_some_and(|fault| fault.after_backslash), "{text}");
    }
    let plain = Records::new(b"\"so \"great\"\",y", COMMAS).find_map(Result::err);
    assert!(plain.is_some_and(|fault| !fault.after_backslash));
}

#[test]
fn every_fault_is_found_on_its_line() {
    assert_eq!(fault("a\nb\"c"), (FaultKind::StrayQuote, 2));
    assert_eq!(fault("a\n\"b\"c"), (FaultKind::TextAfterQuote, 2));
    assert_eq!(fault("a\n\"b\n\nc"), (FaultKind::UnclosedQuote, 2));
}

#[test]
fn nothing_follows_a_fault() {
    let mut records = Records::new(b"a\"\nb\n", COMMAS);
    assert!(records.next().is_some_and(|r| r.is_err()));
    assert!(records.next().is_none());
}

/// Fields of all records, or that there is a fault.
fn read<'a>(parts: impl IntoIterator<Item = Records<'a>>) -> Result<Vec<Vec<Field>>, ()> {
    let records = parts.into_iter().flatten();
    let fields = |record: Result<Record, Fault>| record.map(|r| r.fields).map_err(|_| ());
    records.map(fields).collect()
}

proptest! {
    #[test]
    fn pieces_have_the_records_of_the_whole_and_a_fault_where_it_has_one(
        text in r#"([a, ]|"|"[a,\n"]{0,4}"|\n|\r\n|\r){0,24}"#,
        about in 1_usize..12,
    ) {
        let text = format!("header\n{text}");
        let mut whole = Records::new(text.as_bytes(), COMMAS);
        whole.next();
        if let Some(pieces) = whole.pieces(about) {
            prop_assert_eq!(read(pieces), read([whole]));
        }
    }
}
