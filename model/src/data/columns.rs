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

/// Something of each column that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns<T> {
    pub(super) text: T,
    /// `None` where rows aren't pairs.
    pub(super) text_pair: Option<T>,
    /// `None` where no labels are wanted.
    pub(super) label: Option<Labels<T>>,
    pub(super) group: Option<T>,
    pub(super) client: Option<T>,
}

/// The position of each column that is wanted, among those that a file has.
pub(super) type ColumnPositions = Columns<usize>;

impl<T> Columns<T> {
    /// Something else of each column, made of this.
    pub(super) fn map<U, E>(
        self,
        mut make: impl FnMut(Setting, T) -> Result<U, E>,
    ) -> Result<Columns<U>, E> {
        let mut optional = |setting, of: Option<T>| of.map(|of| make(setting, of)).transpose();
        let text_pair = optional(Setting::TextPair, self.text_pair)?;
        let group = optional(Setting::Group, self.group)?;
        let client = optional(Setting::Client, self.client)?;
        let label = self.label.map(|labels| match labels {
            Labels::Column(one) => Ok(Labels::Column(make(Setting::Label, one)?)),
            Labels::Each(each) => {
                let each = each.into_iter().map(|one| make(Setting::Label, one));
                Ok(Labels::Each(each.collect::<Result<_, E>>()?))
            }
        });
        Ok(Columns {
            text: make(Setting::Text, self.text)?,
            text_pair,
            label: label.transpose()?,
            group,
            client,
        })
    }

    /// A reference to each.
    pub(super) fn each_mut(&mut self) -> Columns<&mut T> {
        Columns {
            text: &mut self.text,
            text_pair: self.text_pair.as_mut(),
            label: self.label.as_mut().map(|labels| match labels {
                Labels::Column(one) => Labels::Column(one),
                Labels::Each(each) => Labels::Each(each.iter_mut().collect()),
            }),
            group: self.group.as_mut(),
            client: self.client.as_mut(),
        }
    }

    /// A reference to each.
    pub(super) fn each(&self) -> Columns<&T> {
        Columns {
            text: &self.text,
            text_pair: self.text_pair.as_ref(),
            label: self.label.as_ref().map(|labels| match labels {
                Labels::Column(one) => Labels::Column(one),
                Labels::Each(each) => Labels::Each(each.iter().collect()),
            }),
            group: self.group.as_ref(),
            client: self.client.as_ref(),
        }
    }
}

/// Something of each column that has labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Labels<T> {
    /// One column has them.
    Column(T),
    /// Each label has a column of its own.
    Each(Vec<T>),
}

impl<T> Labels<T> {
    /// Something else of each column, made of this.
    pub(super) fn map<U, E>(
        &self,
        mut make: impl FnMut(&T) -> Result<U, E>,
    ) -> Result<Labels<U>, E> {
        Ok(match self {
            Self::Column(one) => Labels::Column(make(one)?),
            Self::Each(each) => Labels::Each(each.iter().map(make).collect::<Result<_, E>>()?),
        })
    }

    /// All of them.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        match self {
            Self::Column(one) => std::slice::from_ref(one).iter(),
            Self::Each(each) => each.iter(),
        }
    }
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

impl Columns<usize> {
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
                hint: hint().or_else(|| wanted.labels_hint(setting)),
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
        let labels = |column| {
            let own = wanted.label_columns();
            let is_there = |name: &str| find(name, found) != Found::Nowhere;
            let each = !is_there(column) && !own.is_empty() && own.iter().all(|n| is_there(n));
            Ok::<_, DataError>(match each {
                true => {
                    let own = own.iter().map(|name| position(Setting::Label, name));
                    Labels::Each(own.collect::<Result<_, _>>()?)
                }
                false => Labels::Column(position(Setting::Label, column)?),
            })
        };
        Ok(Self {
            text: position(Setting::Text, wanted.text)?,
            text_pair: optional(Setting::TextPair, wanted.text_pair)?,
            label: wanted.label.map(labels).transpose()?,
            group: optional(Setting::Group, wanted.group)?,
            client: optional(Setting::Client, wanted.client)?,
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
