//! Where a site's rows are, and whether they stay in memory for as long as the site does.

use std::path::PathBuf;
use std::sync::Arc;

use umbel_model::data::Table;
use umbel_model::{Classifier, Example, KeptStates, TrainingRows};
use umbel_proto::classifier::TrainableSet;

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
    /// What is kept of them from one round to the next.
    states: KeptStates,
    /// Bytes that this may take.
    state_bytes: usize,
}

/// Bytes of states that stay in memory at a site: those of 340,000 rows of 384 numbers.
const STATE_BYTES: usize = 512 << 20;

impl SiteRows {
    /// Rows that this model is trained on.
    pub(crate) fn new(examples: Vec<Example>, units: Vec<Vec<usize>>, model: &Classifier) -> Self {
        let row = KeptStates::bytes_of_row(model.spec().hidden_size);
        let count = match model.options().train {
            TrainableSet::Head => examples.len(),
            _ => 0,
        };
        let state_bytes = count.saturating_mul(row).min(STATE_BYTES);
        Self {
            states: KeptStates::new(count, state_bytes),
            state_bytes,
            examples,
            units,
        }
    }

    /// The rows, to sum gradients of.
    pub(crate) fn training(&self) -> TrainingRows<'_> {
        TrainingRows::keeping(&self.examples, &self.states)
    }

    /// Bytes that they take in memory, about, with what may be kept of them.
    pub fn bytes(&self) -> usize {
        let units = self.units.iter();
        let units = units.map(|rows| size_of::<Vec<usize>>() + size_of_val(rows.as_slice()));
        let examples = self.examples.iter().map(Example::bytes);
        units.sum::<usize>() + examples.sum::<usize>() + self.state_bytes
    }
}
