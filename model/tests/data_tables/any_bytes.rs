//! No bytes whatever make a reader panic: they are a table, or an error that names the file.

use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch};
use arrow_ipc::CompressionType;
use parquet::basic::{Compression, ZstdLevel};
use proptest::prelude::*;
use umbel_model::data::{LabelSet, LabelledTexts, TableSchema, clean};

use crate::arrow::{contents, texts};
use crate::parquet::{file, strings};
use crate::{TableFile, grouped};

/// Reads and uses a file as a site would. A panic on the way fails the test.
fn use_up(name: &'static str, content: &[u8]) -> Result<(), TestCaseError> {
    for schema in [TableSchema::default(), grouped()] {
        let table_file = TableFile::holding(name, content);
        match table_file.read(&schema) {
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.contains(name), "{}", message);
            }
            Ok(table) => {
                prop_assert!(!table.rows.is_empty());
                let (table, report) = clean(table);
                prop_assert_eq!(report.read, report.empty + report.duplicate + report.kept);
                if let Ok(labels) = LabelSet::union([&table])
                    && let Ok(texts) = LabelledTexts::from_table(&table, &labels)
                {
                    let _units = texts.rows_by_group(Some(2));
                }
            }
        }
    }
    Ok(())
}

/// Bytes that now and then make sense in CSV and JSON.
fn nearly_a_table() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"text,label\r\n".to_vec()),
        Just(b"text,label,patient\n".to_vec()),
        Just(b"{\"text\":\"a\",\"label\":\"b\",\"patient\":1}\n".to_vec()),
        Just(b"{\"text\":".to_vec()),
        prop::sample::select(&b"\",\r\n{}:[]ab \\\xff\xef\xbb\xbf"[..]).prop_map(|b| vec![b]),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn damaged_parquet() -> impl Strategy<Value = Vec<u8>> {
    let schema = "message m {
        optional binary text (UTF8); optional binary label (UTF8); optional binary patient (UTF8);
    }";
    let column = || strings((0..50).map(|i| format!("value {}", i % 7)));
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    let whole = codecs.map(|codec| file(schema, codec, &[&[column(), column(), column()]]));
    let edit = (any::<prop::sample::Index>(), any::<u8>());
    (
        prop::sample::select(whole.to_vec()),
        prop::collection::vec(edit, 1..6),
    )
        .prop_map(|(mut bytes, edits)| {
            for (index, value) in edits {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            bytes
        })
}

/// A file, a compressed stream, and a file compressed otherwise.
fn arrow_tables() -> Vec<Vec<u8>> {
    let labels: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().collect();
    let columns = [
        ("text", texts(&["a", "b", "value"])),
        ("label", Arc::new(labels) as ArrayRef),
        ("patient", texts(&["p", "q", "r"])),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let codecs = [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ];
    let contents = codecs.map(|codec| contents(std::slice::from_ref(&batch), codec));
    let [[file, _], [_, stream], [compressed, _]] = contents;
    vec![file, stream, compressed]
}

#[test]
fn an_arrow_table_with_any_one_byte_damaged_or_cut_anywhere_is_a_table_or_an_error()
-> Result<(), TestCaseError> {
    for whole in arrow_tables() {
        for at in (0..whole.len()).step_by(7) {
            use_up("a.arrow", &whole[..at])?;
        }
        for at in 0..whole.len() {
            for value in [0, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                use_up("a.arrow", &damaged)?;
            }
        }
    }
    Ok(())
}

/// The decoder behind the Parquet reader panics at some of these.
#[test]
fn a_parquet_file_with_any_one_byte_damaged_is_a_table_or_an_error() -> Result<(), TestCaseError> {
    let schema = "message m { optional binary text (UTF8); optional binary label (UTF8); }";
    let whole = file(
        schema,
        Compression::UNCOMPRESSED,
        &[&[strings(["a", "b"]), strings(["x", "x"])]],
    );
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            use_up("a.parquet", &damaged)?;
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_a_csv_table_or_an_error(content in nearly_a_table()) {
        use_up("a.csv", &content)?;
    }

    #[test]
    fn any_bytes_are_a_json_lines_table_or_an_error(content in nearly_a_table()) {
        use_up("a.jsonl", &content)?;
    }

    #[test]
    fn any_bytes_are_a_parquet_table_or_an_error(
        content in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        use_up("a.parquet", &content)?;
        let length = (content.len() as u32).to_le_bytes();
        let framed = [b"PAR1".as_slice(), &content, &length, b"PAR1"].concat();
        use_up("a.parquet", &framed)?;
    }

    #[test]
    fn a_parquet_file_with_damaged_bytes_is_a_table_or_an_error(content in damaged_parquet()) {
        use_up("a.parquet", &content)?;
    }
}
