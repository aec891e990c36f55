//! What the readers of all formats share: where columns are, and how values are taken.

use std::path::Path;

use super::asked::Setting;
use super::error::DataError;
use super::label_form::tidy;
use super::schema::Wanted;

/// A group's value as it is written; blank is none. That no stray blank splits one person in two
/// is seen to where units are made ([`super::GroupColumn`]): what is mended silently here might
/// also put two people together.
pub(super) fn group_value(value: &str) -> Option<String> {
    (!value.trim().is_empty()).then(|| value.to_owned())
}

/// Whether a float is a whole number that it holds exactly: below 2^53, others may have been
/// rounded to the same one.
pub(super) fn is_exact(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < (1_u64 << f64::MANTISSA_DIGITS) as f64
}

/// The position of each column that is wanted, among those that a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColumnPositions {
    pub(super) text: usize,
    pub(super) label: Option<usize>,
    pub(super) group: Option<usize>,
}

/// What [`find`] says of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    At(usize),
    Nowhere,
    Repeated,
}

/// Where a column is: the one that is named so, or else the one whose name differs only in white
/// space, invisible characters, composition, and then in capitals.
pub(super) fn find(column: &str, found: &[String]) -> Found {
    let ways: [fn(&str) -> String; 3] = [str::to_owned, tidy, |name| tidy(name).to_lowercase()];
    for way in ways {
        let name = way(column);
        let mut matching = (0..found.len()).filter(|i| way(&found[*i]) == name);
        match (matching.next(), matching.next()) {
            (Some(i), None) => return Found::At(i),
            (Some(_), Some(_)) => return Found::Repeated,
            (None, _) => {}
        }
    }
    Found::Nowhere
}

impl ColumnPositions {
    /// Where all columns are; `hint` is asked for the remedy where one isn't there.
    pub(super) fn find(
        wanted: Wanted<'_>,
        found: &[String],
        file: &Path,
        hint: impl Fn() -> Option<String>,
    ) -> Result<Self, DataError> {
        let position = |setting: Setting, column: &str| match find(column, found) {
            Found::At(i) => Ok(i),
            Found::Nowhere => Err(DataError::MissingColumn {
                file: file.to_owned(),
                setting,
                asked: wanted.asked,
                column: column.to_owned(),
                found: found.to_vec(),
                hint: hint(),
            }),
            Found::Repeated => Err(DataError::RepeatedColumn {
                file: file.to_owned(),
                setting,
                asked: wanted.asked,
                column: column.to_owned(),
            }),
        };
        let optional = |setting, column: Option<&str>| {
            column.map(|column| position(setting, column)).transpose()
        };
        Ok(Self {
            text: position(Setting::Text, wanted.text)?,
            label: optional(Setting::Label, wanted.label)?,
            group: optional(Setting::Group, wanted.group)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(found: &[&str]) -> Found {
        let found: Vec<String> = found.iter().map(|name| (*name).to_owned()).collect();
        find("text", &found)
    }

    #[test]
    fn a_column_is_found_as_people_write_it() {
        assert_eq!(find_in(&["id", "text"]), Found::At(1));
        assert_eq!(find_in(&[" text\u{a0}", "label"]), Found::At(0));
        assert_eq!(find_in(&["label", "\u{feff}Text"]), Found::At(1));
        assert_eq!(find_in(&["texts", "te xt"]), Found::Nowhere);
    }

    #[test]
    fn the_nearest_spelling_wins_and_two_of_one_spelling_are_one_too_many() {
        assert_eq!(find_in(&["Text", "text ", "text"]), Found::At(2));
        assert_eq!(find_in(&["Text", "text "]), Found::At(1));
        assert_eq!(find_in(&["Text", "TEXT"]), Found::Repeated);
        assert_eq!(find_in(&["text", "text"]), Found::Repeated);
    }
}
