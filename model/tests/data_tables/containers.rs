//! What a table comes in: compressed files, encodings, workbooks, folders of parts, and what is no
//! table. Names of files don't matter.

use std::io::Write;

use umbel_model::data::{Asked, Row, TableOptions, TableSchema, read_table, read_texts};

use crate::parquet::{Column, file, strings};
use crate::{TableFile, row};
use parquet::basic::Compression;

pub(crate) const CSV: &str = "text,label\n\"good, film\",pos\nn\u{e9},neg\n";
const JSON: &str =
    "{\"text\":\"good, film\",\"label\":\"pos\"}\n{\"text\":\"n\u{e9}\",\"label\":\"neg\"}\n";

fn expected() -> [Row; 2] {
    [
        row(1, "good, film", "pos", None),
        row(2, "n\u{e9}", "neg", None),
    ]
}

pub(crate) fn read(name: &'static str, content: impl AsRef<[u8]>) -> Vec<Row> {
    let table = TableFile::holding(name, content).read(&TableSchema::default());
    table.expect("a table").rows
}

pub(crate) fn complaint(name: &'static str, content: impl AsRef<[u8]>) -> String {
    TableFile::holding(name, content).complaint(&TableSchema::default())
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(content).expect("memory");
    writer.finish().expect("memory")
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).expect("memory")
}

pub(crate) fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn compression_is_known_by_content_whatever_the_name() {
    for text in [CSV, JSON] {
        let whole = text.as_bytes();
        let (first, second) = whole.split_at(20);
        let members = [gzip(first), gzip(second)].concat();
        let frames = [zstd(first), zstd(second)].concat();
        for packed in [gzip(whole), zstd(whole), members, frames] {
            for name in ["a.csv", "a.csv.gz", "a.txt", "a"] {
                assert_eq!(read(name, &packed), expected());
            }
        }
    }
}

#[test]
fn utf16_is_known_with_and_without_a_mark() {
    for text in [CSV, JSON] {
        for mark in ["", "\u{feff}"] {
            let marked = format!("{mark}{text}");
            assert_eq!(read("a.csv", utf16(&marked, u16::to_le_bytes)), expected());
            assert_eq!(read("a.csv", utf16(&marked, u16::to_be_bytes)), expected());
            assert_eq!(
                read("a.csv", gzip(&utf16(&marked, u16::to_le_bytes))),
                expected()
            );
        }
    }
}

#[test]
fn a_file_that_unpacks_to_more_than_a_table_may_is_refused() {
    let bomb = gzip(&vec![b'a'; 70 << 20]);
    assert!(bomb.len() < 1 << 20);
    let message = complaint("a.csv", bomb);
    assert!(message.contains("unpacks to more than"), "{message}");
}

#[test]
fn broken_and_nested_compression_is_named() {
    let whole = gzip(CSV.as_bytes());
    let message = complaint("a.csv", &whole[..whole.len() / 2]);
    assert!(message.contains("can't be unpacked"), "{message}");
    let twice = complaint("a.csv", gzip(&whole));
    assert!(twice.contains("another compressed one"), "{twice}");
}

#[test]
fn what_is_no_table_is_named_with_a_remedy() {
    for (content, told) in [
        (&b"BZh91AY&SY"[..], "bzip2"),
        (b"SQLite format 3\0 etc", "SQLite"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel 97"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"FEA1\0\0", "Feather file of version 1"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "git lfs pull",
        ),
    ] {
        let message = complaint("visits.csv", content);
        assert!(message.contains(told), "{message}");
        assert!(message.starts_with("visits.csv is "), "{message}");
    }
}

/// A part of a workbook.
pub(crate) fn part(name: &str, content: &str) -> (String, String) {
    (name.to_owned(), content.to_owned())
}

/// A workbook whose sheets have these cells, as XML.
pub(crate) fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    let each = || sheets.iter().zip(1..);
    let list: String = each()
        .map(|((name, _), i)| format!("<sheet name=\"{name}\" sheetId=\"{i}\" r:id=\"r{i}\"/>"))
        .collect();
    let links: String = each()
        .map(|(_, i)| {
            format!(
                "<Relationship Id=\"r{i}\" Type=\"http://schemas.openxmlformats.org/officeDocument/\
                 2006/relationships/worksheet\" Target=\"worksheets/sheet{i}.xml\"/>"
            )
        })
        .collect();
    let root = "http://schemas.openxmlformats.org";
    let mut parts = vec![
        part(
            "[Content_Types].xml",
            &format!("<Types xmlns=\"{root}/package/2006/content-types\"/>"),
        ),
        part(
            "_rels/.rels",
            &format!(
                "<Relationships xmlns=\"{root}/package/2006/relationships\"><Relationship \
                 Id=\"r0\" Type=\"{root}/officeDocument/2006/relationships/officeDocument\" \
                 Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        part(
            "xl/workbook.xml",
            &format!(
                "<workbook xmlns=\"{root}/spreadsheetml/2006/main\" \
                 xmlns:r=\"{root}/officeDocument/2006/relationships\"><sheets>{list}</sheets>\
                 </workbook>"
            ),
        ),
        part(
            "xl/_rels/workbook.xml.rels",
            &format!(
                "<Relationships xmlns=\"{root}/package/2006/relationships\">{links}\
                 </Relationships>"
            ),
        ),
    ];
    for ((_, cells), i) in each() {
        parts.push(part(
            &format!("xl/worksheets/sheet{i}.xml"),
            &format!(
                "<worksheet xmlns=\"{root}/spreadsheetml/2006/main\"><sheetData>{cells}\
                 </sheetData></worksheet>"
            ),
        ));
    }
    archive(&parts)
}

pub(crate) fn archive(parts: &[(String, String)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in parts {
        writer.start_file(name.as_str(), options).expect("memory");
        writer.write_all(content.as_bytes()).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

pub(crate) fn text_cell(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

pub(crate) fn cells(rows: &[&[String]]) -> String {
    let row = |(cells, i): (&&[String], usize)| format!("<row r=\"{i}\">{}</row>", cells.concat());
    rows.iter().zip(1..).map(row).collect()
}

fn visits() -> String {
    cells(&[
        &[text_cell("B1", "Visits of 2026")],
        &[],
        &[text_cell("A3", "Label"), text_cell("B3", "text ")],
        &[
            "<c r=\"A4\"><v>1</v></c>".into(),
            text_cell("B4", "good, film"),
        ],
        &[
            "<c r=\"A5\"><v>0</v></c>".into(),
            "<c r=\"B5\"><v>12.5</v></c>".into(),
        ],
        &["<c r=\"A6\" t=\"str\"><v></v></c>".into()],
        &[
            "<c r=\"A7\" t=\"b\"><v>1</v></c>".into(),
            "<c r=\"XFD7\"><v>9</v></c>".into(),
            text_cell("B7", "odd"),
        ],
    ])
}

#[test]
fn a_workbook_is_read_whatever_its_name_titles_and_all() {
    let content = workbook(&[("visits", &visits())]);
    for name in ["a.xlsx", "a.csv", "a"] {
        assert_eq!(
            read(name, &content),
            [
                row(4, "good, film", "1", None),
                row(5, "12.5", "0", None),
                row(7, "odd", "true", None),
            ]
        );
    }
}

#[test]
fn of_several_sheets_the_one_with_the_columns_is_read_or_one_must_be_named() {
    let notes = cells(&[&[text_cell("A1", "remarks")], &[text_cell("A2", "none")]]);
    let one = workbook(&[("notes", &notes), ("visits", &visits())]);
    assert_eq!(read("a.xlsx", one).len(), 3);
    let two = workbook(&[("2025", &visits()), ("2026", &visits())]);
    assert_eq!(
        complaint("a.xlsx", &two),
        "a.xlsx has more than one sheet with these columns: 2025, 2026; name one under data.sheet"
    );
    let schema = |sheet: &str| TableSchema {
        options: TableOptions {
            sheet: Some(sheet.into()),
            ..TableOptions::default()
        },
        asked: Asked::Evaluate,
        ..TableSchema::default()
    };
    let two = TableFile::holding("a.xlsx", &two);
    assert_eq!(two.read(&schema("2026")).expect("a sheet").rows.len(), 3);
    assert_eq!(
        two.complaint(&schema("2027")),
        "a.xlsx has no sheet \"2027\": 2025, 2026; name one with --sheet"
    );
    let none = workbook(&[("notes", &notes)]);
    let message = complaint("a.xlsx", none);
    assert!(
        message.contains("it has remarks; name the right one"),
        "{message}"
    );
}

#[test]
fn other_archives_are_named() {
    let zipped = archive(&[part("visits.csv", CSV)]);
    assert!(complaint("a.xlsx", zipped).contains("a zip archive"));
    let sheet = archive(&[part("content.xml", "<office/>")]);
    assert!(complaint("a.ods", sheet).contains("OpenDocument"));
    let message = complaint("a.xlsx", "PK\u{3}\u{4}nothing");
    assert!(message.contains("can't be read as a workbook"), "{message}");
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a temporary file");
    }
    folder
}

fn parquet(texts: &[&str], labels: &[&str]) -> Vec<u8> {
    let schema = "message m { optional binary text (UTF8); optional binary label (UTF8); }";
    file(
        schema,
        Compression::SNAPPY,
        &[&[strings(texts), strings(labels)]],
    )
}

#[test]
fn a_folder_of_parts_is_one_table_in_the_order_of_their_numbers() {
    let parts = folder(&[
        ("_SUCCESS", b""),
        (".part-0.parquet.crc", b"x"),
        ("part.10.parquet", &parquet(&["c"], &["x"])),
        ("part.2.parquet", &parquet(&["b"], &["y"])),
        ("part.0.parquet", &parquet(&[], &[])),
        ("part.1.parquet", &parquet(&["a"], &["x"])),
    ]);
    let table = read_table(parts.path(), &TableSchema::default()).expect("parts");
    assert_eq!(
        table.rows,
        [
            row(1, "a", "x", None),
            row(2, "b", "y", None),
            row(3, "c", "x", None)
        ]
    );
    let of_text = folder(&[
        ("part-0.csv", CSV.as_bytes()),
        ("part-1.csv", CSV.as_bytes()),
    ]);
    let table = read_table(of_text.path(), &TableSchema::default()).expect("parts");
    assert_eq!(
        table.rows.iter().map(|r| r.row).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
}

#[test]
fn partitions_and_empty_folders_are_refused() {
    let partitioned = folder(&[("label=x/part-0.parquet", &parquet(&["a"], &["x"]))]);
    let error = read_table(partitioned.path(), &TableSchema::default()).expect_err("partitions");
    assert!(error.to_string().contains("without partitions"), "{error}");
    let error = read_table(folder(&[]).path(), &TableSchema::default()).expect_err("nothing");
    assert!(error.to_string().contains("has no rows"), "{error}");
}

#[test]
fn texts_alone_need_no_labels() {
    let schema = TableSchema {
        text: "note".into(),
        asked: Asked::Predict,
        ..TableSchema::default()
    };
    let table = TableFile::holding("a.csv", "id;note\n1;good\n2;\n");
    let texts = read_texts(&table.path(), &schema).expect("texts");
    assert_eq!(texts, [("good".into(), None), (String::new(), None)]);
    let other = TableFile::holding("a.csv", "id;remark\n1;good\n");
    let message = read_texts(&other.path(), &schema)
        .expect_err("no column")
        .to_string();
    assert!(
        message.ends_with("name the right one with --column"),
        "{message}"
    );
}

#[test]
fn a_column_of_another_kind_is_named_in_words_of_the_command() {
    let schema = "message m { optional binary text (UTF8); optional int32 label (DATE); }";
    let content = file(
        schema,
        Compression::SNAPPY,
        &[&[strings(["a"]), Column::Int32(vec![Some(1)])]],
    );
    let evaluate = TableSchema {
        asked: Asked::Evaluate,
        ..TableSchema::default()
    };
    assert_eq!(
        TableFile::holding("a.parquet", content).complaint(&evaluate),
        "column \"label\" of a.parquet is of type DATE; --label must name a column of strings, \
         numbers or truth values"
    );
}
