//! Where a site's rows are, and whether they stay in memory for as long as the site does.

use std::path::PathBuf;
use std::sync::Arc;

use umbel_model::Example;
use umbel_model::data::Table;

/// A site's table.
#[derive(Clone)]
pub enum SiteTable {
    /// A file. It is read when the site opens, and its rows stay in memory as long as the site does.
    File(PathBuf),
    /// Rows that whoever runs this site holds, as a simulation does for all of its sites. They are
    /// tokenised when the site trains.
    Held(Arc<dyn HeldTable>),
}

/// A table that somebody else holds.
pub trait HeldTable: Send + Sync {
    /// The site's rows, as they would be read from a file of its own.
    fn table(&self) -> Table;

    /// Whether these rows, tokenised, may stay with the site until it trains again. If not, they are
    /// made anew then: the same ones, since the same table is tokenised.
    fn stay(&self, rows: &SiteRows) -> bool;
}

/// A site's rows as it trains on them.
#[derive(Debug, Default)]
pub struct SiteRows {
    /// Tokens and target of each row.
    pub(crate) examples: Vec<Example>,
    /// The rows of each unit.
    pub(crate) units: Vec<Vec<usize>>,
}

impl SiteRows {
    /// Bytes that they take in memory, about.
    pub fn bytes(&self) -> usize {
        let units = self.units.iter();
        let units = units.map(|rows| size_of::<Vec<usize>>() + size_of_val(rows.as_slice()));
        let examples = self.examples.iter().map(Example::bytes);
        units.sum::<usize>() + examples.sum::<usize>()
    }
}
