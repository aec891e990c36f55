//! What a table's file can't say of itself, and its owner may.

use std::fmt;
use std::str::FromStr;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

/// How a file is read where looking at it doesn't tell, or tells wrongly. Whatever is left out is
/// found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableOptions {
    /// The format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<TableFormat>,
    /// What stands between the columns of a CSV table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// The encoding of a table that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<TextEncoding>,
    /// The sheet of a workbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
}

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    /// Columns of text between delimiters, a header on top.
    Csv,
    /// JSON: one object a line, objects one after another, or a list of objects.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Arrow's IPC format: a file (Feather) or a stream.
    Arrow,
    /// An Excel workbook.
    Xlsx,
}

impl TableFormat {
    /// Every format with its word.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("csv", Self::Csv),
        ("json", Self::Json),
        ("parquet", Self::Parquet),
        ("arrow", Self::Arrow),
        ("xlsx", Self::Xlsx),
    ];
}

impl FromStr for TableFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, format)| *format).ok_or_else(|| {
            let words = Self::WORDS.map(|(word, _)| word).join(", ");
            format!("{word:?} isn't a format of tables; there are {words}")
        })
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, format)| format == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

/// The character between two columns: one of ASCII that is no quote, letter, digit or line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Delimiter(u8);

impl Delimiter {
    /// Those that are looked for, the most usual first.
    pub const USUAL: [Self; 4] = [Self(b','), Self(b';'), Self(b'\t'), Self(b'|')];
    /// Those that have a name.
    const NAMES: [(&'static str, u8); 5] = [
        ("comma", b','),
        ("semicolon", b';'),
        ("tab", b'\t'),
        ("pipe", b'|'),
        ("space", b' '),
    ];

    /// As a byte.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// In words, as many of them.
    pub(super) fn plural(self) -> String {
        match Self::NAMES.iter().find(|(_, byte)| *byte == self.0) {
            Some((name, _)) => format!("{name}s"),
            None => format!("{:?} signs", char::from(self.0)),
        }
    }

    /// The delimiter that a byte is, if it may be one.
    pub(super) fn of_byte(byte: u8) -> Option<Self> {
        let serves = byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(&byte);
        serves.then_some(Self(byte))
    }
}

/// What stands between the labels of a text: not nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Separator(String);

impl Separator {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Separator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("a separator of labels has at least one character".into()),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Separator {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Separator> for String {
    fn from(separator: Separator) -> Self {
        separator.0
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, byte)) = Self::NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self(*byte));
        }
        let byte = match (text, text.as_bytes()) {
            ("\\t", _) => Some(b'\t'),
            (_, [byte]) => Some(*byte),
            _ => None,
        };
        byte.and_then(Self::of_byte).ok_or_else(|| {
            format!(
                "{text:?} can't stand between columns; give one character, or comma, semicolon, \
                 tab, pipe or space"
            )
        })
    }
}

impl TryFrom<String> for Delimiter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Delimiter> for String {
    fn from(delimiter: Delimiter) -> Self {
        char::from(delimiter.0).to_string()
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(self.0))
    }
}

/// An encoding of text, by any of the names that the web knows for it (`windows-1252`, `latin1`,
/// `shift_jis`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextEncoding(pub(super) &'static Encoding);

impl FromStr for TextEncoding {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        // Python's names: cp1252, utf_8_sig.
        let spelled = name.trim().to_ascii_lowercase().replace('_', "-");
        let spelled = match spelled.as_str() {
            "utf-8-sig" | "utf8-sig" => "utf-8".to_owned(),
            "utf16" => "utf-16".to_owned(),
            "utf-16-le" => "utf-16le".to_owned(),
            "utf-16-be" => "utf-16be".to_owned(),
            "shift-jis" => "shift_jis".to_owned(),
            "latin-1" => "latin1".to_owned(),
            _ => spelled,
        };
        let known = Encoding::for_label_no_replacement(spelled.as_bytes());
        known.map(Self).ok_or_else(|| {
            format!("{name:?} is no encoding that is known; give one such as utf-8 or windows-1252")
        })
    }
}

impl TryFrom<String> for TextEncoding {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<TextEncoding> for String {
    fn from(encoding: TextEncoding) -> Self {
        encoding.to_string()
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_have_names_and_characters() {
        for (written, byte) in [
            (",", b','),
            ("semicolon", b';'),
            ("tab", b'\t'),
            ("\\t", b'\t'),
            ("\t", b'\t'),
            ("space", b' '),
            ("\u{1}", 1),
        ] {
            assert_eq!(written.parse(), Ok(Delimiter(byte)), "{written:?}");
        }
        for wrong in ["", "ab", "a", "7", "\"", "\n", "\r", "é"] {
            assert!(wrong.parse::<Delimiter>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn encodings_are_known_by_the_names_that_people_and_python_use() {
        for (name, encoding) in [
            ("UTF-8", "utf-8"),
            ("utf_8_sig", "utf-8"),
            ("latin-1", "windows-1252"),
            ("cp1252", "windows-1252"),
            ("ISO-8859-15", "iso-8859-15"),
            ("utf-16", "utf-16le"),
            ("utf_16_be", "utf-16be"),
            ("shift_jis", "shift_jis"),
            ("gb18030", "gb18030"),
        ] {
            let known: TextEncoding = name.parse().expect(name);
            assert_eq!(known.to_string(), encoding, "{name}");
        }
        for wrong in ["", "ebcdic", "utf-7", "iso-2022-cn"] {
            assert!(wrong.parse::<TextEncoding>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn formats_are_read_as_they_are_written() {
        for (word, format) in TableFormat::WORDS {
            assert_eq!(word.parse(), Ok(format));
            assert_eq!(format.to_string(), word);
        }
        assert!("xls".parse::<TableFormat>().is_err());
    }
}
