//! Parquet: flat columns of strings or whole numbers, nulls and codecs included.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use umbel_model::data::TableSchema;

use crate::{TableFile, grouped, row};

/// The values of one column: strings, or whole numbers; `None` is null.
pub(crate) enum Column {
    Bytes(Vec<Option<Vec<u8>>>),
    /// Optional lists of optional strings.
    Lists(Vec<Option<Vec<Option<&'static str>>>>),
    /// Required lists of required whole numbers.
    Numbers(Vec<Vec<i64>>),
    Int32(Vec<Option<i32>>),
    Int64(Vec<Option<i64>>),
    Truth(Vec<Option<bool>>),
    Float(Vec<Option<f32>>),
    Double(Vec<Option<f64>>),
}

pub(crate) fn strings<S: AsRef<[u8]>>(values: impl IntoIterator<Item = S>) -> Column {
    Column::Bytes(
        values
            .into_iter()
            .map(|v| Some(v.as_ref().to_vec()))
            .collect(),
    )
}

/// A file of some row groups with the columns of `schema`.
pub(crate) fn file(schema: &str, codec: Compression, groups: &[&[Column]]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("memory");
    for group in groups {
        let mut row_group = writer.next_row_group().expect("memory");
        for column in *group {
            let mut writer = row_group.next_column().expect("memory").expect("a column");
            write(writer.untyped(), column);
            writer.close().expect("memory");
        }
        row_group.close().expect("memory");
    }
    writer.into_inner().expect("memory")
}

/// A file of one row group with what Hugging Face Datasets notes of its columns.
pub(crate) fn file_with(schema: &str, info: &str, columns: &[Column]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let entry = KeyValue::new("huggingface".to_owned(), info.to_owned());
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![entry]))
        .build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("memory");
    let mut row_group = writer.next_row_group().expect("memory");
    for column in columns {
        let mut writer = row_group.next_column().expect("memory").expect("a column");
        write(writer.untyped(), column);
        writer.close().expect("memory");
    }
    row_group.close().expect("memory");
    writer.into_inner().expect("memory")
}

fn write(writer: &mut ColumnWriter<'_>, column: &Column) {
    match (writer, column) {
        (ColumnWriter::ByteArrayColumnWriter(w), Column::Bytes(v)) => {
            let values: Vec<ByteArray> = v.iter().flatten().map(|b| b.clone().into()).collect();
            w.write_batch(&values, Some(&levels(v)), None)
        }
        (ColumnWriter::ByteArrayColumnWriter(w), Column::Lists(lists)) => {
            let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
            for list in lists {
                let elements = list.as_deref().unwrap_or_default();
                if elements.is_empty() {
                    defined.push(i16::from(list.is_some()));
                    repeated.push(0);
                }
                for (i, element) in elements.iter().enumerate() {
                    values.extend(element.map(ByteArray::from));
                    defined.push(2 + i16::from(element.is_some()));
                    repeated.push(i16::from(i > 0));
                }
            }
            w.write_batch(&values, Some(&defined), Some(&repeated))
        }
        (ColumnWriter::Int64ColumnWriter(w), Column::Numbers(lists)) => {
            let levels =
                |list: &Vec<i64>| (0..list.len().max(1)).map(|i| i16::from(i > 0)).collect();
            let repeated: Vec<i16> = lists
                .iter()
                .flat_map(|l| -> Vec<i16> { levels(l) })
                .collect();
            let defined = lists
                .iter()
                .flat_map(|l| vec![i16::from(!l.is_empty()); l.len().max(1)]);
            let defined: Vec<i16> = defined.collect();
            w.write_batch(&lists.concat(), Some(&defined), Some(&repeated))
        }
        (ColumnWriter::Int32ColumnWriter(w), Column::Int32(v)) => w.write_batch(
            &v.iter().flatten().copied().collect::<Vec<_>>(),
            Some(&levels(v)),
            None,
        ),
        (ColumnWriter::Int64ColumnWriter(w), Column::Int64(v)) => w.write_batch(
            &v.iter().flatten().copied().collect::<Vec<_>>(),
            Some(&levels(v)),
            None,
        ),
        (ColumnWriter::BoolColumnWriter(w), Column::Truth(v)) => w.write_batch(
            &v.iter().flatten().copied().collect::<Vec<_>>(),
            Some(&levels(v)),
            None,
        ),
        (ColumnWriter::FloatColumnWriter(w), Column::Float(v)) => w.write_batch(
            &v.iter().flatten().copied().collect::<Vec<_>>(),
            Some(&levels(v)),
            None,
        ),
        (ColumnWriter::DoubleColumnWriter(w), Column::Double(v)) => w.write_batch(
            &v.iter().flatten().copied().collect::<Vec<_>>(),
            Some(&levels(v)),
            None,
        ),
        _ => panic!("schema and column differ in type"),
    }
    .expect("memory");
}

fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|v| i16::from(v.is_some())).collect()
}

const STRINGS: &str = "message m { optional binary text (UTF8); optional binary label (UTF8); }";

#[test]
fn row_groups_codecs_and_nulls_are_read() {
    let schema = "message m {
        optional int64 patient; optional binary text; optional binary label (UTF8);
    }";
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
    ] {
        let content = file(
            schema,
            codec,
            &[
                &[
                    Column::Int64(vec![None, Some(-3)]),
                    Column::Bytes(vec![None, Some(b"a".to_vec())]),
                    strings(["x", "y"]),
                ],
                &[
                    Column::Int64(vec![Some(i64::MAX)]),
                    strings(["c"]),
                    strings(["x"]),
                ],
            ],
        );
        let table = TableFile::holding("a.parquet", content)
            .read(&grouped())
            .expect("well-formed");
        assert_eq!(
            table.rows,
            [
                row(1, "", "x", None),
                row(2, "a", "y", Some("-3")),
                row(3, "c", "x", Some("9223372036854775807")),
            ]
        );
    }
}

#[test]
fn whole_numbers_and_truth_values_are_labels_as_their_text() {
    let labelled = |schema: &str, labels: Column| {
        let content = file(
            schema,
            Compression::SNAPPY,
            &[&[strings(["a", "b"]), labels]],
        );
        let table = TableFile::holding("a.parquet", content).read(&TableSchema::default());
        let rows = table.expect("well-formed").rows;
        rows.into_iter()
            .map(|r| crate::one(&r.label))
            .collect::<Vec<_>>()
    };
    let schema = |column: &str| format!("message m {{ required binary text (UTF8); {column} }}");
    let numbers = Column::Int32(vec![Some(-1), Some(2)]);
    assert_eq!(
        labelled(&schema("required int32 label;"), numbers),
        ["-1", "2"]
    );
    let unsigned = Column::Int32(vec![Some(-1), Some(2)]);
    let column = "required int32 label (UINT_32);";
    assert_eq!(labelled(&schema(column), unsigned), ["4294967295", "2"]);
    let unsigned = Column::Int64(vec![Some(-1), Some(2)]);
    let column = "required int64 label (INTEGER(64,false));";
    assert_eq!(
        labelled(&schema(column), unsigned),
        ["18446744073709551615", "2"]
    );
    let truth = Column::Truth(vec![Some(true), Some(false)]);
    assert_eq!(
        labelled(&schema("required boolean label;"), truth),
        ["true", "false"]
    );
}

#[test]
fn a_number_is_what_its_column_means_not_how_it_is_stored() {
    let labels = |column: &str, labels: Column| {
        let schema = format!("message m {{ required binary text (UTF8); {column} }}");
        let content = file(
            &schema,
            Compression::SNAPPY,
            &[&[strings(["a", "b"]), labels]],
        );
        let table = TableFile::holding("a.parquet", content).read(&TableSchema::default());
        let rows = table.map_err(|e| e.to_string())?.rows;
        Ok::<_, String>(
            rows.into_iter()
                .map(|r| crate::one(&r.label))
                .collect::<Vec<_>>(),
        )
    };
    let tenths = || Column::Int32(vec![Some(10), Some(-15)]);
    assert_eq!(
        labels("required int32 label (DECIMAL(2,1));", tenths()),
        Ok(vec!["1".into(), "-1.5".into()])
    );
    let bytes = Column::Bytes(vec![Some(vec![0, 100]), Some(vec![0xff])]);
    assert_eq!(
        labels("required binary label (DECIMAL(4,2));", bytes),
        Ok(vec!["1".into(), "-0.01".into()])
    );
    let doubles = Column::Double(vec![Some(1.0), Some(0.5)]);
    assert_eq!(
        labels("required double label;", doubles),
        Ok(vec!["1.0".into(), "0.5".into()])
    );
    let singles = Column::Float(vec![Some(2.0), Some(0.1)]);
    assert_eq!(
        labels("required float label;", singles),
        Ok(vec!["2.0".into(), "0.1".into()])
    );
    let gap = Column::Double(vec![Some(1.0), Some(f64::NAN)]);
    let message = labels("required double label;", gap).expect_err("a gap");
    assert!(
        message.ends_with("the label is missing; fill it in, or delete the row"),
        "{message}"
    );
    for (kind, name) in [
        ("int32 label (DATE)", "DATE"),
        ("int32 label (TIME_MILLIS)", "TIME"),
        ("int64 label (TIMESTAMP_MILLIS)", "TIMESTAMP"),
    ] {
        let column = match kind.starts_with("int32") {
            true => tenths(),
            false => Column::Int64(vec![Some(1), Some(2)]),
        };
        let message = labels(&format!("required {kind};"), column).expect_err(name);
        assert!(message.contains(&format!("is of type {name}")), "{message}");
    }
}

#[test]
fn names_of_classes_are_taken_from_the_metadata_of_datasets() {
    let features =
        r#"{"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}"#;
    let schema = "message m { required binary text (UTF8); optional int64 label; }";
    let content = |labels: Vec<Option<i64>>| {
        let texts = strings(labels.iter().map(|_| "a"));
        let bytes = file_with(schema, features, &[texts, Column::Int64(labels)]);
        TableFile::holding("a.parquet", bytes)
    };
    let table = content(vec![Some(1), Some(0)]).read(&TableSchema::default());
    let table = table.expect("a table");
    assert_eq!(table.class_names, ["neg", "pos"]);
    let labels: Vec<&str> = table
        .rows
        .iter()
        .map(|r| r.label.names()[0].as_str())
        .collect();
    assert_eq!(labels, ["pos", "neg"]);
    let beyond = content(vec![Some(2)]).complaint(&TableSchema::default());
    assert!(
        beyond.contains("label 2 has no name among the 2"),
        "{beyond}"
    );
    for gap in [Some(-1), None] {
        let missing = content(vec![gap]).complaint(&TableSchema::default());
        assert!(missing.contains("label is missing"), "{missing}");
    }
}

#[test]
fn a_missing_label_and_bad_utf8_name_the_row() {
    let complaint = |labels: Vec<Option<Vec<u8>>>| {
        let content = file(
            STRINGS,
            Compression::SNAPPY,
            &[&[strings(["a", "b"]), Column::Bytes(labels)]],
        );
        TableFile::holding("notes.parquet", content).complaint(&TableSchema::default())
    };
    assert_eq!(
        complaint(vec![Some(b"x".to_vec()), None]),
        "row 2 of notes.parquet: the label is missing; fill it in, or delete the row"
    );
    assert_eq!(
        complaint(vec![Some(b"x\xff".to_vec()), None]),
        "row 1 of notes.parquet: \"label\" is not valid UTF-8; write a string, a number, true or \
         false"
    );
}

#[test]
fn a_column_of_another_type_or_a_missing_one_is_refused() {
    let schema = "message m { optional int32 text; optional binary label (UTF8); }";
    let content = file(
        schema,
        Compression::SNAPPY,
        &[&[Column::Int32(vec![Some(1)]), strings(["x"])]],
    );
    let numbers = TableFile::holding("notes.parquet", content);
    assert_eq!(
        numbers.complaint(&TableSchema::default()),
        "column \"text\" of notes.parquet is of type INT32; data.text must name a column of strings"
    );
    assert_eq!(
        numbers.complaint(&grouped()),
        "notes.parquet has no column \"patient\"; it has text, label; name the right one under \
         data.group"
    );
    let nested = "message m { optional binary label (UTF8); repeated binary text (UTF8); }";
    let content = file(nested, Compression::SNAPPY, &[]);
    assert_eq!(
        TableFile::holding("notes.parquet", content).complaint(&TableSchema::default()),
        "column \"text\" of notes.parquet is nested (a list or a struct); flatten it, e.g. with \
         pandas' explode or json_normalize; data.text must name a column of strings"
    );
}

#[test]
fn an_empty_table_and_a_cut_file_are_refused() {
    let empty = file(STRINGS, Compression::SNAPPY, &[]);
    assert_eq!(
        TableFile::holding("notes.parquet", empty).complaint(&TableSchema::default()),
        "notes.parquet has no rows; give it at least one labelled text"
    );
    let whole = file(
        STRINGS,
        Compression::SNAPPY,
        &[&[strings(["a"]), strings(["x"])]],
    );
    let cut = TableFile::holding("notes.parquet", &whole[..whole.len() / 2]);
    let message = cut.complaint(&TableSchema::default());
    assert!(
        message.starts_with("notes.parquet can't be read as Parquet: "),
        "{message}"
    );
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(
        cells in prop::collection::vec((any::<String>(), "[a-z]{1,3}"), 1..20),
    ) {
        let content = file(
            STRINGS,
            Compression::SNAPPY,
            &[&[strings(cells.iter().map(|c| &c.0)), strings(cells.iter().map(|c| &c.1))]],
        );
        let file = TableFile::holding("a.parquet", content);
        let table = file.read(&TableSchema::default()).expect("well-formed");
        let found: Vec<_> = table.rows.into_iter().map(|r| (r.text, crate::one(&r.label))).collect();
        prop_assert_eq!(found, cells);
    }
}
