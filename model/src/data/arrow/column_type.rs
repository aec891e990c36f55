//! What an Arrow column's values mean.

use arrow_schema::{DataType, Field};

use super::value_type;
use crate::data::asked::Setting;
use crate::data::column_type::{ColumnType, WantedColumn};
use crate::data::error::DataError;

/// What a column holds, if that may be a text, a label or a group; of a list, its elements, where the
/// labels of a row may be any number.
pub(super) fn of(
    field: &Field,
    wanted: WantedColumn<'_>,
    takes_lists: bool,
) -> Result<ColumnType, DataError> {
    let kind = value_type(field.data_type());
    let lists = wanted.setting == Setting::Label && takes_lists;
    let element = element(kind).filter(|_| lists);
    let kind = element.map_or(kind, |field| value_type(field.data_type()));
    let uuid = field.metadata().get("ARROW:extension:name");
    let meant = match kind {
        DataType::FixedSizeBinary(16) if uuid.is_some_and(|name| name == "arrow.uuid") => {
            Ok(ColumnType::Uuid)
        }
        kind if kind.is_nested() => return Err(wanted.nested()),
        kind => meant(kind),
    };
    wanted.of_type(meant, || format!("{kind}"))
}

/// The elements of a list.
fn element(kind: &DataType) -> Option<&Field> {
    match kind {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => Some(field),
        _ => None,
    }
}

fn meant(kind: &DataType) -> Result<ColumnType, String> {
    match kind {
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => Ok(ColumnType::Text),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            Ok(ColumnType::Whole { signed: true })
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            Ok(ColumnType::Whole { signed: false })
        }
        DataType::Float32 | DataType::Float64 => Ok(ColumnType::Float),
        DataType::Boolean => Ok(ColumnType::Truth),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => ColumnType::decimal(i32::from(*scale)),
        DataType::Null => Err("NULL".into()),
        DataType::Float16 => Err("FLOAT16".into()),
        DataType::Date32 | DataType::Date64 => Err("DATE".into()),
        DataType::Time32(_) | DataType::Time64(_) => Err("TIME".into()),
        DataType::Timestamp(..) => Err("TIMESTAMP".into()),
        DataType::Duration(_) | DataType::Interval(_) => Err("a duration".into()),
        other => Err(other.to_string()),
    }
}
