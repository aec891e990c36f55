//! What a file holds, told by its first bytes. Names of files lie: a `.csv` may be a workbook
//! that somebody renamed, and a `.json` has one object a line.

use super::options::TableFormat;

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Apache Parquet.
    Parquet,
    /// Arrow's IPC format, as a file or a stream.
    Arrow,
    /// An archive of type zip, as workbooks are.
    Zip,
    /// Compressed by gzip.
    Gzip,
    /// Compressed by Zstandard.
    Zstd,
    /// Something that isn't read.
    Other(Unread),
    /// None of that: text, most likely.
    Text,
}

/// Something that isn't read: what it is, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What it is, with its article.
    pub what: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

const UNPACK: &str = "unpack it, or compress the table with gzip or zstd";
const PICTURE: &str = "name a table of texts";
pub(super) const EXPORT: &str = "export the table from it as CSV, JSON Lines or Parquet";

/// First bytes, what they mean, and what to do. Longer ones come before those that they begin with.
const UNREAD: [(&[u8], &str, &str); 36] = [
    (b"BZh", "compressed by bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed by xz", UNPACK),
    (b"\x04\x22\x4d\x18", "compressed by lz4", UNPACK),
    (b"\xff\x06\0\0sNaPpY", "compressed by Snappy", UNPACK),
    (b"\x1f\x9d", "compressed by compress (.Z)", UNPACK),
    (b"\x5d\0\0", "compressed by LZMA", UNPACK),
    (b"\x78\x9c", "compressed by zlib", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "a workbook of Excel 97 to 2003 (.xls), or one with a password",
        "save it as .xlsx without a password, or as CSV UTF-8",
    ),
    (
        b"PARE",
        "Parquet with an encrypted footer",
        "write it without encryption",
    ),
    (
        b"FEA1",
        "a Feather file of version 1",
        "write it again as version 2 (pyarrow.feather.write_feather, which does so by default), or as \
         Parquet",
    ),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"ORC", "an ORC file", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"(lp0\n", "a Python pickle", EXPORT),
    (b"(dp0\n", "a Python pickle", EXPORT),
    (b"\x80\x02", "a Python pickle", EXPORT),
    (b"\x80\x03", "a Python pickle", EXPORT),
    (b"\x80\x04", "a Python pickle", EXPORT),
    (b"\x80\x05", "a Python pickle", EXPORT),
    (b"RDX", "an R workspace", EXPORT),
    (b"X\n\0\0\0", "an R object (.rds)", EXPORT),
    (b"$FL2", "an SPSS file", EXPORT),
    (b"<stata_dta>", "a Stata file", EXPORT),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", EXPORT),
    (b"\0\x01\0\0Standard ", "a database of Access", EXPORT),
    (b"%PDF", "a PDF", EXPORT),
    (b"{\\rtf", "a document in RTF", EXPORT),
    (b"\x89PNG\r\n", "a picture (PNG)", PICTURE),
    (b"\xff\xd8\xff", "a picture (JPEG)", PICTURE),
    (b"GIF8", "a picture (GIF)", PICTURE),
    (b"GGUF", "a model's weights (GGUF)", PICTURE),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS, not the table itself",
        "fetch the table with `git lfs pull`",
    ),
];

/// Those that a header may begin with, as `PARENT,label` or `ORCID,text` does.
const LETTERS: [&[u8]; 6] = [b"PARE", b"FEA1", b"ORC", b"RDX", b"GIF8", b"GGUF"];

/// Whether bytes are such as a header's and the rows' behind it: files of machines have others among
/// their first.
fn is_text(head: &[u8]) -> bool {
    const ENOUGH: usize = 256;
    let head = &head[..head.len().min(ENOUGH)];
    let is_control = |byte: &u8| *byte < b' ' && !b"\t\n\r".contains(byte);
    let cut_off = str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    cut_off && !head.iter().any(is_control)
}

impl Content {
    /// What the first bytes of a file say; some hundred are enough.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [b'P', b'A', b'R', b'1', ..] if !is_text(head) => return Self::Parquet,
            [b'A', b'R', b'R', b'O', b'W', b'1', 0, 0, ..] | [0xff, 0xff, 0xff, 0xff, ..] => {
                return Self::Arrow;
            }
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => return Self::Zip,
            [0x1f, 0x8b, ..] => return Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Self::Zstd,
            // Frames to skip before the first with content.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => return Self::Zstd,
            _ if is_utf_32(head) => {
                return Self::Other(Unread {
                    what: "text in UTF-32",
                    remedy: "save it as UTF-8",
                });
            }
            // A stream from before Arrow 0.15: a length, and where in the metadata its table is.
            [a, b, 0, 0, c, 0, 0, 0, ..] if (*a, *b) != (0, 0) && *c > 0 && *c % 4 == 0 => {
                return Self::Arrow;
            }
            _ => {}
        }
        let found = UNREAD.iter().find(|(magic, ..)| head.starts_with(magic));
        if let Some((magic, what, remedy)) = found {
            return match LETTERS.contains(magic) && is_text(head) {
                true => Self::Text,
                false => Self::Other(Unread { what, remedy }),
            };
        }
        if is_tar(head) {
            return Self::Other(Unread {
                what: "a tar archive",
                remedy: UNPACK,
            });
        }
        match is_markup(head) {
            true => Self::Other(Unread {
                what: "HTML or XML, such as the page of a failed download",
                remedy: EXPORT,
            }),
            false => Self::Text,
        }
    }

    /// The format that these bytes are of, if they are a table by themselves.
    pub(super) fn format(self) -> Option<TableFormat> {
        match self {
            Self::Parquet => Some(TableFormat::Parquet),
            Self::Arrow => Some(TableFormat::Arrow),
            Self::Zip => Some(TableFormat::Xlsx),
            _ => None,
        }
    }
}

/// A mark, or two ASCII letters of four bytes each. Behind the mark of UTF-16 there is no zero.
fn is_utf_32(head: &[u8]) -> bool {
    let little = |unit: &[u8]| matches!(unit, [b' '..=b'~', 0, 0, 0]);
    let big = |unit: &[u8]| matches!(unit, [0, 0, 0, b' '..=b'~']);
    let all = |is: &dyn Fn(&[u8]) -> bool| head.len() >= 12 && head.chunks_exact(4).take(3).all(is);
    head.starts_with(b"\xff\xfe\0\0")
        || head.starts_with(b"\0\0\xfe\xff")
        || all(&little)
        || all(&big)
}

/// What bytes are that nobody wrote as text in UTF-8: they have a zero in their first line, or
/// anywhere near the beginning beside what isn't UTF-8.
pub(super) fn binary(bytes: &[u8]) -> Option<Unread> {
    const NEAR: usize = 512;
    let head = &bytes[..bytes.len().min(NEAR)];
    let first = head.split(|byte| b"\r\n".contains(byte)).next();
    let wrong = str::from_utf8(head).is_err_and(|e| e.error_len().is_some());
    let has_zero = |bytes: &[u8]| bytes.contains(&0);
    (first.is_some_and(has_zero) || (wrong && has_zero(head))).then_some(Unread {
        what: "a binary file of a format that isn't known here",
        remedy: EXPORT,
    })
}

fn is_tar(head: &[u8]) -> bool {
    head.get(257..262).is_some_and(|magic| magic == b"ustar")
}

fn is_markup(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let begin = head.trim_ascii_start().get(..9).unwrap_or_default();
    let begin = begin.to_ascii_lowercase();
    [b"<!doctype".as_slice(), b"<html", b"<?xml", b"<table"]
        .iter()
        .any(|tag| begin.starts_with(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        assert_eq!(Content::of(b"PAR1\x15"), Content::Parquet);
        assert_eq!(Content::of(b"ARROW1\0\0\xff"), Content::Arrow);
        assert_eq!(Content::of(b"\xff\xff\xff\xff\x10"), Content::Arrow);
        assert_eq!(Content::of(b"\xd8\x01\0\0\x10\0\0\0"), Content::Arrow);
        assert_eq!(Content::of(b"PK\x03\x04\x14"), Content::Zip);
        assert_eq!(Content::of(b"\x1f\x8b\x08"), Content::Gzip);
        assert_eq!(Content::of(b"\x28\xb5\x2f\xfd"), Content::Zstd);
        for text in [
            "",
            "t",
            "text,label\n",
            "{\"text\":1}",
            "<3 this,pos",
            "PARTY,label",
            "PAR1,label\na,0\n",
            "PARENT,text,label\n",
            "ORCID,text\n0000-0001,né\n",
            "RDX_CODE;text\n",
            "GIF8,label\n",
            "ARROW1,label",
        ] {
            assert_eq!(Content::of(text.as_bytes()), Content::Text, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_told_from_text_with_a_zero_in_it() {
        for bytes in [
            &b"\0\0\0"[..],
            b"\x02\0\0{}",
            b"\x8b\xff\n\0",
            b"t\0xt,label\n",
        ] {
            assert!(binary(bytes).is_some(), "{bytes:?}");
        }
        for text in [
            &b"text,label\na\0b,0\n"[..],
            b"",
            "né,l\n".as_bytes(),
            b"n\xe9,l\n",
            b"text\x01l\n",
        ] {
            assert_eq!(binary(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_isnt_read_is_named() {
        let what = |bytes: &[u8]| match Content::of(bytes) {
            Content::Other(unread) => unread.what,
            other => panic!("{other:?}"),
        };
        assert_eq!(what(b"BZh91AY&SY\x9d\0"), "compressed by bzip2");
        assert_eq!(what(b"ORC\x0a\x03\0"), "an ORC file");
        assert_eq!(what(b"RDX3\nX\n\0\0\0\x03"), "an R workspace");
        assert_eq!(what(b"{\\rtf1\\ansi text"), "a document in RTF");
        assert_eq!(what(b"GGUF\x03\0\0\0"), "a model's weights (GGUF)");
        for text in ["\u{feff}text,label", "text", "a,bc", "zz,label"] {
            let letters = text.chars().map(u32::from);
            let little: Vec<u8> = letters.clone().flat_map(u32::to_le_bytes).collect();
            let big: Vec<u8> = letters.flat_map(u32::to_be_bytes).collect();
            assert_eq!(
                (what(&little), what(&big)),
                ("text in UTF-32", "text in UTF-32")
            );
        }
        assert_eq!(what(b"SQLite format 3\0...."), "an SQLite database");
        assert_eq!(
            what(b"\n <!DOCTYPE html>"),
            "HTML or XML, such as the page of a failed download"
        );
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(what(&tar), "a tar archive");
        assert!(what(b"version https://git-lfs.github.com/spec/v1\noid").contains("Git LFS"));
    }
}
