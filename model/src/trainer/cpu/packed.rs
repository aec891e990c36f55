//! Rows of token ids, one after the other without padding, and the units they belong to.

use std::ops::Range;

use crate::families::Positions;
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

    /// N or R, or as many in all uses.
    pub(super) fn count(&self, places: Places) -> usize {
        match places {
            Places::Tokens => self.ids.len(),
            Places::Rows => self.rows.len(),
            Places::UsesIn | Places::UsesOut => {
                self.units_in(places).last().map_or(0, |unit| unit.end)
            }
        }
    }

    /// Each unit's places.
    pub(super) fn units_in(&self, places: Places) -> &[Range<usize>] {
        match places {
            Places::Tokens => &self.unit_tokens,
            Places::Rows => &self.units,
            Places::UsesIn => &self.uses[0],
            Places::UsesOut => &self.uses[1],
        }
    }
}
