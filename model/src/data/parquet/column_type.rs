//! What a Parquet column's values mean: its logical type, not how they are stored. A price is
//! stored as a whole number, and so is a date.

use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::schema::types::ColumnDescPtr;

use crate::data::asked::Setting;
use crate::data::column_type::{ColumnType, WantedColumn};
use crate::data::columns::{Found, find};
use crate::data::error::DataError;
use crate::data::schema::Wanted;

/// What a column holds, if that may be a text, a label or a group.
pub(super) fn of(leaf: &ColumnDescPtr, wanted: WantedColumn<'_>) -> Result<ColumnType, DataError> {
    wanted.of_type(meant(leaf), || leaf.physical_type().to_string())
}

fn meant(leaf: &ColumnDescPtr) -> Result<ColumnType, String> {
    let physical = leaf.physical_type();
    if let Some(logical) = leaf.logical_type_ref() {
        return of_logical(logical, physical);
    }
    match (leaf.converted_type(), physical) {
        (ConvertedType::DECIMAL, _) => ColumnType::decimal(leaf.type_scale()),
        (
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64,
            _,
        ) => Ok(ColumnType::Whole { signed: false }),
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
        ) => of_physical(physical),
        (other, _) => Err(other.to_string()),
    }
}

fn of_logical(logical: &LogicalType, physical: Type) -> Result<ColumnType, String> {
    match logical {
        LogicalType::String | LogicalType::Enum | LogicalType::Json => Ok(ColumnType::Text),
        LogicalType::Integer(integer) => Ok(ColumnType::Whole {
            signed: integer.is_signed,
        }),
        LogicalType::Decimal(decimal) => ColumnType::decimal(decimal.scale),
        LogicalType::Uuid => Ok(ColumnType::Uuid),
        LogicalType::Date => Err("DATE".into()),
        LogicalType::Time { .. } => Err("TIME".into()),
        LogicalType::Timestamp { .. } => Err("TIMESTAMP".into()),
        LogicalType::Unknown => Err("NULL".into()),
        LogicalType::Bson => Err("BSON".into()),
        LogicalType::Float16 => Err("FLOAT16".into()),
        _ => Err(format!("{physical} with a meaning that isn't known")),
    }
}

fn of_physical(physical: Type) -> Result<ColumnType, String> {
    match physical {
        Type::BYTE_ARRAY => Ok(ColumnType::Text),
        Type::INT32 | Type::INT64 => Ok(ColumnType::Whole { signed: true }),
        Type::FLOAT | Type::DOUBLE => Ok(ColumnType::Float),
        Type::BOOLEAN => Ok(ColumnType::Truth),
        Type::INT96 => Err("INT96 (a timestamp)".into()),
        other => Err(other.to_string()),
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

/// What to do where a column that is wanted stands inside of another, as nested objects leave it.
pub(super) fn inside(leaves: &[ColumnDescPtr], wanted: Wanted<'_>) -> Option<String> {
    let wanted: Vec<&str> = wanted.columns().map(|(_, column)| column).collect();
    let found = leaves.iter().find_map(|leaf| match leaf.path().parts() {
        [outer @ .., last] if !outer.is_empty() && wanted.contains(&last.as_str()) => {
            Some((outer.join("."), last.clone()))
        }
        _ => None,
    });
    found.map(|(outer, column)| {
        format!(
            "{column:?} is inside {outer:?}: flatten it, e.g. with pandas.json_normalize, or with \
             Spark's select(\"{outer}.*\")"
        )
    })
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
            let column = WantedColumn {
                setting,
                name: column,
                file: path,
                asked: wanted.asked,
            };
            return Err(column.nested());
        }
    }
    Ok(())
}
