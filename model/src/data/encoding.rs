//! From a text file's bytes to UTF-8.

use std::borrow::Cow;
use std::path::Path;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::asked::Asked;
use super::error::DataError;
use super::options::TextEncoding;

/// Bytes in UTF-8, without a byte order mark, and the encoding that they were in. UTF-8 itself is
/// handed on unchecked, so that a reader can say in which cell it is broken.
pub(super) fn to_utf8<'a>(
    bytes: &'a [u8],
    declared: Option<TextEncoding>,
    file: &Path,
    asked: Asked,
) -> Result<(Cow<'a, [u8]>, &'static Encoding), DataError> {
    // A byte order mark says more than a declaration.
    let (encoding, mark) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, length),
        None => (declared.map_or_else(|| found(bytes), |e| e.0), 0),
    };
    let bytes = &bytes[mark..];
    if encoding == UTF_8 {
        return Ok((Cow::Borrowed(bytes), encoding));
    }
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    match text {
        Some(Cow::Borrowed(text)) => Ok((Cow::Borrowed(text.as_bytes()), encoding)),
        Some(Cow::Owned(text)) => Ok((Cow::Owned(text.into_bytes()), encoding)),
        None => Err(DataError::Encoding {
            file: file.to_owned(),
            encoding: encoding.name(),
            asked,
        }),
    }
}

/// UTF-16 where zeros stand in every other of the first bytes, as in a header of plain letters;
/// UTF-8 otherwise.
fn found(bytes: &[u8]) -> &'static Encoding {
    match bytes {
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => UTF_16LE,
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => UTF_16BE,
        _ => UTF_8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], declared: Option<&str>) -> Result<String, String> {
        let declared = declared.map(|name| name.parse().expect("an encoding"));
        to_utf8(bytes, declared, Path::new("a.csv"), Asked::Configuration)
            .map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| error.to_string())
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn utf8_and_utf16_are_found_out_with_and_without_a_mark() {
        let text = "text,n\u{e9}\u{1f600}\n";
        for mark in ["", "\u{feff}"] {
            let marked = format!("{mark}{text}");
            assert_eq!(read(marked.as_bytes(), None).as_deref(), Ok(text));
            let little = utf16(&marked, u16::to_le_bytes);
            assert_eq!(read(&little, None).as_deref(), Ok(text));
            let big = utf16(&marked, u16::to_be_bytes);
            assert_eq!(read(&big, None).as_deref(), Ok(text));
        }
    }

    #[test]
    fn another_encoding_is_read_where_it_is_declared() {
        assert_eq!(
            read(b"caf\xe9 \x80", Some("cp1252")).as_deref(),
            Ok("caf\u{e9} \u{20ac}")
        );
        assert_eq!(read(b"caf\xe9", None).as_deref(), Ok("caf\u{fffd}"));
        // The mark is right, whatever is declared.
        assert_eq!(
            read(b"\xef\xbb\xbf\xc3\xa9", Some("cp1252")).as_deref(),
            Ok("\u{e9}")
        );
    }

    #[test]
    fn what_isnt_in_its_encoding_is_refused() {
        let broken = read(b"\xff\xfea\0\0\xd8b\0", None).expect_err("half a pair");
        assert!(broken.contains("isn't valid UTF-16LE"), "{broken}");
        assert!(read(b"\x81\x20", Some("shift_jis")).is_err());
    }
}
