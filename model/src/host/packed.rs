//! Rows of token ids, one after the other without padding, and the units they belong to.

use std::ops::Range;

use crate::gradient::Example;

/// The rows of a tile: N tokens in R rows of U units. A unit's rows lie together.
pub(super) struct Packed {
    /// `[N]`
    pub(super) ids: Vec<u32>,
    /// Each row's tokens, as places in `ids`.
    pub(super) rows: Vec<Range<usize>>,
    /// Each row's label.
    pub(super) labels: Vec<usize>,
    /// Each unit's rows.
    pub(super) units: Vec<Range<usize>>,
}

impl Packed {
    /// Packs `units`, each a list of rows of `examples`.
    pub(super) fn new(examples: &[Example], units: &[&[usize]]) -> Self {
        let mut packed = Self {
            ids: Vec::new(),
            rows: Vec::new(),
            labels: Vec::new(),
            units: Vec::new(),
        };
        for unit in units {
            let first = packed.rows.len();
            for row in unit.iter() {
                let example = &examples[*row];
                let start = packed.ids.len();
                packed.ids.extend(&example.tokens);
                packed.rows.push(start..packed.ids.len());
                packed.labels.push(example.label);
            }
            packed.units.push(first..packed.rows.len());
        }
        packed
    }

    /// N.
    pub(super) fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Each unit's tokens, as places in `ids`.
    pub(super) fn unit_tokens(&self) -> Vec<Range<usize>> {
        let tokens = |unit: &Range<usize>| {
            let rows = &self.rows[unit.clone()];
            let start = rows.first().map_or(0, |row| row.start);
            start..rows.last().map_or(start, |row| row.end)
        };
        self.units.iter().map(tokens).collect()
    }
}
