//! What a Parquet column's values mean: its logical type, not how they are stored. A price is
//! stored as a whole number, and so is a date.

use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::schema::types::ColumnDescPtr;

use crate::data::asked::{Asked, Setting};
use crate::data::cells::Cell;
use crate::data::columns::{Found, find};
use crate::data::error::DataError;
use crate::data::schema::Wanted;

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
    /// What a column holds, if that may be a text, a label or a group.
    pub(super) fn of(
        leaf: &ColumnDescPtr,
        setting: Setting,
        column: &str,
        path: &Path,
        asked: Asked,
    ) -> Result<Self, DataError> {
        let kind = Self::meant(leaf);
        let fits = match &kind {
            Ok(Self::Text | Self::Uuid) => true,
            Ok(Self::Whole { .. } | Self::Float) => {
                !matches!(setting, Setting::Text | Setting::TextPair)
            }
            Ok(Self::Truth | Self::Decimal { .. }) => setting == Setting::Label,
            Err(_) => false,
        };
        let found = match kind {
            Ok(kind) if fits => return Ok(kind),
            Err(name) => format!("of type {name}"),
            Ok(Self::Decimal { .. }) => "of type DECIMAL".into(),
            Ok(_) => format!("of type {}", leaf.physical_type()),
        };
        Err(DataError::ColumnType {
            file: path.to_owned(),
            setting,
            asked,
            column: column.to_owned(),
            found,
            expected: expected(setting),
        })
    }

    fn meant(leaf: &ColumnDescPtr) -> Result<Self, String> {
        let physical = leaf.physical_type();
        if let Some(logical) = leaf.logical_type_ref() {
            return Self::logical(logical, physical);
        }
        match (leaf.converted_type(), physical) {
            (ConvertedType::DECIMAL, _) => Self::decimal(leaf.type_scale()),
            (
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
                _,
            ) => Ok(Self::Whole { signed: false }),
            (
                ConvertedType::NONE
                | ConvertedType::UTF8
                | ConvertedType::ENUM
                | ConvertedType::JSON
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64,
                physical,
            ) => Self::physical(physical),
            (other, _) => Err(other.to_string()),
        }
    }

    fn logical(logical: &LogicalType, physical: Type) -> Result<Self, String> {
        match logical {
            LogicalType::String | LogicalType::Enum | LogicalType::Json => Ok(Self::Text),
            LogicalType::Integer(integer) => Ok(Self::Whole {
                signed: integer.is_signed,
            }),
            LogicalType::Decimal(decimal) => Self::decimal(decimal.scale),
            LogicalType::Uuid => Ok(Self::Uuid),
            LogicalType::Date => Err("DATE".into()),
            LogicalType::Time { .. } => Err("TIME".into()),
            LogicalType::Timestamp { .. } => Err("TIMESTAMP".into()),
            LogicalType::Unknown => Err("NULL".into()),
            LogicalType::Bson => Err("BSON".into()),
            LogicalType::Float16 => Err("FLOAT16".into()),
            _ => Err(format!("{physical} with a meaning that isn't known")),
        }
    }

    fn physical(physical: Type) -> Result<Self, String> {
        match physical {
            Type::BYTE_ARRAY => Ok(Self::Text),
            Type::INT32 | Type::INT64 => Ok(Self::Whole { signed: true }),
            Type::FLOAT | Type::DOUBLE => Ok(Self::Float),
            Type::BOOLEAN => Ok(Self::Truth),
            Type::INT96 => Err("INT96 (a timestamp)".into()),
            other => Err(other.to_string()),
        }
    }

    fn decimal(scale: i32) -> Result<Self, String> {
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
}

/// The name of the column of lists that a leaf has the elements of, if they are no lists or structs.
pub(super) fn list_name(leaf: &ColumnDescPtr, leaves: &[ColumnDescPtr]) -> Option<String> {
    let root = leaf.path().parts().first()?;
    let same_root = |other: &&ColumnDescPtr| other.path().parts().first() == Some(root);
    // root.list.element, or root.array as some writers have it.
    let flat = leaf.max_rep_level() == 1 && leaf.path().parts().len() <= 3;
    (flat && leaves.iter().filter(same_root).count() == 1).then(|| root.clone())
}

/// Refuses a column that is wanted and is a list or a struct.
pub(super) fn refuse_nested(
    leaves: &[ColumnDescPtr],
    wanted: Wanted<'_>,
    path: &Path,
) -> Result<(), DataError> {
    let roots: Vec<String> = leaves
        .iter()
        .map(|leaf| leaf.path().parts().first().cloned().unwrap_or_default())
        .collect();
    for (setting, column) in wanted.columns() {
        let by_root = match find(column, &roots) {
            Found::At(i) => Some(i),
            _ => roots.iter().position(|root| root == column),
        };
        let leaf = leaves
            .iter()
            .find(|leaf| leaf.path().string() == column)
            .or_else(|| by_root.and_then(|i| leaves.get(i)));
        let nested = |leaf: &ColumnDescPtr| {
            let list = setting == Setting::Label && wanted.takes_lists();
            let reads = list && list_name(leaf, leaves).is_some();
            !reads && (leaf.max_rep_level() > 0 || leaf.path().parts().len() > 1)
        };
        if leaf.is_some_and(nested) {
            return Err(DataError::ColumnType {
                file: path.to_owned(),
                setting,
                asked: wanted.asked,
                column: column.to_owned(),
                found: "nested (a list or a struct); flatten it, e.g. with pandas' explode or \
                        json_normalize"
                    .into(),
                expected: expected(setting),
            });
        }
    }
    Ok(())
}

fn expected(setting: Setting) -> &'static str {
    match setting {
        Setting::Label => "strings, numbers or truth values",
        Setting::Group | Setting::Client => "strings or whole numbers",
        _ => "strings",
    }
}

/// A number without its point, and so many digits after that.
fn decimal(number: i128, scale: u32) -> Cell {
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
fn big_endian(bytes: &[u8]) -> Option<i128> {
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

fn uuid(bytes: &[u8]) -> Cell {
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
