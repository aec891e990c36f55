//! From arrays to cells.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use crate::data::cells::Cell;
use crate::data::column_type::{ColumnType, decimal};

/// A row's value in a column; of a list, its elements.
pub(super) fn cell(array: &ArrayRef, row: usize, kind: ColumnType) -> Cell {
    if array.is_null(row) {
        return Cell::Missing;
    }
    let elements = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::ListView(_) => array.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => array.as_list_view::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        _ => return value(array.as_ref(), row, kind),
    };
    let element = |i| cell(&elements, i, kind);
    Cell::List((0..elements.len()).map(element).collect())
}

fn value(array: &dyn Array, row: usize, kind: ColumnType) -> Cell {
    match array.data_type() {
        DataType::Dictionary(..) => entry(array, row, kind),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Cell::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_owned()),
        DataType::Binary => kind.of_bytes(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => kind.of_bytes(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => kind.of_bytes(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => kind.of_bytes(array.as_fixed_size_binary().value(row)),
        DataType::Boolean => Cell::Truth(array.as_boolean().value(row)),
        DataType::Int8 => whole::<Int8Type>(array, row),
        DataType::Int16 => whole::<Int16Type>(array, row),
        DataType::Int32 => whole::<Int32Type>(array, row),
        DataType::Int64 => whole::<Int64Type>(array, row),
        DataType::UInt8 => whole::<UInt8Type>(array, row),
        DataType::UInt16 => whole::<UInt16Type>(array, row),
        DataType::UInt32 => whole::<UInt32Type>(array, row),
        DataType::UInt64 => whole::<UInt64Type>(array, row),
        DataType::Float32 => Cell::single(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Cell::double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(_, scale) => digits::<Decimal32Type>(array, row, *scale),
        DataType::Decimal64(_, scale) => digits::<Decimal64Type>(array, row, *scale),
        DataType::Decimal128(_, scale) => digits::<Decimal128Type>(array, row, *scale),
        DataType::Decimal256(_, scale) => {
            let number = array.as_primitive::<Decimal256Type>().value(row).to_i128();
            match (number, u32::try_from(*scale)) {
                (Some(number), Ok(scale)) => decimal(number, scale),
                _ => Cell::Other("a number of more than 38 digits"),
            }
        }
        // `column_type` has refused every other type.
        _ => Cell::Other("of a type that isn't read"),
    }
}

/// The value that an entry of a dictionary stands for.
fn entry(array: &dyn Array, row: usize, kind: ColumnType) -> Cell {
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        return Cell::Other("of a type that isn't read");
    };
    let key = match value(dictionary.keys(), row, ColumnType::Whole { signed: true }) {
        Cell::Whole(digits) => digits.parse().ok(),
        _ => None,
    };
    let values = dictionary.values();
    match key {
        Some(key) if key < values.len() && !values.is_null(key) => value(values, key, kind),
        Some(key) if key < values.len() => Cell::Missing,
        _ => Cell::Other("no entry of its dictionary"),
    }
}

fn whole<T: ArrowPrimitiveType<Native: ToString>>(array: &dyn Array, row: usize) -> Cell {
    Cell::Whole(array.as_primitive::<T>().value(row).to_string())
}

fn digits<T: ArrowPrimitiveType<Native: Into<i128>>>(
    array: &dyn Array,
    row: usize,
    scale: i8,
) -> Cell {
    let number = array.as_primitive::<T>().value(row).into();
    match u32::try_from(scale) {
        Ok(scale) => decimal(number, scale),
        Err(_) => Cell::Other("of a scale that isn't read"),
    }
}
