//! Scores of content against relative places, and their gradients (He et al. 2021, §3.1).
//!
//! All units read one table of states, through the same queries' and keys' layers as their tokens.
//! So a unit's gradient of those layers is over its tokens and, as more rows, over the places that it
//! read: their inputs are the table's normalised rows, and ∂L/∂(output) is the unit's own. With these
//! rows behind the tokens' the product XᵀG has both, and their cross terms. The table's own gradient
//! is kept for each unit, over all layers, as a vector's is.

use std::ops::Range;

use super::layer::{NormRecord, add_to_rows};
use super::linear::LinearRecord;
use super::norm_first::{norm_back, normalised};
use super::norms::HostNorm;
use super::packed::{Packed, Places};
use super::product::{Matrix, MatrixMut, add_product, multiply};
use super::sums::VectorTaps;
use super::weights::HostLayer;
use super::workspace::Workspace;
use crate::families::Disentangled;

/// The table, as the network has it.
pub(super) struct RelativeStates {
    pub(super) shape: Disentangled,
    /// `[rows, hidden]`
    pub(super) table: Vec<f32>,
    /// Where it is among the trained parameters, if it is trained.
    pub(super) offset: Option<usize>,
    pub(super) norm: HostNorm,
}

/// The rows that a tile reads, normalised.
pub(super) struct NearStates {
    /// Which rows of the table they are.
    rows: Range<usize>,
    /// The tile's longest row has so many tokens.
    longest: usize,
    /// The row, less the first, by the query's place less the key's, from the farthest behind on.
    by_distance: Vec<usize>,
    hidden: usize,
    /// `[rows, hidden]`
    pub(super) states: Vec<f32>,
    record: NormRecord,
}

/// What a layer makes of them.
pub(super) struct ProjectedPlaces {
    /// Queries and keys, and values that nobody reads: `[rows, 3 · hidden]`.
    values: Vec<f32>,
    pub(super) record: LinearRecord,
}

impl RelativeStates {
    /// Whether anything of it is trained.
    pub(super) fn is_trained(&self) -> bool {
        self.offset.is_some() || self.norm.is_trained()
    }

    /// Those that a tile reads.
    pub(super) fn near(&self, packed: &Packed, workspace: &mut Workspace) -> NearStates {
        let longest = packed.longest();
        let rows = self.shape.rows(longest);
        let hidden = self.norm.gamma.len();
        let mut own = workspace.take(rows.len() * hidden);
        own.copy_from_slice(&self.table[rows.start * hidden..rows.end * hidden]);
        let (states, record) = normalised(&self.norm, own, rows.len(), workspace);
        let distances = (0..2 * longest).skip(1).map(|ahead| {
            let (query, key) = (ahead.saturating_sub(longest), longest.saturating_sub(ahead));
            self.shape.row(query, key) - rows.start
        });
        NearStates {
            by_distance: distances.collect(),
            rows,
            longest,
            hidden,
            states,
            record,
        }
    }

    /// From each unit's gradient of the states that it read, to those of the table and of its
    /// normalisation.
    pub(super) fn backward(
        &self,
        near: &NearStates,
        mut g: Vec<f32>,
        packed: &Packed,
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) {
        let record = NormRecord {
            normalised: near.of_units(&near.record.normalised, near.hidden, packed, workspace),
            inverse: near.of_units(&near.record.inverse, 1, packed, workspace),
        };
        let units = packed.units_in(Places::Relative);
        norm_back(&self.norm, &record, &mut g, units, vectors);
        record.give(workspace);
        if let Some(offset) = self.offset {
            let mut each = vec![0.0; packed.units.len() * self.table.len()];
            let tables = each.chunks_mut(self.table.len().max(1));
            for ((table, unit), rows) in tables.zip(units).zip(packed.relative_rows()) {
                let own = &g[unit.start * near.hidden..unit.end * near.hidden];
                table[rows.start * near.hidden..rows.end * near.hidden].copy_from_slice(own);
            }
            vectors.add_units(offset, each, self.table.len());
        }
        workspace.give(g);
    }
}

impl NearStates {
    /// A layer's queries and keys of them.
    pub(super) fn projected(
        &self,
        layer: &HostLayer,
        workspace: &mut Workspace,
    ) -> ProjectedPlaces {
        let (mut values, record) = layer.qkv.forward(&self.states, self.rows.len(), workspace);
        add_to_rows(&mut values, &layer.qkv.bias);
        ProjectedPlaces { values, record }
    }

    /// Of numbers for each row, `[rows, width]`, those that each unit reads, unit by unit.
    pub(super) fn of_units(
        &self,
        numbers: &[f32],
        width: usize,
        packed: &Packed,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        let mut out = workspace.take(packed.count(Places::Relative) * width);
        let units = packed.units_in(Places::Relative).iter();
        for (unit, rows) in units.zip(packed.relative_rows()) {
            let from = (rows.start - self.rows.start) * width;
            let own = &numbers[from..from + unit.len() * width];
            out[unit.start * width..unit.end * width].copy_from_slice(own);
        }
        out
    }

    /// Which row a query and a key have, less the first.
    fn row(&self, query: usize, key: usize) -> usize {
        self.by_distance[self.longest - 1 + query - key]
    }

    /// The rows, less the first, that a text of so many tokens reads.
    fn own(&self, tokens: usize) -> Range<usize> {
        self.row(0, tokens - 1)..self.row(tokens - 1, 0) + 1
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.states);
        self.record.give(workspace);
    }
}

impl ProjectedPlaces {
    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.values);
        self.record.give(workspace);
    }
}

/// What attention reads of a layer's places.
#[derive(Clone, Copy)]
pub(super) struct ReadPlaces<'a> {
    pub(super) near: &'a NearStates,
    pub(super) projected: &'a ProjectedPlaces,
    pub(super) packed: &'a Packed,
}

/// A head's queries and keys, of M and L tokens.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) queries: Matrix<'a>,
    pub(super) keys: Matrix<'a>,
    pub(super) asked: usize,
    pub(super) tokens: usize,
    /// Where the head begins, and how wide it is.
    pub(super) columns: (usize, usize),
}

impl ReadPlaces<'_> {
    /// A head's queries (0) or keys (1) of these rows.
    fn side(
        &self,
        rows: &Range<usize>,
        which: usize,
        (column, width): (usize, usize),
    ) -> Matrix<'_> {
        let hidden = self.near.hidden;
        let start = rows.start * 3 * hidden + which * hidden + column;
        Matrix::strided(
            &self.projected.values[start..],
            rows.len(),
            width,
            3 * hidden,
        )
    }

    /// Adds to a head's scores, `[M, L]`: queries against places' keys, and keys against places'
    /// queries.
    pub(super) fn add_to(
        &self,
        scores: &mut [f32],
        sides: Sides<'_>,
        scale: f32,
        workspace: &mut Workspace,
    ) {
        let Sides {
            queries,
            keys,
            asked,
            tokens,
            columns,
        } = sides;
        let own = self.near.own(tokens);
        let count = own.len();
        let mut forth = workspace.take(asked * count);
        let places = self.side(&own, 1, columns).transposed();
        multiply(
            MatrixMut::new(&mut forth, asked, count),
            scale,
            queries,
            places,
        );
        let mut back = workspace.take(tokens * count);
        let places = self.side(&own, 0, columns).transposed();
        multiply(
            MatrixMut::new(&mut back, tokens, count),
            scale,
            keys,
            places,
        );
        for (query, scores) in scores.chunks_mut(tokens.max(1)).enumerate() {
            for (key, score) in scores.iter_mut().enumerate() {
                let row = self.near.row(query, key) - own.start;
                *score += forth[query * count + row] + back[key * count + row];
            }
        }
        workspace.give(forth);
        workspace.give(back);
    }

    /// The way back, from scale · ∂L/∂(scores) of a head of the row at `index`: adds to its queries'
    /// and keys' gradients by `add`, which is given what to add and whether it is the keys', and to
    /// those of its unit's places, `g_places`, `[places, 3 · hidden]`.
    pub(super) fn add_gradient(
        &self,
        g: &[f32],
        index: usize,
        sides: Sides<'_>,
        mut add: impl FnMut(usize, Matrix<'_>, Matrix<'_>),
        g_places: &mut [f32],
        workspace: &mut Workspace,
    ) {
        let Sides {
            queries,
            keys,
            asked,
            tokens,
            columns,
        } = sides;
        let own = self.near.own(tokens);
        let count = own.len();
        let mut forth = workspace.zeros(asked * count);
        let mut back = workspace.zeros(tokens * count);
        for (query, g) in g.chunks(tokens.max(1)).enumerate() {
            for (key, g) in g.iter().enumerate() {
                let row = self.near.row(query, key) - own.start;
                forth[query * count + row] += g;
                back[key * count + row] += g;
            }
        }
        let g_forth = Matrix::new(&forth, asked, count);
        let g_back = Matrix::new(&back, tokens, count);
        add(0, g_forth, self.side(&own, 1, columns));
        add(1, g_back, self.side(&own, 0, columns));
        let (hidden, (column, width)) = (self.near.hidden, columns);
        let (start, rows) = self.packed.relative_of_row(index);
        let first = start + own.start + self.near.rows.start - rows.start;
        for (which, g, content) in [(1, g_forth, queries), (0, g_back, keys)] {
            let start = first * 3 * hidden + which * hidden + column;
            let to = MatrixMut::strided(&mut g_places[start..], count, width, 3 * hidden);
            add_product(to, 1.0, g.transposed(), content);
        }
        workspace.give(forth);
        workspace.give(back);
    }
}
