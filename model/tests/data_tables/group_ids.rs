//! Ids in the group column: what is nobody's, what is most likely one person's in two spellings,
//! and what is fine. In every format alike.

use parquet::basic::Compression;
use umbel_model::data::{DataError, LabelSet, LabelledTexts, TableSchema};

use crate::parquet::{Column, file, strings};
use crate::{TableFile, grouped};

const FLOATS: &str = "message m { optional binary text (UTF8); optional binary label (UTF8);
    optional double patient; }";

fn as_csv(ids: &[&str]) -> TableFile {
    let rows = ids
        .iter()
        .zip(1..)
        .map(|(id, i)| format!("t{i},x,\"{}\"\n", id.replace('"', "\"\"")));
    TableFile::holding(
        "a.csv",
        format!("text,label,patient\n{}", rows.collect::<String>()),
    )
}

fn as_json_lines(ids: &[&str]) -> TableFile {
    let row = |(id, i): (&&str, usize)| {
        serde_json::json!({"text": format!("t{i}"), "label": "x", "patient": id}).to_string() + "\n"
    };
    TableFile::holding("a.jsonl", ids.iter().zip(1..).map(row).collect::<String>())
}

fn as_parquet(ids: &[&str]) -> TableFile {
    let schema = "message m { optional binary text (UTF8); optional binary label (UTF8);
        optional binary patient (UTF8); }";
    let texts = strings((0..ids.len()).map(|i| format!("t{i}")));
    let labels = strings(ids.iter().map(|_| "x"));
    let content = file(
        schema,
        Compression::SNAPPY,
        &[&[texts, labels, strings(ids)]],
    );
    TableFile::holding("a.parquet", content)
}

/// How many units a file has, or the message with which it is refused.
fn units(table: &TableFile, schema: &TableSchema) -> Result<usize, String> {
    let units = || -> Result<usize, DataError> {
        let table = table.read(schema)?;
        let texts = LabelledTexts::from_table(&table, &LabelSet::union([&table])?)?;
        Ok(texts.rows_by_group(None)?.len())
    };
    units().map_err(|error| table.without_folder(&error))
}

fn refusal(ids: &[&str]) -> String {
    units(&as_csv(ids), &grouped()).expect_err("a refusal")
}

#[test]
fn words_for_no_id_are_nobodys_in_every_format() {
    for word in [
        "nan", "None", "NULL", "N/A", "<NA>", "NaT", "unknown", "-", "?", "\u{200b}", "-1",
    ] {
        let ids = ["p1", word, "p2", word];
        for table in [as_csv(&ids), as_json_lines(&ids), as_parquet(&ids)] {
            let message = units(&table, &grouped()).expect_err(word);
            assert!(message.starts_with("rows 2 and 4 of a."), "{message}");
            assert!(message.contains("the group is missing"), "{message}");
            assert!(message.contains(&format!("{word:?}")), "{message}");
        }
    }
}

#[test]
fn a_missing_group_says_which_rows_and_what_to_do() {
    assert_eq!(
        refusal(&["p1", "nan", "", "nan", "None", "p2"]),
        "rows 2, 3, 4 and 5 of a.csv: the group is missing: \"patient\" is \"nan\", \"None\" there, \
         which is nobody's id, and a row that is about nobody in particular can't be protected; \
         fill in the ids, or delete these rows. (If somebody's id really reads like this, list it \
         under data.real_ids.)"
    );
    let many = refusal(&["nan"; 1200]);
    assert!(
        many.starts_with("rows 1, 2, 3, 4, 5 and 1,195 more of a.csv: "),
        "{many}"
    );
}

#[test]
fn an_id_that_is_listed_as_real_is_one_and_only_as_it_is_written() {
    let schema = TableSchema {
        real_ids: vec!["Null".into(), "007".into(), "7".into()],
        ..grouped()
    };
    assert_eq!(units(&as_csv(&["Null", "Null", "p1"]), &schema), Ok(2));
    assert_eq!(units(&as_csv(&["007", "7", "p1"]), &schema), Ok(3));
    assert!(units(&as_csv(&["NULL", "p1"]), &schema).is_err());
    assert!(units(&as_csv(&["007", "7", "7.0"]), &schema).is_err());
}

#[test]
fn one_id_in_two_spellings_is_refused_in_every_format() {
    for (one, other) in [
        ("p2", "P2"),
        ("p2", " p2"),
        ("p2", "p2\u{a0}"),
        ("p2", "p\u{200b}2"),
        ("p2", "\u{feff}p2"),
        ("7", "7.0"),
        ("7", "007"),
        ("anna b", "anna  b"),
        ("M\u{fc}ller", "Mu\u{308}ller"),
        ("\u{ff21}1", "A1"),
    ] {
        let ids = ["p1", one, "p3", other];
        for table in [as_csv(&ids), as_json_lines(&ids), as_parquet(&ids)] {
            let message = units(&table, &grouped()).expect_err(other);
            assert!(message.contains("(row 2) and"), "{message}");
            assert!(message.contains("(row 4)"), "{message}");
        }
    }
}

#[test]
fn spellings_are_shown_with_their_rows_and_told_apart() {
    assert_eq!(
        refusal(&["p2", "P2", "7", "7.0", "p2"]),
        "a.csv: \"patient\" has what looks like one id in several spellings: \"p2\" (rows 1 and 5) \
         and \"P2\" (row 2); \"7\" (row 3) and \"7.0\" (row 4); each of them would count as a \
         person of its own, and one person be protected less than promised. Write each id in one \
         way; if they are different people, list each spelling under data.real_ids"
    );
    // On paper these are the same.
    let message = refusal(&["M\u{fc}ller", "Mu\u{308}ller"]);
    assert!(
        message.contains(r#""M\u{fc}ller" (row 1) and "Mu\u{308}ller" (row 2)"#),
        "{message}"
    );
    let ids: Vec<String> = (0..50)
        .flat_map(|i| [format!("p{i}"), format!("P{i}")])
        .collect();
    let message = refusal(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(message.contains("; and 46 ids more;"), "{message}");
}

#[test]
fn ids_that_are_written_alike_throughout_are_fine_whatever_they_look_like() {
    for ids in [
        ["7.0", "8.0", "7.0"],
        ["007", "008", "007"],
        ["P2", "P3", "P2"],
        [" p1 ", " p2 ", " p1 "],
        ["M\u{fc}ller", "Maier", "M\u{fc}ller"],
    ] {
        for table in [as_csv(&ids), as_json_lines(&ids), as_parquet(&ids)] {
            assert_eq!(units(&table, &grouped()), Ok(2), "{ids:?}");
        }
    }
}

#[test]
fn cleaning_does_not_put_two_spellings_together_unseen() {
    let ids = ["anna b", "anna  b"];
    let (table, _) = umbel_model::data::clean(as_csv(&ids).read(&grouped()).expect("well-formed"));
    let labels = LabelSet::union([&table]).expect("labels");
    let texts = LabelledTexts::from_table(&table, &labels).expect("fine");
    let error = texts.rows_by_group(None).expect_err("two spellings");
    assert!(matches!(error, DataError::GroupSpellings { .. }), "{error}");
}

#[test]
fn a_number_that_a_spreadsheet_has_rounded_is_nobodys_id() {
    assert_eq!(
        refusal(&["123", "1.23457E+11"]),
        "row 2 of a.csv: \"patient\" is \"1.23457E+11\", a number that may have been rounded, so \
         several people may have it; write ids out in full, in a column of text"
    );
}

#[test]
fn whole_floats_are_ids_and_what_a_data_frame_puts_into_gaps_is_none() {
    let table = |ids: &[Option<f64>]| {
        let texts = strings(ids.iter().map(|_| "t"));
        let labels = strings(ids.iter().map(|_| "x"));
        let patients = Column::Double(ids.to_vec());
        let content = file(FLOATS, Compression::SNAPPY, &[&[texts, labels, patients]]);
        TableFile::holding("a.parquet", content)
    };
    assert_eq!(
        units(&table(&[Some(7.0), Some(8.0), Some(7.0)]), &grouped()),
        Ok(2)
    );
    for gap in [None, Some(f64::NAN)] {
        let message = units(&table(&[Some(7.0), gap]), &grouped()).expect_err("a gap");
        assert_eq!(
            message,
            "row 2 of a.parquet: the group is missing: \"patient\" is blank there, and a row that \
             is about nobody in particular can't be protected; fill in the ids, or delete these \
             rows"
        );
    }
    let large = "a number too large to be exact";
    for (rounded, what) in [
        (7.5, "a fraction"),
        (9_007_199_254_740_992.0, large),
        (f64::INFINITY, large),
    ] {
        let message = units(&table(&[Some(rounded)]), &grouped()).expect_err("not whole");
        assert_eq!(
            message,
            format!(
                "row 1 of a.parquet: \"patient\" is {what}; write a string or a whole number below \
                 2^63"
            )
        );
    }
}

#[test]
fn floats_of_four_bytes_are_exact_up_to_fewer_digits() {
    let table = |ids: [f32; 2]| {
        let columns = [
            strings(["t", "t"]),
            strings(["x", "x"]),
            Column::Float(ids.map(Some).to_vec()),
        ];
        let schema = FLOATS.replace("double", "float");
        TableFile::holding("a.parquet", file(&schema, Compression::SNAPPY, &[&columns]))
    };
    assert_eq!(units(&table([7.0, 16_777_215.0]), &grouped()), Ok(2));
    assert_eq!(units(&table([0.0, -0.0]), &grouped()), Ok(1));
    let message = units(&table([7.0, 16_777_216.0]), &grouped()).expect_err("rounded");
    assert!(message.starts_with("row 2 of a.parquet"), "{message}");
}

#[test]
fn a_json_number_with_a_zero_behind_its_point_is_an_id_but_not_beside_one_without() {
    let row = |id: &str| format!("{{\"text\":\"t\",\"label\":\"x\",\"patient\":{id}}}\n");
    let table = |ids: &[&str]| {
        TableFile::holding("a.jsonl", ids.iter().map(|id| row(id)).collect::<String>())
    };
    assert_eq!(units(&table(&["7.0", "8.0", "7.0"]), &grouped()), Ok(2));
    assert_eq!(units(&table(&["7", "\"7\"", "8"]), &grouped()), Ok(2));
    assert!(units(&table(&["7.0", "7"]), &grouped()).is_err());
    assert!(units(&table(&["7.5"]), &grouped()).is_err());
    assert!(units(&table(&["null", "7"]), &grouped()).is_err());
}
