//! Arrow: files and streams of any column that is a text, a label or a group.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::{Float32Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float16Array, Float64Array, Int64Array, LargeStringArray, NullArray, PrimitiveArray,
    RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MetadataVersion};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use umbel_model::data::{LabelsPerRow, TableSchema};

use crate::{TableFile, grouped, row};

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns
            .iter()
            .map(|(name, array)| (*name, array.clone(), true)),
    )
    .expect("columns of one length")
}

fn options(codec: Option<CompressionType>) -> IpcWriteOptions {
    let options = IpcWriteOptions::default().try_with_compression(codec);
    options.expect("a codec that is there")
}

/// Both kinds of content that have these rows.
pub(crate) fn contents(batches: &[RecordBatch], codec: Option<CompressionType>) -> [Vec<u8>; 2] {
    let schema = batches[0].schema();
    let written = || -> Result<[Vec<u8>; 2], ArrowError> {
        let mut file =
            FileWriter::try_new_with_options(Vec::new(), schema.as_ref(), options(codec))?;
        let mut stream =
            StreamWriter::try_new_with_options(Vec::new(), schema.as_ref(), options(codec))?;
        for batch in batches {
            file.write(batch)?;
            stream.write(batch)?;
        }
        Ok([file.into_inner()?, stream.into_inner()?])
    };
    written().expect("memory")
}

pub(crate) fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

/// The labels of rows with a column of them, or why they aren't read.
fn labels(column: ArrayRef) -> Result<Vec<String>, String> {
    let text = vec!["a"; column.len()];
    let [content, _] = contents(&[batch(&[("text", texts(&text)), ("label", column)])], None);
    let file = TableFile::holding("a.arrow", content);
    let table = file.read(&TableSchema::default());
    let rows = table.map_err(|e| file.without_folder(&e))?.rows;
    Ok(rows.iter().map(|row| crate::one(&row.label)).collect())
}

#[test]
fn files_and_streams_of_every_codec_are_read_whatever_their_name() {
    let patients: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(-3)]));
    let first: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a")]));
    let one = batch(&[
        ("patient", patients),
        ("text", first),
        ("label", texts(&["x", "y"])),
    ]);
    let patients: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
    let other = batch(&[
        ("patient", patients),
        ("text", texts(&["c"])),
        ("label", texts(&["x"])),
    ]);
    let codecs = [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ];
    for codec in codecs {
        for content in contents(&[one.clone(), other.clone()], codec) {
            for name in ["a.arrow", "a.feather", "a.csv"] {
                let table = TableFile::holding(name, &content).read(&grouped());
                assert_eq!(
                    table.expect("well-formed").rows,
                    [
                        row(1, "", "x", None),
                        row(2, "a", "y", Some("-3")),
                        row(3, "c", "x", Some("9223372036854775807")),
                    ]
                );
            }
        }
    }
}

#[test]
fn messages_are_of_the_version_that_they_say_whatever_the_footer_says() {
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V4).expect("a version");
    let batch = batch(&[("text", texts(&["a"])), ("label", texts(&["x"]))]);
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options);
    let writer = writer.as_mut().expect("memory");
    writer.write(&batch).expect("memory");
    writer.finish().expect("memory");
    let mut content = writer.get_ref().clone();
    // The footer's version is a number of two bytes, 3 for version 4, as pyarrow has it 4.
    let trailer = content.len() - 10;
    let length = content[trailer..trailer + 4]
        .try_into()
        .map(u32::from_le_bytes);
    let footer = trailer - length.expect("a length") as usize;
    let parsed = arrow_ipc::root_as_footer(&content[footer..trailer]).expect("a footer");
    assert_eq!(parsed.version(), MetadataVersion::V4);
    let at = (footer..trailer).find(|at| {
        let mut other = content.clone();
        other[*at] = 4;
        content[*at] == 3
            && arrow_ipc::root_as_footer(&other[footer..trailer])
                .is_ok_and(|footer| footer.version() == MetadataVersion::V5)
    });
    content[at.expect("the version")] = 4;
    let table = TableFile::holding("a.arrow", content).read(&TableSchema::default());
    assert_eq!(table.expect("a table").rows, [row(1, "a", "x", None)]);
}

#[test]
fn streams_from_before_the_mark_of_a_message_are_read() {
    let options = IpcWriteOptions::try_new(8, true, MetadataVersion::V4).expect("a version");
    let batch = batch(&[("text", texts(&["a"])), ("label", texts(&["x"]))]);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options);
    let writer = writer.as_mut().expect("memory");
    writer.write(&batch).expect("memory");
    writer.finish().expect("memory");
    assert_ne!(writer.get_ref()[..4], [0xff; 4]);
    let table = TableFile::holding("a.arrow", writer.get_ref()).read(&TableSchema::default());
    assert_eq!(table.expect("a table").rows, [row(1, "a", "x", None)]);
}

#[test]
fn every_kind_of_text_is_a_text() {
    let values = || {
        vec![
            Some("caf\u{e9} \u{1f600} and more than twelve bytes"),
            Some("b"),
        ]
    };
    let dictionary: DictionaryArray<Int8Type> = values().into_iter().collect();
    let kinds: [ArrayRef; 4] = [
        Arc::new(LargeStringArray::from(values())),
        Arc::new(StringViewArray::from(values())),
        Arc::new(BinaryArray::from(vec![
            "caf\u{e9} \u{1f600} and more than twelve bytes".as_bytes(),
            b"b",
        ])),
        Arc::new(dictionary),
    ];
    for kind in kinds {
        let batch = batch(&[("text", kind), ("label", texts(&["x", "y"]))]);
        for content in contents(&[batch], Some(CompressionType::ZSTD)) {
            let table = TableFile::holding("a.arrow", content).read(&TableSchema::default());
            let rows = table.expect("well-formed").rows;
            assert_eq!(
                rows[0].text,
                "caf\u{e9} \u{1f600} and more than twelve bytes"
            );
            assert_eq!(rows[1].text, "b");
        }
    }
}

#[test]
fn labels_are_what_their_type_means() {
    let decimals = Decimal128Array::from(vec![100, -15]);
    let decimals = decimals.with_precision_and_scale(5, 1).expect("a decimal");
    let numbers: DictionaryArray<UInt32Type> = DictionaryArray::new(
        PrimitiveArray::from(vec![1, 0]),
        Arc::new(Int64Array::from(vec![7, 8])),
    );
    let singles: PrimitiveArray<Float32Type> = PrimitiveArray::from(vec![2.0, 0.1]);
    let columns: [(ArrayRef, [&str; 2]); 5] = [
        (Arc::new(decimals), ["10", "-1.5"]),
        (Arc::new(numbers), ["8", "7"]),
        (Arc::new(singles), ["2.0", "0.1"]),
        (Arc::new(Float64Array::from(vec![1.0, 0.5])), ["1.0", "0.5"]),
        (
            Arc::new(BooleanArray::from(vec![true, false])),
            ["true", "false"],
        ),
    ];
    for (column, expected) in columns {
        assert_eq!(labels(column), Ok(expected.map(str::to_owned).to_vec()));
    }
}

#[test]
fn types_that_are_no_label_are_refused_by_name() {
    let structs = StructArray::from(vec![(
        Arc::new(Field::new("a", DataType::Utf8, true)),
        texts(&["x"]),
    )]);
    let columns: [(ArrayRef, &str); 4] = [
        (Arc::new(Date32Array::from(vec![1])), "of type DATE"),
        (
            Arc::new(Float16Array::from(vec![half::f16::ONE])),
            "of type FLOAT16",
        ),
        (Arc::new(NullArray::new(1)), "of type NULL"),
        (Arc::new(structs), "nested"),
    ];
    for (column, told) in columns {
        let message = labels(column).expect_err(told);
        assert!(message.contains(told), "{message}");
        assert!(
            message.starts_with("column \"label\" of a.arrow is"),
            "{message}"
        );
    }
}

#[test]
fn the_only_label_in_a_list_is_the_rows() {
    let found = |rows: &[&[&str]]| {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in rows {
            lists.append_value(row.iter().map(|label| Some(*label)));
        }
        labels(Arc::new(lists.finish()))
    };
    assert_eq!(found(&[&["x"], &["y"]]), Ok(vec!["x".into(), "y".into()]));
    let none = found(&[&["x"], &[]]).expect_err("no label");
    assert!(
        none.starts_with("row 2 of a.arrow: the label is missing"),
        "{none}"
    );
    let several = found(&[&["x", "y"]]).expect_err("two");
    assert!(
        several.contains("\"label\" is a list of 2 labels"),
        "{several}"
    );
}

#[test]
fn a_gap_among_labels_names_the_row() {
    let gap = labels(Arc::new(StringArray::from(vec![Some("x"), None])));
    let message = gap.expect_err("a gap");
    assert_eq!(
        message,
        "row 2 of a.arrow: the label is missing; fill it in, or delete the row"
    );
}

#[test]
fn lists_are_labels_where_a_row_may_have_any_number() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("plot"), Some("music")]);
    lists.append_value(Vec::<Option<&str>>::new());
    let batch = batch(&[
        ("text", texts(&["a", "b"])),
        ("label", Arc::new(lists.finish())),
    ]);
    let schema = TableSchema {
        labels: LabelsPerRow::Any { names: Vec::new() },
        ..TableSchema::default()
    };
    for content in contents(&[batch], None) {
        let table = TableFile::holding("a.arrow", content).read(&schema);
        let rows = table.expect("lists").rows;
        assert_eq!(rows[0].label.names(), ["music", "plot"]);
        assert!(rows[1].label.names().is_empty());
    }
}

#[test]
fn names_of_classes_are_taken_from_the_metadata_of_datasets() {
    let info =
        r#"{"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}"#;
    let schema = Schema::new_with_metadata(
        vec![
            Field::new("text", DataType::Utf8, true),
            Field::new("label", DataType::Int64, true),
        ],
        std::collections::HashMap::from([("huggingface".to_owned(), info.to_owned())]),
    );
    let content = |labels: Vec<i64>| {
        let text = vec!["a"; labels.len()];
        let labels: PrimitiveArray<Int64Type> = labels.into();
        let columns = vec![texts(&text), Arc::new(labels) as ArrayRef];
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), columns);
        contents(&[batch.expect("a batch")], None)
    };
    for bytes in content(vec![1, 0]) {
        let table = TableFile::holding("data-00000-of-00001.arrow", bytes);
        let table = table.read(&TableSchema::default()).expect("a table");
        assert_eq!(table.class_names, ["neg", "pos"]);
        assert_eq!(crate::one(&table.rows[0].label), "pos");
    }
    let [beyond, _] = content(vec![2]);
    let message = TableFile::holding("a.arrow", beyond).complaint(&TableSchema::default());
    assert!(
        message.contains("label 2 has no name among the 2"),
        "{message}"
    );
}

#[test]
fn dictionaries_that_grow_or_change_on_the_way_are_followed() {
    let batches = [vec!["x", "y"], vec!["z", "x"]].map(|labels| {
        let labels: DictionaryArray<Int8Type> = labels.into_iter().collect();
        batch(&[("text", texts(&["a", "b"])), ("label", Arc::new(labels))])
    });
    // A file holds one dictionary a column.
    let [_, stream] = {
        let schema = batches[0].schema();
        let mut stream = StreamWriter::try_new(Vec::new(), &schema).expect("memory");
        for batch in &batches {
            stream.write(batch).expect("memory");
        }
        [Vec::new(), stream.into_inner().expect("memory")]
    };
    let table = TableFile::holding("a.arrow", stream).read(&TableSchema::default());
    let rows = table.expect("a table").rows;
    let labels: Vec<String> = rows.iter().map(|row| crate::one(&row.label)).collect();
    assert_eq!(labels, ["x", "y", "z", "x"]);
}

#[test]
fn a_cut_file_an_empty_one_and_feather_of_version_1_are_refused() {
    let whole = batch(&[("text", texts(&["a"])), ("label", texts(&["x"]))]);
    let empty = whole.slice(0, 0);
    for content in contents(&[empty], None) {
        let file = TableFile::holding("a.arrow", content);
        assert!(
            file.complaint(&TableSchema::default())
                .contains("has no rows")
        );
    }
    for content in contents(&[whole], None) {
        let cut = TableFile::holding("a.arrow", &content[..content.len() - 60]);
        let message = cut.complaint(&TableSchema::default());
        assert!(
            message.starts_with("a.arrow can't be read as Arrow: "),
            "{message}"
        );
        assert!(message.contains("cut off"), "{message}");
    }
    let old = TableFile::holding("a.feather", b"FEA1\0\0\0\0");
    let message = old.complaint(&TableSchema::default());
    assert!(message.contains("write it again as version 2"), "{message}");
}

#[test]
fn what_announces_more_than_a_table_may_hold_is_refused_before_room_is_made_for_it() {
    let texts = texts(&["a".repeat(4000).as_str(); 4]);
    let labels: ArrayRef = Arc::new(StringArray::from(vec!["x"; 4]));
    let batch = batch(&[("text", texts), ("label", labels)]);
    for content in contents(&[batch], Some(CompressionType::ZSTD)) {
        // The length before the compressed texts, 16,000 bytes, and how Zstandard begins.
        let frame = [&16_000_i64.to_le_bytes()[..], b"\x28\xb5\x2f\xfd"].concat();
        let at = content
            .windows(frame.len())
            .position(|window| window == frame);
        let at = at.expect("a compressed buffer");
        for (announced, told) in [
            (i64::MAX, "unpacks to more than"),
            (1 << 40, "unpacks to more than"),
            (-2, "of no length"),
            (15_000, "can't be read as Arrow"),
        ] {
            let mut hostile = content.clone();
            hostile[at..at + 8].copy_from_slice(&announced.to_le_bytes());
            let file = TableFile::holding("a.arrow", hostile);
            let message = file.complaint(&TableSchema::default());
            assert!(message.contains(told), "{message}");
        }
    }
}

#[test]
fn a_column_that_isnt_there_is_told_beside_those_that_are() {
    let batch = batch(&[("body", texts(&["a"])), ("label", texts(&["x"]))]);
    let [content, _] = contents(&[batch], None);
    let message = TableFile::holding("a.arrow", content).complaint(&TableSchema::default());
    assert_eq!(
        message,
        "a.arrow has no column \"text\"; it has body, label; name the right one under data.text"
    );
}
