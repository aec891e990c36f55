//! A label that isn't one of the model's: what was found, and what it most likely is.

use std::fmt;

use super::asked::{Asked, Setting};
use super::error::Place;
use super::id_folding::is_invisible;
use super::label_form::is_missing;
use super::labels::LabelSet;
use super::wording::{list, quoted};

/// A label that the label set doesn't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLabel {
    /// Where, the first of them.
    pub place: Place,
    /// The label found.
    pub label: String,
    /// The label set.
    pub labels: Vec<String>,
    /// The table's labels, where none of them is in the set; otherwise none.
    pub strangers: Vec<String>,
    /// The label of the set that it looks like.
    pub like: Option<String>,
    /// What stands between labels in it, if it is several of the set.
    pub separator: Option<&'static str>,
    /// Who asked.
    pub asked: Asked,
}

impl std::error::Error for UnknownLabel {}

/// Labels that a message lists.
const LISTED: usize = 10;

impl UnknownLabel {
    /// The first label of a table that isn't in the set. `strangers` are all labels of the table if
    /// none is.
    pub(super) fn new(
        place: Place,
        label: &str,
        set: &LabelSet,
        strangers: Vec<String>,
        asked: Asked,
    ) -> Self {
        Self {
            place,
            label: label.to_owned(),
            labels: set.names().to_vec(),
            like: set.like(label).map(str::to_owned),
            strangers,
            separator: None,
            asked,
        }
    }

    fn remedy(&self) -> &'static str {
        match self.asked {
            Asked::Configuration => "correct it, or list it under data.labels",
            Asked::Evaluate | Asked::Predict => {
                "correct it, or name the column of the labels with --label"
            }
        }
    }

    /// Whether the table's labels are numbers and the set's are words.
    fn are_numbers(&self) -> bool {
        let number = |label: &String| label.parse::<f64>().is_ok();
        self.strangers.iter().all(number) && !self.labels.iter().any(number)
    }
}

impl fmt::Display for UnknownLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, label, .. } = self;
        let labels = list(&self.labels, LISTED);
        if is_missing(label) {
            let word = quoted(label);
            return write!(
                f,
                "{place}: the label is missing, {word} stands there; fill it in, or delete the row"
            );
        }
        if let Some(separator) = self.separator {
            return write!(
                f,
                "{place}: label {} seems to be several; say that {separator:?} stands between them {}",
                quoted(label),
                self.asked.by(Setting::LabelSeparator)
            );
        }
        if self.strangers.len() > 1 {
            let found = list(&self.strangers, LISTED);
            write!(
                f,
                "{place}: label {} isn't one of {labels}, and neither is any other label of the \
                 table ({found}); ",
                quoted(label)
            )?;
            return match self.are_numbers() {
                true => f.write_str(
                    "write the names in place of the numbers, or name the column that has them",
                ),
                false => f.write_str("is it the right column? Otherwise rename the labels"),
            };
        }
        write!(
            f,
            "{place}: label {} isn't one of {labels}; ",
            quoted(label)
        )?;
        if let Some(character) = label.chars().find(|c| is_invisible(*c)) {
            let code = u32::from(character);
            return write!(
                f,
                "it holds an invisible character, U+{code:04X}: take that out"
            );
        }
        match &self.like {
            Some(like) => write!(
                f,
                "did you mean {}? {}",
                quoted(like),
                capital(self.remedy())
            ),
            None => f.write_str(self.remedy()),
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(label: &str, names: &[&str], strangers: &[&str], asked: Asked) -> String {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let set = LabelSet::new(owned(names)).expect("a label set");
        let place = Place {
            file: "visits.csv".into(),
            row: 1204,
        };
        UnknownLabel::new(place, label, &set, owned(strangers), asked).to_string()
    }

    #[test]
    fn an_unknown_label_says_what_where_and_what_to_do() {
        assert_eq!(
            unknown(
                "neutral",
                &["negative", "positive"],
                &[],
                Asked::Configuration
            ),
            "row 1,204 of visits.csv: label \"neutral\" isn't one of negative, positive; correct \
             it, or list it under data.labels"
        );
        assert_eq!(
            unknown("postive", &["negative", "positive"], &[], Asked::Evaluate),
            "row 1,204 of visits.csv: label \"postive\" isn't one of negative, positive; did you \
             mean \"positive\"? Correct it, or name the column of the labels with --label"
        );
    }

    #[test]
    fn a_word_for_nothing_and_an_invisible_character_are_named() {
        let nothing = unknown("nan", &["a", "b"], &[], Asked::Configuration);
        assert!(
            nothing.contains("the label is missing, \"nan\""),
            "{nothing}"
        );
        let invisible = unknown("po\u{200b}s", &["neg", "pos"], &[], Asked::Configuration);
        assert!(
            invisible.contains("invisible character, U+200B"),
            "{invisible}"
        );
    }

    #[test]
    fn a_table_that_shares_no_label_is_told_so() {
        let numbers = unknown("1", &["neg", "pos"], &["1", "0"], Asked::Configuration);
        assert_eq!(
            numbers,
            "row 1,204 of visits.csv: label \"1\" isn't one of neg, pos, and neither is any other \
             label of the table (1, 0); write the names in place of the numbers, or name the \
             column that has them"
        );
    }

    #[test]
    fn long_lists_and_long_labels_are_cut() {
        let names: Vec<String> = (0..77).map(|i| format!("intent_{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = unknown(&"x".repeat(5000), &names, &[], Asked::Configuration);
        assert!(message.contains("intent_9 and 67 more"), "{message}");
        assert!(message.len() < 400, "{message}");
    }
}
