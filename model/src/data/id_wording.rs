//! How messages speak of ids and of the rows that hold them.

use std::fmt;

use tokenizers::NormalizedString;

use super::id_folding::is_invisible;
use super::wording::{quoted, thousands};

/// Some rows of a file, of which messages name the first few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowNumbers {
    rows: Vec<usize>,
}

impl RowNumbers {
    pub(super) fn add(&mut self, row: usize) {
        self.rows.push(row);
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.rows.extend(&other.rows);
        self.rows.sort_unstable();
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The first one; 0 where there is none.
    pub fn first(&self) -> usize {
        self.rows.first().copied().unwrap_or_default()
    }
}

impl fmt::Display for RowNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 5;
        let named: Vec<String> = self
            .rows
            .iter()
            .take(MOST)
            .copied()
            .map(thousands)
            .collect();
        let left = self.rows.len().saturating_sub(MOST);
        let several = if self.rows.len() == 1 { "row" } else { "rows" };
        match (left, named.split_last()) {
            (0, Some((last, [_, ..]))) => {
                let others = &named[..named.len() - 1];
                write!(f, "{several} {} and {last}", others.join(", "))
            }
            (0, _) => write!(f, "{several} {}", named.join(", ")),
            (left, _) => {
                write!(
                    f,
                    "{several} {} and {} more",
                    named.join(", "),
                    thousands(left)
                )
            }
        }
    }
}

/// One way in which an id is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdSpelling {
    /// The id as it is written.
    pub text: String,
    /// Where.
    pub rows: RowNumbers,
}

/// What stands where ids should be.
pub(super) fn no_ids(words: &[String]) -> String {
    if words.is_empty() {
        return "is blank there".into();
    }
    let quoted: Vec<String> = words.iter().take(5).map(|word| quoted(word)).collect();
    let more = words.len().saturating_sub(quoted.len());
    let more = match more {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("is {}{more} there, which is nobody's id", quoted.join(", "))
}

pub(super) fn if_real(words: &[String]) -> &'static str {
    if words.is_empty() {
        ""
    } else {
        ". (If somebody's id really reads like this, list it under data.real_ids.)"
    }
}

/// A few ids, each in a few of its spellings.
pub(super) fn spellings(ids: &[Vec<IdSpelling>]) -> String {
    const MOST: usize = 4;
    let one = |spellings: &Vec<IdSpelling>| {
        let shown = spellings.iter().take(MOST).map(|spelling| {
            let text = told_apart(&spelling.text, spellings);
            format!("{text} ({})", spelling.rows)
        });
        let shown: Vec<String> = shown.collect();
        shown.join(" and ")
    };
    let mut text = ids
        .iter()
        .take(MOST)
        .map(one)
        .collect::<Vec<_>>()
        .join("; ");
    if let Some(left) = ids.len().checked_sub(MOST).filter(|left| *left > 0) {
        text.push_str(&format!("; and {} ids more", thousands(left)));
    }
    text
}

/// A spelling in quotes; in escapes where it would look like another one.
fn told_apart(text: &str, all: &[IdSpelling]) -> String {
    let looks_alike =
        |other: &IdSpelling| other.text != text && appearance(&other.text) == appearance(text);
    if all.iter().any(looks_alike) {
        let escaped: String = text
            .chars()
            .take(80)
            .flat_map(char::escape_default)
            .collect();
        return format!("\"{escaped}\"");
    }
    quoted(text)
}

/// How a text looks on paper, roughly.
fn appearance(text: &str) -> String {
    let mut composed = NormalizedString::from(text);
    composed.nfkc();
    composed
        .get()
        .chars()
        .filter(|c| !is_invisible(*c))
        .collect()
}
