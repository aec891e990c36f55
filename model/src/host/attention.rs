//! Multi-head self-attention (Vaswani et al. 2017, §3.2), one row of tokens and head at a time:
//! the scores of a row and head stay in the cache until they are done with.

use std::ops::Range;

use super::product::{Matrix, MatrixMut, multiply};
use super::vector::{dot, exp_of_negative, maximum, widely};
use super::workspace::Workspace;

/// The sizes of attention.
#[derive(Clone, Copy)]
pub(super) struct Attention {
    /// Width of the hidden states; queries, keys and values lie side by side, 3 · `hidden`.
    pub(super) hidden: usize,
    /// They divide `hidden`.
    pub(super) heads: usize,
}

/// The weights that attention gave, after a pass forward.
pub(super) struct Attended {
    /// Softmax of the scores: for each row of L tokens and head, `[L, L]`.
    weights: Vec<f32>,
    /// Dropout's mask of them, and the two multiplied.
    dropped: Option<(Vec<f32>, Vec<f32>)>,
}

impl Attention {
    fn width(self) -> usize {
        self.hidden / self.heads
    }

    /// 1/√(width of a head).
    fn scale(self) -> f32 {
        (self.width() as f32).sqrt().recip()
    }

    /// How many weights rows of these lengths have.
    pub(super) fn weights(self, rows: &[Range<usize>]) -> usize {
        rows.iter().map(|row| row.len() * row.len()).sum::<usize>() * self.heads
    }

    /// Where each row and head has its numbers: the row's tokens, the head's first column, and
    /// the place of its weights.
    fn places(
        self,
        rows: &[Range<usize>],
    ) -> impl Iterator<Item = (Range<usize>, usize, Range<usize>)> {
        let mut start = 0;
        let width = self.width();
        rows.iter().flat_map(move |row| {
            let size = row.len() * row.len();
            let first = start;
            start += self.heads * size;
            let row = row.clone();
            (0..self.heads).map(move |head| {
                let place = first + head * size;
                (row.clone(), head * width, place..place + size)
            })
        })
    }

    /// The part of `[N, 3 · hidden]` that belongs to a row's queries (0), keys (1) or values (2)
    /// in the head that begins at `column`.
    fn part<'a>(
        self,
        qkv: &'a [f32],
        row: &Range<usize>,
        which: usize,
        column: usize,
    ) -> Matrix<'a> {
        let stride = 3 * self.hidden;
        let start = row.start * stride + which * self.hidden + column;
        Matrix::strided(&qkv[start..], row.len(), self.width(), stride)
    }

    fn part_mut<'a>(
        self,
        qkv: &'a mut [f32],
        row: &Range<usize>,
        which: usize,
        column: usize,
    ) -> MatrixMut<'a> {
        let stride = 3 * self.hidden;
        let start = row.start * stride + which * self.hidden + column;
        MatrixMut::strided(&mut qkv[start..], row.len(), self.width(), stride)
    }

    /// From queries, keys and values `[N, 3 · hidden]` to the context `[N, hidden]`. `mask` is
    /// dropout's, a number for each weight.
    pub(super) fn forward(
        self,
        qkv: &[f32],
        rows: &[Range<usize>],
        mask: Option<Vec<f32>>,
        context: &mut [f32],
        workspace: &mut Workspace,
    ) -> Attended {
        let mut weights = workspace.take(self.weights(rows));
        let scale = self.scale();
        for (row, column, place) in self.places(rows) {
            let scores = &mut weights[place];
            multiply(
                MatrixMut::new(scores, row.len(), row.len()),
                scale,
                self.part(qkv, &row, 0, column),
                self.part(qkv, &row, 1, column).transposed(),
            );
            softmax(scores, row.len());
        }
        let dropped = mask.map(|mask| {
            let mut product = workspace.take(weights.len());
            for ((product, x), mask) in product.iter_mut().zip(&weights).zip(&mask) {
                *product = x * mask;
            }
            (mask, product)
        });
        let used = dropped.as_ref().map_or(&weights, |(_, product)| product);
        for (row, column, place) in self.places(rows) {
            let start = row.start * self.hidden + column;
            multiply(
                MatrixMut::strided(&mut context[start..], row.len(), self.width(), self.hidden),
                1.0,
                Matrix::new(&used[place], row.len(), row.len()),
                self.part(qkv, &row, 2, column),
            );
        }
        Attended { weights, dropped }
    }

    /// From ∂L/∂(context) `[N, hidden]` to ∂L/∂(queries, keys, values) `[N, 3 · hidden]`.
    pub(super) fn backward(
        self,
        qkv: &[f32],
        rows: &[Range<usize>],
        attended: &Attended,
        g_context: &[f32],
        g_qkv: &mut [f32],
        workspace: &mut Workspace,
    ) {
        let longest = rows.iter().map(Range::len).max().unwrap_or(0);
        let mut g_scores = workspace.take(longest * longest);
        for (row, column, place) in self.places(rows) {
            let length = row.len();
            let start = row.start * self.hidden + column;
            let g = Matrix::strided(&g_context[start..], length, self.width(), self.hidden);
            let used = match &attended.dropped {
                Some((_, product)) => &product[place.clone()],
                None => &attended.weights[place.clone()],
            };
            let used = Matrix::new(used, length, length);
            multiply(
                self.part_mut(g_qkv, &row, 2, column),
                1.0,
                used.transposed(),
                g,
            );
            let scores = &mut g_scores[..length * length];
            multiply(
                MatrixMut::new(scores, length, length),
                1.0,
                g,
                self.part(qkv, &row, 2, column).transposed(),
            );
            if let Some((mask, _)) = &attended.dropped {
                for (x, mask) in scores.iter_mut().zip(&mask[place.clone()]) {
                    *x *= mask;
                }
            }
            softmax_backward(scores, &attended.weights[place], length, self.scale());
            let scores = Matrix::new(&g_scores, length, length);
            multiply(
                self.part_mut(g_qkv, &row, 0, column),
                1.0,
                scores,
                self.part(qkv, &row, 1, column),
            );
            multiply(
                self.part_mut(g_qkv, &row, 1, column),
                1.0,
                scores.transposed(),
                self.part(qkv, &row, 0, column),
            );
        }
        workspace.give(g_scores);
    }
}

impl Attended {
    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.weights);
        if let Some((mask, product)) = self.dropped {
            workspace.give(mask);
            workspace.give(product);
        }
    }
}

/// Softmax of each row of `[L, length]`.
fn softmax(scores: &mut [f32], length: usize) {
    widely(
        #[inline(always)]
        || {
            for row in scores.chunks_mut(length.max(1)) {
                let top = maximum(row);
                for x in row.iter_mut() {
                    *x = exp_of_negative(top - *x);
                }
                let total = 1.0 / super::vector::sum(row);
                for x in row.iter_mut() {
                    *x *= total;
                }
            }
        },
    );
}

/// From ∂L/∂(weights) to `scale` · ∂L/∂(scores): p (g - Σ p g) in each row.
fn softmax_backward(g: &mut [f32], weights: &[f32], length: usize, scale: f32) {
    let length = length.max(1);
    widely(
        #[inline(always)]
        || {
            for (g, p) in g.chunks_mut(length).zip(weights.chunks(length)) {
                let along = dot(g, p);
                for (g, p) in g.iter_mut().zip(p) {
                    *g = p * (*g - along) * scale;
                }
            }
        },
    );
}
