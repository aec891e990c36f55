//! Attention's bias by how far apart two tokens are, and its gradient.

use crate::families::relative::{BUCKETS, bucket};

/// One table for all layers: a number for each bucket of distances and each head.
pub(super) struct RelativeBias {
    heads: usize,
    /// `[buckets, heads]`
    table: Vec<f32>,
    /// Where the table is among the trained parameters, if it is trained.
    pub(super) offset: Option<usize>,
}

impl RelativeBias {
    /// From a table `[buckets, heads]`.
    pub(super) fn new(table: Vec<f32>, offset: Option<usize>) -> Self {
        Self {
            heads: table.len() / BUCKETS,
            table,
            offset,
        }
    }

    /// Numbers in the table.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Adds a head's numbers to its scores, `[M, tokens]`, of M tokens from the `first` on for all.
    pub(super) fn add_to(&self, scores: &mut [f32], first: usize, tokens: usize, head: usize) {
        for (query, scores) in scores.chunks_mut(tokens.max(1)).enumerate() {
            for (key, score) in scores.iter_mut().enumerate() {
                *score += self.table[bucket(first + query, key) * self.heads + head];
            }
        }
    }

    /// Adds `factor` times a head's part of the table's gradient, from `g` = ∂L/∂(scores),
    /// `[M, tokens]`, of M tokens from the `first` on.
    pub(super) fn add_gradient(
        &self,
        g: &[f32],
        (first, tokens): (usize, usize),
        head: usize,
        factor: f32,
        g_table: &mut [f32],
    ) {
        for (query, g) in g.chunks(tokens.max(1)).enumerate() {
            for (key, g) in g.iter().enumerate() {
                g_table[bucket(first + query, key) * self.heads + head] += factor * g;
            }
        }
    }
}
