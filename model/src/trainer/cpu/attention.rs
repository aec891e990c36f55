//! Multi-head self-attention (Vaswani et al. 2017, §3.2), one row of tokens and head at a time:
//! the scores of a row and head stay in the cache until they are done with.

use std::ops::Range;

use super::disentangled::{ReadPlaces, Sides};
use super::product::{Matrix, MatrixMut, add_product, multiply};
use super::relative_bias::RelativeBias;
use super::vector::{dot, exponentials, maximum, widely};
use super::workspace::Workspace;

/// The sizes of attention.
#[derive(Clone, Copy)]
pub(super) struct Attention {
    /// Width of the hidden states; queries, keys and values lie side by side, 3 · `hidden`.
    pub(super) hidden: usize,
    /// They divide `hidden`.
    pub(super) heads: usize,
    /// The most places between a token and those that it attends to; `None` for all.
    pub(super) reach: Option<usize>,
    /// How many kinds of scores are added up, which count alike.
    pub(super) kinds: usize,
}

/// What scores have beside products of queries and keys.
#[derive(Clone, Copy)]
pub(super) enum Beside<'a> {
    Nothing,
    Bias(&'a RelativeBias),
    Places(ReadPlaces<'a>),
}

/// A row of L tokens, of which the first M attend to all.
pub(super) struct Span {
    /// Its tokens, as places among all.
    pub(super) tokens: Range<usize>,
    /// Where the M have their context.
    pub(super) outputs: Range<usize>,
}

impl Span {
    /// The M, as places among all tokens.
    fn queries(&self) -> Range<usize> {
        self.tokens.start..self.tokens.start + self.outputs.len()
    }

    /// How many weights a head has for it.
    fn weights(&self) -> usize {
        self.outputs.len() * self.tokens.len()
    }
}

/// The weights that attention gave, after a pass forward.
pub(super) struct Attended {
    /// Softmax of the scores: for each row and head, `[M, L]`.
    weights: Vec<f32>,
    /// Dropout's mask of them, and the two multiplied.
    dropped: Option<(Vec<f32>, Vec<f32>)>,
}

impl Attention {
    fn width(self) -> usize {
        self.hidden / self.heads
    }

    /// 1/√(width of a head), for each kind of scores.
    fn scale(self) -> f32 {
        ((self.kinds * self.width()) as f32).sqrt().recip()
    }

    /// How many weights these rows have.
    pub(super) fn weights(self, spans: &[Span]) -> usize {
        spans.iter().map(Span::weights).sum::<usize>() * self.heads
    }

    /// What each row and head has: the row, the head's first column, and the place of its
    /// weights.
    fn places(self, spans: &[Span]) -> impl Iterator<Item = (&Span, usize, Range<usize>)> {
        let mut start = 0;
        let width = self.width();
        spans.iter().flat_map(move |span| {
            let size = span.weights();
            let first = start;
            start += self.heads * size;
            (0..self.heads).map(move |head| {
                let place = first + head * size;
                (span, head * width, place..place + size)
            })
        })
    }

    /// The part of `[N, 3 · hidden]` that belongs to these tokens' queries (0), keys (1) or
    /// values (2) in the head that begins at `column`.
    fn part<'a>(
        self,
        qkv: &'a [f32],
        tokens: &Range<usize>,
        which: usize,
        column: usize,
    ) -> Matrix<'a> {
        let stride = 3 * self.hidden;
        let start = tokens.start * stride + which * self.hidden + column;
        Matrix::strided(&qkv[start..], tokens.len(), self.width(), stride)
    }

    /// A head's queries and keys in a row.
    fn sides<'a>(self, qkv: &'a [f32], span: &Span, column: usize) -> Sides<'a> {
        Sides {
            queries: self.part(qkv, &span.queries(), 0, column),
            keys: self.part(qkv, &span.tokens, 1, column),
            asked: span.outputs.len(),
            tokens: span.tokens.len(),
            columns: (column, self.width()),
        }
    }

    fn part_mut<'a>(
        self,
        qkv: &'a mut [f32],
        tokens: &Range<usize>,
        which: usize,
        column: usize,
    ) -> MatrixMut<'a> {
        let stride = 3 * self.hidden;
        let start = tokens.start * stride + which * self.hidden + column;
        MatrixMut::strided(&mut qkv[start..], tokens.len(), self.width(), stride)
    }

    /// From queries, keys and values `[N, 3 · hidden]` to the context of all outputs, `[M, hidden]`.
    /// `beside` is added to the scores. `mask` is dropout's, a number for
    /// each weight.
    pub(super) fn forward(
        self,
        qkv: &[f32],
        spans: &[Span],
        beside: Beside<'_>,
        mask: Option<Vec<f32>>,
        context: &mut [f32],
        workspace: &mut Workspace,
    ) -> Attended {
        let mut weights = workspace.take(self.weights(spans));
        let scale = self.scale();
        for (span, column, place) in self.places(spans) {
            // No score needs a mask: rows aren't padded, so a row's scores are of its own tokens.
            let scores = &mut weights[place];
            multiply(
                MatrixMut::new(scores, span.outputs.len(), span.tokens.len()),
                scale,
                self.part(qkv, &span.queries(), 0, column),
                self.part(qkv, &span.tokens, 1, column).transposed(),
            );
            match beside {
                Beside::Nothing => {}
                Beside::Bias(bias) => {
                    bias.add_to(scores, span.tokens.len(), column / self.width());
                }
                Beside::Places(places) => {
                    places.add_to(scores, self.sides(qkv, span, column), scale, workspace);
                }
            }
            if let Some(reach) = self.reach {
                mask_far(scores, span.tokens.len(), reach);
            }
            softmax(scores, span.tokens.len());
        }
        let dropped = mask.map(|mask| {
            let mut product = workspace.take(weights.len());
            for ((product, x), mask) in product.iter_mut().zip(&weights).zip(&mask) {
                *product = x * mask;
            }
            (mask, product)
        });
        let used = dropped.as_ref().map_or(&weights, |(_, product)| product);
        for (span, column, place) in self.places(spans) {
            let start = span.outputs.start * self.hidden + column;
            let (outputs, width) = (span.outputs.len(), self.width());
            multiply(
                MatrixMut::strided(&mut context[start..], outputs, width, self.hidden),
                1.0,
                Matrix::new(&used[place], outputs, span.tokens.len()),
                self.part(qkv, &span.tokens, 2, column),
            );
        }
        Attended { weights, dropped }
    }

    /// From ∂L/∂(context) `[M, hidden]` to ∂L/∂(queries, keys, values) `[N, 3 · hidden]`. Each
    /// row's gradient of a bias is added to `g_beside`, `[R, table]`, or that of the places that its
    /// unit reads, `[places, 3 · hidden]`.
    #[expect(
        clippy::too_many_arguments,
        reason = "what goes in, and two gradients that come out"
    )]
    pub(super) fn backward(
        self,
        qkv: &[f32],
        spans: &[Span],
        attended: &Attended,
        g_context: &[f32],
        g_qkv: &mut [f32],
        (beside, mut g_beside): (Beside<'_>, Option<&mut [f32]>),
        workspace: &mut Workspace,
    ) {
        let largest = spans.iter().map(Span::weights).max().unwrap_or(0);
        let mut g_scores = workspace.take(largest);
        for (index, (span, column, place)) in self.places(spans).enumerate() {
            let (outputs, tokens) = (span.outputs.len(), span.tokens.len());
            let start = span.outputs.start * self.hidden + column;
            let g = Matrix::strided(&g_context[start..], outputs, self.width(), self.hidden);
            let used = match &attended.dropped {
                Some((_, product)) => &product[place.clone()],
                None => &attended.weights[place.clone()],
            };
            let used = Matrix::new(used, outputs, tokens);
            // Written, not added: each row's part of a head is its own, so that `g_qkv` needn't be
            // cleared first, but for what `clear_unasked` sees to.
            let g_values = self.part_mut(g_qkv, &span.tokens, 2, column);
            multiply(g_values, 1.0, used.transposed(), g);
            let scores = &mut g_scores[..outputs * tokens];
            multiply(
                MatrixMut::new(scores, outputs, tokens),
                1.0,
                g,
                self.part(qkv, &span.tokens, 2, column).transposed(),
            );
            if let Some((mask, _)) = &attended.dropped {
                for (x, mask) in scores.iter_mut().zip(&mask[place.clone()]) {
                    *x *= mask;
                }
            }
            softmax_backward(scores, &attended.weights[place], tokens, self.scale());
            if let (Beside::Bias(bias), Some(g_bias)) = (beside, g_beside.as_deref_mut()) {
                // Before the scale, which is the product's alone.
                let (row, head) = (index / self.heads, index % self.heads);
                let g_table = &mut g_bias[row * bias.len()..(row + 1) * bias.len()];
                bias.add_gradient(scores, tokens, head, self.scale().recip(), g_table);
            }
            let scores = Matrix::new(&g_scores, outputs, tokens);
            let keys = self.part(qkv, &span.tokens, 1, column);
            let g_queries = self.part_mut(g_qkv, &span.queries(), 0, column);
            multiply(g_queries, 1.0, scores, keys);
            let queries = self.part(qkv, &span.queries(), 0, column);
            let g_keys = self.part_mut(g_qkv, &span.tokens, 1, column);
            multiply(g_keys, 1.0, scores.transposed(), queries);
            if let (Beside::Places(places), Some(g_places)) = (beside, g_beside.as_deref_mut()) {
                let sides = self.sides(qkv, span, column);
                let add = |which: usize, g: Matrix<'_>, states: Matrix<'_>| {
                    let tokens = match which {
                        0 => span.queries(),
                        _ => span.tokens.clone(),
                    };
                    let to = self.part_mut(g_qkv, &tokens, which, column);
                    add_product(to, 1.0, g, states);
                };
                let g = &g_scores[..outputs * tokens];
                places.add_gradient(g, index / self.heads, sides, add, g_places, workspace);
            }
        }
        self.clear_unasked(spans, g_qkv);
        workspace.give(g_scores);
    }

    /// Queries that nobody asked have a gradient of zero. The buffer may hold an earlier tile's
    /// numbers there, and the sums of biases read all of it.
    fn clear_unasked(self, spans: &[Span], g_qkv: &mut [f32]) {
        for span in spans {
            for token in span.queries().end..span.tokens.end {
                let start = token * 3 * self.hidden;
                g_qkv[start..start + self.hidden].fill(0.0);
            }
        }
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

/// Leaves no weight to tokens more than `reach` places away, of scores `[M, length]` of the first M
/// tokens for all.
fn mask_far(scores: &mut [f32], length: usize, reach: usize) {
    for (query, scores) in scores.chunks_mut(length.max(1)).enumerate() {
        let near = query.saturating_sub(reach)..(query + reach + 1).min(length);
        scores[..near.start].fill(f32::NEG_INFINITY);
        scores[near.end..].fill(f32::NEG_INFINITY);
    }
}

/// Softmax of each row of `[L, length]`.
fn softmax(scores: &mut [f32], length: usize) {
    widely(
        #[inline(always)]
        || {
            for row in scores.chunks_mut(length.max(1)) {
                // Less the largest score, so that no exponential overflows; a NaN stays one.
                let top = maximum(row);
                let share = 1.0 / exponentials(row, top);
                for x in row.iter_mut() {
                    *x *= share;
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
