//! The labels of a classifier, and which of them a table's label is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Deserializer};

use super::error::{DataError, Place};
use super::id_folding::folded;
use super::label_form::{canonical, in_order, is_missing, tidy};
use super::table::Table;

/// Reads a configuration's list of labels, each in its tidy form. Whole numbers and truth values
/// need no quotes.
///
/// # Errors
/// Those of the format, for what is no such list.
pub fn read_labels<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a label is a text in quotes, a whole number, true or false"
    )]
    enum Label {
        Text(String),
        Whole(i64),
        Truth(bool),
    }
    let labels = Vec::<Label>::deserialize(list)?;
    let name = |label| match label {
        Label::Text(text) => tidy(&text),
        Label::Whole(number) => number.to_string(),
        Label::Truth(truth) => truth.to_string(),
    };
    Ok(labels.into_iter().map(name).collect())
}

/// The labels of a classifier, in the order of its outputs: at least one, each once, none blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet {
    names: Vec<String>,
    /// By tidy form.
    indices: HashMap<String, usize>,
    /// By canonical form, where only one label has it.
    canonical: HashMap<String, usize>,
    /// Whether they are `LABEL_0`, `LABEL_1` and so on: names of a model whose maker gave none.
    numbered: bool,
}

impl LabelSet {
    /// A label set in the order given.
    ///
    /// # Errors
    /// [`DataError::NoLabels`], [`DataError::BlankLabel`] or [`DataError::RepeatedLabel`].
    pub fn new(names: Vec<String>) -> Result<Self, DataError> {
        if names.is_empty() {
            return Err(DataError::NoLabels);
        }
        let mut indices = HashMap::with_capacity(names.len());
        let mut forms: HashMap<String, Option<usize>> = HashMap::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let tidy = tidy(name);
            if tidy.is_empty() {
                return Err(DataError::BlankLabel);
            }
            // Two labels of one form are told apart as they are written, and only so.
            let same_form = forms.entry(canonical(name)).or_insert(Some(index));
            if *same_form != Some(index) {
                *same_form = None;
            }
            if indices.insert(tidy, index).is_some() {
                return Err(DataError::RepeatedLabel {
                    label: name.clone(),
                });
            }
        }
        let only = |(form, index): (String, Option<usize>)| index.map(|index| (form, index));
        let numbered = (0..)
            .zip(&names)
            .all(|(i, name)| number_of(name) == Some(i));
        Ok(Self {
            canonical: forms.into_iter().filter_map(only).collect(),
            numbered,
            names,
            indices,
        })
    }

    /// All labels of these tables, each in its one form: numbers in the order of their values,
    /// others sorted by their letters.
    ///
    /// # Errors
    /// [`DataError::MissingLabel`] for a row without a label, [`DataError::NoLabels`] where there
    /// are no rows at all.
    pub fn union<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Result<Self, DataError> {
        let mut names = BTreeSet::new();
        for table in tables {
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let labelled = table.rows.iter();
            let labelled = labelled.flat_map(|row| row.label.names().iter().map(move |l| (row, l)));
            for (row, label) in labelled {
                if !seen.insert(label) {
                    continue;
                }
                if is_missing(label) {
                    return Err(DataError::MissingLabel {
                        place: Place {
                            file: table.file.clone(),
                            row: row.row,
                        },
                        word: label.clone(),
                        asked: table.asked,
                    });
                }
                names.insert(canonical(label));
            }
        }
        let mut names: Vec<String> = names.into_iter().collect();
        in_order(&mut names);
        Self::new(names)
    }

    /// The labels in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a label set is never empty")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Where a label is in the order, if it is one of the set: as it is written, or in its one
    /// form (`1.0` is `1`). A label that is a number is that of `LABEL_1`, and the other way round.
    pub fn index_of(&self, label: &str) -> Option<usize> {
        let form = canonical(label);
        self.indices
            .get(&tidy(label))
            .or_else(|| self.canonical.get(&form))
            .copied()
            .or_else(|| {
                let number: usize = form.parse().ok()?;
                (self.numbered && number < self.len() && number.to_string() == form)
                    .then_some(number)
            })
            .or_else(|| {
                let number = number_of(&form)?;
                self.canonical.get(&number.to_string()).copied()
            })
    }

    /// Labels that differ only as typing does, such as `Positive` and `positive`: most likely one
    /// class under several names.
    pub fn look_alikes(&self) -> Vec<Vec<String>> {
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in &self.names {
            alike.entry(folded(name)).or_default().push(name.clone());
        }
        alike
            .into_values()
            .filter(|names| names.len() > 1)
            .collect()
    }

    /// The label of the set that an unknown one looks like.
    pub(super) fn like(&self, label: &str) -> Option<&str> {
        let form = folded(label);
        let names = || self.names.iter().map(String::as_str);
        names().find(|name| folded(name) == form).or_else(|| {
            let names: Vec<&str> = names().collect();
            umbel_proto::settings::nearest(label, &names)
        })
    }
}

/// The number in `LABEL_7`.
fn number_of(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("LABEL_")?;
    let number: usize = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> LabelSet {
        LabelSet::new(names.iter().map(|n| (*n).to_owned()).collect()).expect("a label set")
    }

    #[test]
    fn a_label_is_found_in_any_form_that_tools_give_it() {
        let numbers = set(&["0", "1"]);
        for written in ["1", "1.0", " 1 ", "1.00", "LABEL_1"] {
            assert_eq!(numbers.index_of(written), Some(1), "{written:?}");
        }
        let truths = set(&["false", "true"]);
        assert_eq!(truths.index_of("True"), Some(1));
        assert_eq!(set(&["False", "True"]).index_of("true"), Some(1));
        assert_eq!(set(&["n\u{e9}"]).index_of("ne\u{301}"), Some(0));
        assert_eq!(set(&["1.0", "2.0"]).index_of("2"), Some(1));
        assert_eq!(set(&["neg", "pos"]).index_of("Pos"), None);
        assert_eq!(set(&["neg", "pos"]).index_of("1"), None);
    }

    #[test]
    fn labels_that_are_listed_apart_stay_apart() {
        let codes = set(&["250", "250.0", "250.00"]);
        assert_eq!(codes.index_of("250"), Some(0));
        assert_eq!(codes.index_of("250.0"), Some(1));
        assert_eq!(codes.index_of("250.00"), Some(2));
        assert_eq!(codes.index_of("250.000"), None);
    }

    #[test]
    fn a_models_numbered_labels_are_numbers() {
        let numbered = set(&["LABEL_0", "LABEL_1"]);
        assert_eq!(numbered.index_of("1"), Some(1));
        assert_eq!(numbered.index_of("1.0"), Some(1));
        for other in ["2", "01", "-1", "LABEL_2", "LABEL_01", "1.5"] {
            assert_eq!(numbered.index_of(other), None, "{other}");
        }
        // In any other order a number would be ambiguous.
        assert_eq!(set(&["LABEL_1", "LABEL_0"]).index_of("1"), None);
    }

    #[test]
    fn look_alikes_are_found() {
        let alike = set(&["Positive", "negative", "positive", "1", "01"]).look_alikes();
        assert_eq!(
            alike,
            [vec!["1", "01"], vec!["Positive", "positive"]]
                .map(|v| v.into_iter().map(str::to_owned).collect::<Vec<_>>())
        );
        assert!(set(&["a", "b"]).look_alikes().is_empty());
    }
}
