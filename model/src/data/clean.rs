//! Cleaning: white space made regular, empty and duplicate rows dropped.
//!
//! What one row may change must stay one row, or the guarantee for a record would be
//! weaker than it says. Of rows that agree in text, label and group one is kept, so adding
//! a row adds one row to the result or none. Rows that agree in text but not in label are
//! all kept: dropping them would let one row take another one with it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;

use super::row_label::RowLabel;
use super::table::{Row, Table};
use super::wording::thousands;

/// What cleaning did. Counts of private rows: they stay at the site, in its own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleaningReport {
    /// The file.
    pub file: PathBuf,
    /// Rows before.
    pub read: usize,
    /// Rows dropped for a text, or one of two, of nothing but white space.
    pub empty: usize,
    /// Rows dropped because an earlier one has the same texts, label and group.
    pub duplicate: usize,
    /// Kept rows whose white space was changed.
    pub respaced: usize,
    /// Texts among the kept rows that have more than one label.
    pub contradicting: usize,
    /// Rows after.
    pub kept: usize,
}

impl fmt::Display for CleaningReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cleaned {}: {} rows read, {} empty and {} duplicate ones dropped, white space changed \
             in {}, {} kept",
            self.file.display(),
            thousands(self.read),
            thousands(self.empty),
            thousands(self.duplicate),
            thousands(self.respaced),
            thousands(self.kept),
        )?;
        if self.contradicting > 0 {
            write!(
                f,
                " ({} texts have more than one label)",
                thousands(self.contradicting)
            )?;
        }
        Ok(())
    }
}

/// Cleans a table: each run of white space becomes one blank and the ends are trimmed (in text
/// and label, not in the group: an id stays as it is written), empty texts go, and so do
/// repetitions.
pub fn clean(table: Table) -> (Table, CleaningReport) {
    let mut report = CleaningReport {
        file: table.file.clone(),
        read: table.rows.len(),
        empty: 0,
        duplicate: 0,
        respaced: 0,
        contradicting: 0,
        kept: 0,
    };
    let mut seen = HashSet::with_capacity(table.rows.len());
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in table.rows {
        let regular = regular(&row);
        if regular.text.is_empty() || regular.second.as_deref() == Some("") {
            report.empty += 1;
        } else if !seen.insert((
            regular.text.clone(),
            regular.second.clone(),
            regular.label.clone(),
            regular.group.clone(),
            regular.client.clone(),
        )) {
            report.duplicate += 1;
        } else {
            report.respaced += usize::from(regular != row);
            rows.push(regular);
        }
    }
    report.contradicting = contradicting(&rows);
    report.kept = rows.len();
    let table = Table {
        rows,
        cleaned: true,
        ..table
    };
    (table, report)
}

fn regular(row: &Row) -> Row {
    Row {
        text: single_spaced(&row.text),
        second: row.second.as_deref().map(single_spaced),
        label: row.label.map(single_spaced),
        group: row.group.clone(),
        client: row.client.clone(),
        row: row.row,
    }
}

fn single_spaced(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !result.is_empty() {
            result.push(' ');
        }
        result.push_str(word);
    }
    result
}

fn contradicting(rows: &[Row]) -> usize {
    let mut labels: HashMap<(&str, Option<&str>), HashSet<&RowLabel>> =
        HashMap::with_capacity(rows.len());
    for row in rows {
        let texts = (row.text.as_str(), row.second.as_deref());
        labels.entry(texts).or_default().insert(&row.label);
    }
    labels.values().filter(|labels| labels.len() > 1).count()
}
