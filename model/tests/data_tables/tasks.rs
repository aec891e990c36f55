//! Tables of texts with any number of labels, and of texts with a value.

use parquet::basic::Compression;
use umbel_model::data::{DataError, LabelSet, LabelledTexts, TableSchema, clean};
use umbel_model::{Target, TaskKind};

use crate::TableFile;
use crate::parquet::{Column, file, strings};

fn labels() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

fn several(separator: Option<&str>) -> TableSchema {
    TableSchema {
        label_separator: separator.map(|s| s.parse().expect("a separator")),
        ..TableSchema::default()
    }
    .for_task(TaskKind::MultiLabel, &labels())
}

fn targets(
    file: &TableFile,
    schema: &TableSchema,
    task: TaskKind,
) -> Result<Vec<Target>, DataError> {
    let set = LabelSet::new(labels()).expect("labels");
    let texts = LabelledTexts::for_task(&file.read(schema)?, task, &set)?;
    Ok(texts.targets)
}

/// The labels of each row, by their letters.
fn read(file: &TableFile, schema: &TableSchema) -> Vec<String> {
    let targets = targets(file, schema, TaskKind::MultiLabel).map_err(|e| file.without_folder(&e));
    let letters = |target: &Target| {
        target
            .classes()
            .iter()
            .map(|i| labels()[*i].clone())
            .collect()
    };
    targets.expect("labels").iter().map(letters).collect()
}

fn complaint(file: &TableFile, schema: &TableSchema, task: TaskKind) -> String {
    let error = targets(file, schema, task).expect_err("an error");
    file.without_folder(&error)
}

#[test]
fn labels_of_a_text_stand_between_separators_and_may_be_none() {
    let table = "text,label\none,b\nboth,c; a\nnone,\nall,a;b;c;\ntwice,b;b\n";
    let file = TableFile::holding("t.csv", table);
    assert_eq!(
        read(&file, &several(Some(";"))),
        ["b", "ac", "", "abc", "b"]
    );
    let words = TableFile::holding("t.csv", "text,label\nx,a, b\n".replace("a, b", "\"a, b\""));
    assert_eq!(read(&words, &several(Some(", "))), ["ab"]);
    let without = complaint(&file, &several(None), TaskKind::MultiLabel);
    assert!(
        without.contains("row 2 of t.csv") && without.contains("data.label_separator"),
        "{without}"
    );
}

#[test]
fn a_list_that_a_text_holds_is_read_as_json_and_as_python_write_it() {
    let table = "text,label\njson,\"[\"\"c\"\", \"\"a\"\"]\"\npython,\"['b', 'a']\"\nnone,[]\n\
                 one,['c']\nplain,b\n";
    let file = TableFile::holding("t.csv", table);
    assert_eq!(read(&file, &several(None)), ["ac", "ab", "", "c", "b"]);
    let unclear = TableFile::holding("t.csv", "text,label\nx,\"[a, b]\"\n");
    let complaint = complaint(&unclear, &several(None), TaskKind::MultiLabel);
    for part in ["row 1 of t.csv", "[a, b]", "as JSON", "label_separator"] {
        assert!(complaint.contains(part), "{complaint}");
    }
    // Whoever names a separator has it.
    let file = TableFile::holding("t.csv", "text,label\nx,a;b\n");
    assert_eq!(read(&file, &several(Some(";"))), ["ab"]);
}

#[test]
fn each_label_may_have_a_column_of_its_own() {
    let table = "text,a,B ,c,other\none,0,1,0,9\nall,1.0,true,1,9\nnone,0,False,0.0,9\n";
    let file = TableFile::holding("t.csv", table);
    assert_eq!(read(&file, &several(None)), ["b", "abc", ""]);
    let lines = "{\"text\": \"x\", \"a\": 1, \"b\": 0, \"c\": true}\n";
    let json = TableFile::holding("t.json", lines);
    assert_eq!(read(&json, &several(None)), ["ac"]);
    let schema = "message t { required binary text (UTF8); required boolean c; required int64 a; \
                  optional int64 b; }";
    let columns = [
        strings(["x", "y"]),
        Column::Truth(vec![Some(true), Some(false)]),
        Column::Int64(vec![Some(1), Some(0)]),
        Column::Int64(vec![Some(0), Some(1)]),
    ];
    let bytes = file_of(schema, &columns);
    let parquet = TableFile::holding("t.parquet", bytes);
    assert_eq!(read(&parquet, &several(None)), ["ac", "b"]);
}

#[test]
fn a_label_column_goes_before_columns_of_the_labels_names() {
    let file = TableFile::holding("t.csv", "text,label,a,b,c\nx,a;c,0,0,0\n");
    assert_eq!(read(&file, &several(Some(";"))), ["ac"]);
}

#[test]
fn a_cell_that_is_neither_yes_nor_no_is_refused_with_its_column() {
    for (cell, words) in [
        ("2", "\"2\""),
        ("", "empty"),
        ("nan", "\"nan\""),
        ("0.5", "\"0.5\""),
    ] {
        let file = TableFile::holding("t.csv", format!("text,a,b,c\nx,0,1,0\ny,1,{cell},0\n"));
        let error = complaint(&file, &several(None), TaskKind::MultiLabel);
        let expected = format!("row 2 of t.csv: \"b\" is {words}; it must be 1");
        assert!(error.starts_with(&expected), "{error}");
    }
    let file = TableFile::holding("t.csv", "text,a,b\nx,0,1\n");
    let error = complaint(&file, &several(None), TaskKind::MultiLabel);
    assert!(
        error.contains("has no column \"label\"") && error.contains("1 or 0"),
        "{error}"
    );
}

fn file_of(schema: &str, columns: &[Column]) -> Vec<u8> {
    file(schema, Compression::SNAPPY, &[columns])
}

const LISTS: &str = "message t { required binary text (UTF8); optional group label (LIST) \
                     { repeated group list { optional binary element (UTF8); } } }";

#[test]
fn lists_of_json_and_parquet_are_labels() {
    let lines = "{\"text\": \"x\", \"label\": [\"b\", \"a\"]}\n\
                 {\"text\": \"y\", \"label\": []}\n{\"text\": \"z\", \"label\": \"c\"}\n";
    let json = TableFile::holding("t.jsonl", lines);
    assert_eq!(read(&json, &several(None)), ["ab", "", "c"]);
    let lists = vec![
        Some(vec![Some("c"), Some("a"), Some("b")]),
        Some(vec![]),
        Some(vec![Some("b")]),
    ];
    let bytes = file_of(LISTS, &[strings(["x", "y", "z"]), Column::Lists(lists)]);
    let parquet = TableFile::holding("t.parquet", bytes);
    assert_eq!(read(&parquet, &several(None)), ["abc", "", "b"]);
    let schema = "message t { required binary text (UTF8); required group label (LIST) \
                  { repeated group list { required int64 element; } } }";
    let numbers = Column::Numbers(vec![vec![2, 0], vec![], vec![1]]);
    let parquet = TableFile::holding(
        "t.parquet",
        file_of(schema, &[strings(["x", "y", "z"]), numbers]),
    );
    let schema = TableSchema::default().for_task(TaskKind::MultiLabel, &[]);
    let table = parquet.read(&schema).expect("a table");
    let names: Vec<_> = table
        .rows
        .iter()
        .map(|row| row.label.names().to_vec())
        .collect();
    assert_eq!(names, [vec!["0", "2"], vec![], vec!["1"]]);
    // For a run of one label a text, it is the wrong table.
    let one = complaint(&json, &TableSchema::default(), TaskKind::SingleLabel);
    assert!(one.contains("is a list of 2 labels"), "{one}");
}

#[test]
fn a_list_that_is_missing_or_holds_nothing_is_no_empty_list() {
    for list in [None, Some(vec![None]), Some(vec![Some("a"), None])] {
        let bytes = file_of(LISTS, &[strings(["x"]), Column::Lists(vec![list.clone()])]);
        let parquet = TableFile::holding("t.parquet", bytes);
        let error = complaint(&parquet, &several(None), TaskKind::MultiLabel);
        assert!(
            error.starts_with("row 1 of t.parquet: the label is missing"),
            "{list:?}: {error}"
        );
    }
    for value in ["null", "[null]", "[\"a\", null]", "[\"\"]"] {
        let line = format!("{{\"text\": \"x\", \"label\": {value}}}\n");
        let json = TableFile::holding("t.jsonl", line);
        let error = complaint(&json, &several(None), TaskKind::MultiLabel);
        assert!(
            error.starts_with("row 1 of t.jsonl: the label is missing"),
            "{value}: {error}"
        );
    }
    let nested = TableFile::holding("t.jsonl", "{\"text\": \"x\", \"label\": [[\"a\"]]}\n");
    let error = complaint(&nested, &several(None), TaskKind::MultiLabel);
    assert!(error.contains("is a list; write"), "{error}");
}

#[test]
fn a_label_among_several_that_there_isnt_is_named() {
    let file = TableFile::holding("t.csv", "text,label\nx,a;b\ny,a;d\n");
    let error = complaint(&file, &several(Some(";")), TaskKind::MultiLabel);
    assert!(
        error.starts_with("row 2 of t.csv: label \"d\" isn't one of a, b, c"),
        "{error}"
    );
}

#[test]
fn rows_with_the_same_labels_in_another_order_are_one_row() {
    let file = TableFile::holding("t.csv", "text,label\nx,a;b\nx,b;a\nx,b\n");
    let table = file.read(&several(Some(";"))).expect("a table");
    let (cleaned, report) = clean(table);
    assert_eq!(
        (cleaned.rows.len(), report.duplicate, report.contradicting),
        (2, 1, 1)
    );
}

#[test]
fn values_are_numbers_as_any_format_has_them() {
    let schema = TableSchema::default();
    let values = |file: TableFile| targets(&file, &schema, TaskKind::Regression).expect("values");
    let of = |numbers: &[f64]| {
        numbers
            .iter()
            .map(|n| Target::Value(*n))
            .collect::<Vec<_>>()
    };
    let csv = TableFile::holding("t.csv", "text,label\na,1\nb, -2.5 \nc,1e3\nd,+0.1\n");
    assert_eq!(values(csv), of(&[1.0, -2.5, 1000.0, 0.1]));
    let lines = "{\"text\": \"x\", \"label\": 36.6}\n{\"text\": \"y\", \"label\": 37}\n";
    assert_eq!(
        values(TableFile::holding("t.jsonl", lines)),
        of(&[36.6, 37.0])
    );
    let parquet = "message t { required binary text (UTF8); optional double label; }";
    let column = Column::Double(vec![Some(0.1), Some(-7.0)]);
    let bytes = file_of(parquet, &[strings(["x", "y"]), column]);
    assert_eq!(
        values(TableFile::holding("t.parquet", bytes)),
        of(&[0.1, -7.0])
    );
}

#[test]
fn what_is_no_finite_number_is_no_value() {
    let schema = TableSchema::default();
    for (cell, words) in [
        ("high", "the value \"high\" is no finite number"),
        ("inf", "no finite number"),
        ("-Infinity", "no finite number"),
        ("1e999", "no finite number"),
        ("3,5", "no finite number"),
        ("", "the label is missing"),
        ("nan", "the label is missing, \"nan\" stands there"),
        ("n/a", "the label is missing"),
    ] {
        let file = TableFile::holding("t.csv", format!("text,label\nx,1\ny,\"{cell}\"\n"));
        let error = complaint(&file, &schema, TaskKind::Regression);
        assert!(
            error.starts_with("row 2 of t.csv: ") && error.contains(words),
            "{error}"
        );
    }
    let parquet = "message t { required binary text (UTF8); optional double label; }";
    for missing in [None, Some(f64::NAN)] {
        let bytes = file_of(parquet, &[strings(["x"]), Column::Double(vec![missing])]);
        let file = TableFile::holding("t.parquet", bytes);
        let error = complaint(&file, &schema, TaskKind::Regression);
        assert!(error.contains("the label is missing"), "{error}");
    }
    let bytes = file_of(
        parquet,
        &[strings(["x"]), Column::Double(vec![Some(f64::INFINITY)])],
    );
    let file = TableFile::holding("t.parquet", bytes);
    assert!(complaint(&file, &schema, TaskKind::Regression).starts_with("row 1 of t.parquet: "));
}

#[test]
fn names_that_a_file_gives_to_numbers_in_lists_are_labels() {
    let schema = "message t { required binary text (UTF8); required group label (LIST) \
                  { repeated group list { required int64 element; } } }";
    let numbers = Column::Numbers(vec![vec![2, 0], vec![1]]);
    for feature in [
        "{\"feature\": {\"names\": [\"a\", \"b\", \"c\"]}, \"_type\": \"Sequence\"}",
        "[{\"names\": [\"a\", \"b\", \"c\"], \"_type\": \"ClassLabel\"}]",
    ] {
        let info = format!("{{\"info\": {{\"features\": {{\"label\": {feature}}}}}}}");
        let bytes =
            crate::parquet::file_with(schema, &info, &[strings(["x", "y"]), clone(&numbers)]);
        let parquet = TableFile::holding("t.parquet", bytes);
        assert_eq!(read(&parquet, &several(None)), ["ac", "b"], "{feature}");
    }
}

fn clone(column: &Column) -> Column {
    match column {
        Column::Numbers(lists) => Column::Numbers(lists.clone()),
        _ => panic!("numbers"),
    }
}
