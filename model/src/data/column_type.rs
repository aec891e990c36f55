//! What a typed column's values mean, in formats that say so: not how they are stored. A price is
//! stored as a whole number, and so is a date.

use std::path::Path;

use super::asked::{Asked, Setting};
use super::cells::Cell;
use super::error::DataError;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    /// Text in UTF-8.
    Text,
    /// Whole numbers.
    Whole { signed: bool },
    /// Numbers with so many digits after the point, stored without it.
    Decimal { scale: u32 },
    /// Floating-point numbers.
    Float,
    /// Truth values.
    Truth,
    /// Universally unique identifiers.
    Uuid,
}

impl ColumnType {
    /// Decimals of a scale, or in words why they aren't read.
    pub(super) fn decimal(scale: i32) -> Result<Self, String> {
        let scale = u32::try_from(scale).ok().filter(|scale| *scale <= 76);
        scale.map_or_else(
            || Err("DECIMAL of a scale that isn't read".into()),
            |scale| Ok(Self::Decimal { scale }),
        )
    }

    /// Whether it holds whole numbers.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    pub(super) fn of_int32(self, number: i32) -> Cell {
        match self {
            Self::Whole { signed: false } => Cell::Whole(number.cast_unsigned().to_string()),
            Self::Decimal { scale } => decimal(i128::from(number), scale),
            _ => Cell::Whole(number.to_string()),
        }
    }

    pub(super) fn of_int64(self, number: i64) -> Cell {
        match self {
            Self::Whole { signed: false } => Cell::Whole(number.cast_unsigned().to_string()),
            Self::Decimal { scale } => decimal(i128::from(number), scale),
            _ => Cell::Whole(number.to_string()),
        }
    }

    pub(super) fn of_bytes(self, bytes: &[u8]) -> Cell {
        match self {
            Self::Decimal { scale } => match big_endian(bytes) {
                Some(number) => decimal(number, scale),
                None => Cell::Other("a number of more than 38 digits"),
            },
            Self::Uuid => uuid(bytes),
            _ => match str::from_utf8(bytes) {
                Ok(text) => Cell::Text(text.to_owned()),
                Err(_) => Cell::Other("not valid UTF-8"),
            },
        }
    }

    /// Whether values of it may be what a setting names.
    fn serves(self, setting: Setting) -> bool {
        match self {
            Self::Text | Self::Uuid => true,
            Self::Whole { .. } | Self::Float => {
                !matches!(setting, Setting::Text | Setting::TextPair)
            }
            Self::Truth | Self::Decimal { .. } => setting == Setting::Label,
        }
    }
}

/// A column as it is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedColumn<'a> {
    pub(super) setting: Setting,
    pub(super) name: &'a str,
    pub(super) file: &'a Path,
    pub(super) asked: Asked,
}

impl WantedColumn<'_> {
    /// What the column holds, if that may be a text, a label or a group. What doesn't mean anything
    /// that is read is named by `meant`, other types by how they are stored.
    pub(super) fn of_type(
        self,
        meant: Result<ColumnType, String>,
        stored: impl FnOnce() -> String,
    ) -> Result<ColumnType, DataError> {
        let found = match meant {
            Ok(kind) if kind.serves(self.setting) => return Ok(kind),
            Err(name) => name,
            Ok(ColumnType::Decimal { .. }) => "DECIMAL".into(),
            Ok(_) => stored(),
        };
        Err(self.refused(format!("of type {found}")))
    }

    /// The error for a list or a struct.
    pub(super) fn nested(self) -> DataError {
        self.refused(
            "nested (a list or a struct); flatten it, e.g. with pandas' explode or json_normalize"
                .into(),
        )
    }

    fn refused(self, found: String) -> DataError {
        DataError::ColumnType {
            file: self.file.to_owned(),
            setting: self.setting,
            asked: self.asked,
            column: self.name.to_owned(),
            found,
            expected: expected(self.setting),
        }
    }
}

fn expected(setting: Setting) -> &'static str {
    match setting {
        Setting::Label => "strings, numbers or truth values",
        Setting::Group | Setting::Client => "strings or whole numbers",
        _ => "strings",
    }
}

/// A number without its point, and so many digits after that.
pub(super) fn decimal(number: i128, scale: u32) -> Cell {
    let digits = number.unsigned_abs().to_string();
    let scale = scale as usize;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if number < 0 { "-" } else { "" };
    match fraction {
        "" => Cell::Whole(format!("{sign}{whole}")),
        fraction => Cell::Decimal(format!("{sign}{whole}.{fraction}")),
    }
}

/// A number in two's complement, its first byte the most significant.
pub(super) fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let filling = if first >= 0x80 { 0xff } else { 0 };
    let extra = bytes.len().saturating_sub(16);
    let (above, low) = bytes.split_at(extra);
    if above.iter().any(|byte| *byte != filling) {
        return None;
    }
    let mut whole = [filling; 16];
    whole[16 - low.len()..].copy_from_slice(low);
    let number = i128::from_be_bytes(whole);
    ((number < 0) == (filling == 0xff)).then_some(number)
}

/// An identifier of 16 bytes, with dashes.
pub(super) fn uuid(bytes: &[u8]) -> Cell {
    if bytes.len() != 16 {
        return Cell::Other("no UUID");
    }
    let text = hex::encode(bytes);
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    Cell::Text(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_their_point() {
        for (number, scale, text) in [
            (10, 1, "1"),
            (15, 1, "1.5"),
            (-5, 2, "-0.05"),
            (0, 3, "0"),
            (-1200, 2, "-12"),
            (7, 0, "7"),
        ] {
            let (Cell::Whole(found) | Cell::Decimal(found)) = decimal(number, scale) else {
                panic!("a number");
            };
            assert_eq!(found, text);
        }
    }

    #[test]
    fn twos_complement_of_any_length_is_read() {
        for number in [0, 1, -1, 127, -128, 300, -300, i128::MAX, i128::MIN] {
            let bytes = number.to_be_bytes();
            assert_eq!(big_endian(&bytes), Some(number));
            let longer = [vec![if number < 0 { 0xff } else { 0 }; 3], bytes.to_vec()].concat();
            assert_eq!(big_endian(&longer), Some(number));
        }
        assert_eq!(big_endian(&[0xff]), Some(-1));
        assert_eq!(big_endian(&[1; 17]), None);
        assert_eq!(big_endian(&[]), None);
    }

    #[test]
    fn a_uuid_is_written_with_dashes() {
        let bytes: Vec<u8> = (0..16).collect();
        let text = "00010203-0405-0607-0809-0a0b0c0d0e0f".to_owned();
        assert_eq!(uuid(&bytes), Cell::Text(text));
        assert!(matches!(uuid(&[1]), Cell::Other(_)));
    }
}
