//! Attention's pass back.

use super::{Attended, Attention, Beside, Dropped};
use crate::trainer::cpu::block::{Block, Span};
use crate::trainer::cpu::product::{Matrix, MatrixMut, add_product, multiply};
use crate::trainer::cpu::softmax::softmax_backward;
use crate::trainer::cpu::workspace::Workspace;

impl Attention {
    /// From ∂L/∂(context) `[M, hidden]` to ∂L/∂(queries, keys, values) `[N, stride]`. Each
    /// row's gradient of a bias is added to `g_beside`, `[R, table]`, or that of the places that its
    /// unit reads, `[places, 3 · hidden]`.
    #[expect(
        clippy::too_many_arguments,
        reason = "what goes in, and two gradients that come out"
    )]
    pub(in super::super) fn backward(
        self,
        qkv: &[f32],
        spans: &[Span],
        attended: &Attended,
        g_context: &[f32],
        g_qkv: &mut [f32],
        (beside, mut g_beside): (Beside<'_>, Option<&mut [f32]>),
        workspace: &mut Workspace,
    ) {
        let mut again = self.passing(spans, attended.kept, workspace);
        let largest = self.blocks(spans, attended.kept).map(|b| b.weights());
        let mut g_scores = workspace.take(largest.max().unwrap_or(0));
        for block in self.blocks(spans, attended.kept) {
            let weights = match &block.kept {
                Some(place) => &attended.weights[place.clone()],
                None => {
                    let again = &mut again[..block.weights()];
                    self.weigh(qkv, beside, &block, again, workspace);
                    &*again
                }
            };
            let dropped = attended.dropped.as_ref().zip(block.kept.clone());
            let dropped =
                dropped.map(|((mask, product), place)| (&mask[place.clone()], &product[place]));
            let g_scores = &mut g_scores[..block.weights()];
            self.values_back(qkv, &block, (weights, dropped), g_context, g_qkv, g_scores);
            softmax_backward(g_scores, weights, block.span.tokens.len(), self.scale());
            if let (Beside::Bias(bias), Some(g_bias)) = (beside, g_beside.as_deref_mut()) {
                let (tokens, first) = (block.span.tokens.len(), block.queries.start);
                let g_table = &mut g_bias[block.row * bias.len()..(block.row + 1) * bias.len()];
                // Before the scale, which is the product's alone.
                let factor = self.scale().recip();
                bias.add_gradient(g_scores, (first, tokens), block.head, factor, g_table);
            }
            self.scores_back(qkv, &block, g_scores, g_qkv);
            if let (Beside::Places(places), Some(g_places)) = (beside, g_beside.as_deref_mut()) {
                let add = |which: usize, g: Matrix<'_>, states: Matrix<'_>| {
                    let tokens = match which {
                        0 => block.query_tokens(),
                        _ => block.span.tokens.clone(),
                    };
                    let to = self.part_mut(g_qkv, &tokens, which, block.head);
                    add_product(to, 1.0, g, states);
                };
                let sides = self.sides(qkv, &block);
                places.add_gradient(g_scores, block.row, sides, add, g_places, workspace);
            }
        }
        self.clear_unasked(spans, g_qkv);
        workspace.give(g_scores);
        workspace.give(again);
    }

    /// From a block's part of ∂L/∂(context) to that of ∂L/∂(values), and to ∂L/∂(its weights).
    fn values_back(
        self,
        qkv: &[f32],
        block: &Block<'_>,
        (weights, dropped): (&[f32], Dropped<'_>),
        g_context: &[f32],
        g_qkv: &mut [f32],
        g_weights: &mut [f32],
    ) {
        let (queries, tokens) = (block.queries.len(), &block.span.tokens);
        let start = self.context_start(block);
        let g = Matrix::strided(&g_context[start..], queries, self.width(), self.hidden);
        let used = dropped.map_or(weights, |(_, product)| product);
        let used = Matrix::new(used, queries, tokens.len()).transposed();
        self.put(g_qkv, block, 2, used, g);
        multiply(
            MatrixMut::new(g_weights, queries, tokens.len()),
            1.0,
            g,
            self.part(qkv, tokens, 2, block.head).transposed(),
        );
        if let Some((mask, _)) = dropped {
            for (x, mask) in g_weights.iter_mut().zip(mask) {
                *x *= mask;
            }
        }
    }

    /// From ∂L/∂(a block's scores), with the scale, to its parts of ∂L/∂(queries) and ∂L/∂(keys).
    fn scores_back(self, qkv: &[f32], block: &Block<'_>, g_scores: &[f32], g_qkv: &mut [f32]) {
        let (tokens, queries) = (&block.span.tokens, block.query_tokens());
        let g_scores = Matrix::new(g_scores, queries.len(), tokens.len());
        let keys = self.part(qkv, tokens, 1, block.head);
        let g_queries = self.part_mut(g_qkv, &queries, 0, block.head);
        multiply(g_queries, 1.0, g_scores, keys);
        let queries = self.part(qkv, &queries, 0, block.head);
        self.put(g_qkv, block, 1, g_scores.transposed(), queries);
    }

    /// A block's product a b for all of its row's keys (1) or values (2): written by the first of
    /// those that read them, so that `g_qkv` needn't be cleared, and added by the others.
    fn put(self, g_qkv: &mut [f32], block: &Block<'_>, which: usize, a: Matrix<'_>, b: Matrix<'_>) {
        let to = self.part_mut(g_qkv, &block.span.tokens, which, block.head);
        if block.is_first() && block.head.is_multiple_of(self.group()) {
            multiply(to, 1.0, a, b);
        } else {
            add_product(to, 1.0, a, b);
        }
    }

    /// Queries that nobody asked have a gradient of zero. The buffer may hold an earlier tile's
    /// numbers there, and the sums of biases read all of it.
    fn clear_unasked(self, spans: &[Span], g_qkv: &mut [f32]) {
        for span in spans {
            for token in span.tokens.start + span.outputs.len()..span.tokens.end {
                let start = token * self.stride();
                g_qkv[start..start + self.hidden].fill(0.0);
            }
        }
    }
}
