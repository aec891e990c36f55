//! Whether the ids in a group column tell people apart.
//!
//! The guarantee for groups is one for people only if each person has one id. Where many share
//! one because they have none, it is a guarantee for nobody in particular; where one person has
//! several, it is weaker than it says. Neither can be mended here without guessing, so both are
//! refused.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::error::{DataError, Place};
use super::id_folding::folded;
use super::id_wording::{IdSpelling, RowNumbers};
use super::no_id::{is_missing, is_rounded};

/// The column that says whom a row is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupColumn {
    /// Its name.
    pub name: String,
    /// Texts in it that are ids just as they are written, though they read like a missing value
    /// or like another id.
    pub real_ids: Vec<String>,
}

/// The rows of each text in the column, in the order in which they first appear.
struct Texts<'a> {
    rows: HashMap<&'a str, RowNumbers>,
    order: Vec<&'a str>,
}

impl GroupColumn {
    fn is_real(&self, text: &str) -> bool {
        self.real_ids.iter().any(|real| real == text)
    }

    /// Checks all ids of a table: each with its row.
    ///
    /// # Errors
    /// [`DataError::MissingGroup`], [`DataError::RoundedGroup`] or [`DataError::GroupSpellings`],
    /// naming the rows.
    pub fn check<'a>(
        &self,
        ids: impl Iterator<Item = (Option<&'a str>, usize)>,
        file: &Path,
    ) -> Result<(), DataError> {
        let mut texts = Texts {
            rows: HashMap::new(),
            order: Vec::new(),
        };
        let mut blank = RowNumbers::default();
        for (id, row) in ids {
            let Some(text) = id else {
                blank.add(row);
                continue;
            };
            texts.rows.entry(text).or_insert_with(|| {
                texts.order.push(text);
                RowNumbers::default()
            });
            if let Some(rows) = texts.rows.get_mut(text) {
                rows.add(row);
            }
        }
        self.check_missing(&texts, blank, file)?;
        self.check_rounded(&texts, file)?;
        self.check_spellings(&texts, file)
    }

    fn check_missing(
        &self,
        texts: &Texts<'_>,
        mut rows: RowNumbers,
        file: &Path,
    ) -> Result<(), DataError> {
        let mut words = Vec::new();
        for &text in &texts.order {
            if !self.is_real(text) && is_missing(text) {
                rows.append(&texts.rows[text]);
                words.push(text.to_owned());
            }
        }
        if rows.count() == 0 {
            return Ok(());
        }
        Err(DataError::MissingGroup {
            file: file.to_owned(),
            column: self.name.clone(),
            rows,
            words,
        })
    }

    fn check_rounded(&self, texts: &Texts<'_>, file: &Path) -> Result<(), DataError> {
        let rounded = |text: &&&str| !self.is_real(text) && is_rounded(text);
        let Some(text) = texts.order.iter().find(rounded) else {
            return Ok(());
        };
        Err(DataError::RoundedGroup {
            place: Place {
                file: file.to_owned(),
                row: texts.rows[*text].first(),
            },
            column: self.name.clone(),
            id: (*text).to_owned(),
        })
    }

    fn check_spellings(&self, texts: &Texts<'_>, file: &Path) -> Result<(), DataError> {
        let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for &text in &texts.order {
            alike.entry(folded(text)).or_default().push(text);
        }
        let mut ids: Vec<Vec<IdSpelling>> = alike
            .into_values()
            .filter(|texts| texts.len() > 1 && !texts.iter().all(|text| self.is_real(text)))
            .map(|spellings| {
                let spelling = |text: &str| IdSpelling {
                    text: text.to_owned(),
                    rows: texts.rows[text].clone(),
                };
                spellings.into_iter().map(spelling).collect()
            })
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        ids.sort_by_key(|spellings| spellings.first().map(|spelling| spelling.rows.first()));
        Err(DataError::GroupSpellings {
            file: file.to_owned(),
            column: self.name.clone(),
            ids,
        })
    }
}
