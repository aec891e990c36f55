//! Rows of token ids, one after the other without padding, and the units they belong to.

use std::ops::Range;

use crate::families::{Disentangled, Positions};
use crate::target::Target;
use crate::tokens::TokenRow;
use crate::trainer::work::Example;

/// What the rows of a matrix stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// A tile's N tokens.
    Tokens,
    /// Its R rows: each one's first token, or what became of it.
    Rows,
    /// The tokens that went into each use of a layer that all depths share: for each unit, its
    /// tokens in the first use, in the second, and so on.
    UsesIn,
    /// What came out of each use, in the same order.
    UsesOut,
    /// The relative places that each unit reads.
    Relative,
    /// Each unit's tokens, and then its relative places.
    TokensAndRelative,
}

/// The rows of a tile: N tokens in R rows of U units. A unit's rows lie together.
pub(super) struct Packed {
    /// `[N]`
    pub(super) ids: Vec<u32>,
    /// Each token's row in the position table, `[N]`.
    pub(super) positions: Vec<u32>,
    /// Each token's row in the segment table, `[N]`.
    pub(super) types: Vec<u32>,
    /// Each row's tokens, as places in `ids`.
    pub(super) rows: Vec<Range<usize>>,
    /// What is right for each row.
    pub(super) targets: Vec<Target>,
    /// Each unit's rows.
    pub(super) units: Vec<Range<usize>>,
    /// Each unit's tokens, as places in `ids`.
    unit_tokens: Vec<Range<usize>>,
    /// Each unit's places in [`Places::UsesIn`] and [`Places::UsesOut`], where there are any.
    uses: [Vec<Range<usize>>; 2],
    /// The same in [`Places::Relative`] and [`Places::TokensAndRelative`].
    relative: [Vec<Range<usize>>; 2],
    /// Which rows of their table each unit's relative places are.
    relative_rows: Vec<Range<usize>>,
}

impl Packed {
    /// Packs `units`, each a list of rows of `examples`.
    pub(super) fn new(examples: &[Example], units: &[&[usize]], positions: Positions) -> Self {
        let mut packed = Self {
            ids: Vec::new(),
            positions: Vec::new(),
            types: Vec::new(),
            rows: Vec::new(),
            targets: Vec::new(),
            units: Vec::new(),
            unit_tokens: Vec::new(),
            uses: [Vec::new(), Vec::new()],
            relative: [Vec::new(), Vec::new()],
            relative_rows: Vec::new(),
        };
        for unit in units {
            let first = packed.rows.len();
            let first_token = packed.ids.len();
            for row in unit.iter() {
                let example = &examples[*row];
                let start = packed.ids.len();
                packed.ids.extend(example.tokens.iter());
                packed.positions.extend(positions.of(&example.tokens));
                packed.types.extend(TokenRow::from(&example.tokens).types());
                packed.rows.push(start..packed.ids.len());
                packed.targets.push(example.target.clone());
            }
            packed.units.push(first..packed.rows.len());
            packed.unit_tokens.push(first_token..packed.ids.len());
        }
        packed
    }

    /// The same for a layer that is used at so many depths, of which the last hands on `outputs`.
    pub(super) fn with_uses(mut self, depths: usize, outputs: Places) -> Self {
        let before = depths.saturating_sub(1);
        self.uses = [Places::Tokens, outputs].map(|last| {
            let mut start = 0;
            let units = self.unit_tokens.iter().zip(self.units_in(last));
            let place = |(tokens, last): (&Range<usize>, &Range<usize>)| {
                let first = start;
                start += before * tokens.len() + last.len();
                first..start
            };
            units.map(place).collect()
        });
        self
    }

    /// The same for attention that reads relative places: those that a unit's longest row does.
    pub(super) fn with_relative(mut self, shape: Disentangled) -> Self {
        let (mut alone, mut together) = (0, 0);
        for (unit, tokens) in self.units.iter().zip(&self.unit_tokens) {
            let longest = self.rows[unit.clone()].iter().map(Range::len).max();
            let rows = shape.rows(longest.unwrap_or(0));
            let [first, both] = [alone, together];
            alone += rows.len();
            together += tokens.len() + rows.len();
            self.relative[0].push(first..alone);
            self.relative[1].push(both..together);
            self.relative_rows.push(rows);
        }
        self
    }

    /// Which rows of their table each unit's relative places are.
    pub(super) fn relative_rows(&self) -> &[Range<usize>] {
        &self.relative_rows
    }

    /// Where the relative places of a row's unit begin, and which rows of their table they are.
    pub(super) fn relative_of_row(&self, row: usize) -> (usize, &Range<usize>) {
        // Units lie in the order of their rows, some of them without any.
        let unit = self.units.partition_point(|unit| unit.end <= row);
        (self.relative[0][unit].start, &self.relative_rows[unit])
    }

    /// Tokens of the longest row.
    pub(super) fn longest(&self) -> usize {
        self.rows.iter().map(Range::len).max().unwrap_or(0)
    }

    /// N or R, or as many in all uses.
    pub(super) fn count(&self, places: Places) -> usize {
        match places {
            Places::Tokens => self.ids.len(),
            Places::Rows => self.rows.len(),
            _ => self.units_in(places).last().map_or(0, |unit| unit.end),
        }
    }

    /// Each unit's places.
    pub(super) fn units_in(&self, places: Places) -> &[Range<usize>] {
        match places {
            Places::Tokens => &self.unit_tokens,
            Places::Rows => &self.units,
            Places::UsesIn => &self.uses[0],
            Places::UsesOut => &self.uses[1],
            Places::Relative => &self.relative[0],
            Places::TokensAndRelative => &self.relative[1],
        }
    }
}
