//! From attention's scores to its weights, row by row, and back.

use super::vector::{dot, exponentials, maximum, widely};

/// Leaves no weight to tokens more than `reach` places away, of scores `[M, length]` of M tokens from the
/// `first` on for all.
pub(super) fn mask_far(scores: &mut [f32], first: usize, length: usize, reach: usize) {
    for (query, scores) in scores.chunks_mut(length.max(1)).enumerate() {
        let query = first + query;
        let near = query.saturating_sub(reach)..(query + reach + 1).min(length);
        scores[..near.start].fill(f32::NEG_INFINITY);
        scores[near.end..].fill(f32::NEG_INFINITY);
    }
}

/// Leaves no weight to tokens behind a query's own, of scores `[M, length]` of M tokens from the `first`
/// on for all.
pub(super) fn mask_later(scores: &mut [f32], first: usize, length: usize) {
    for (query, scores) in scores.chunks_mut(length.max(1)).enumerate() {
        let seen = (first + query + 1).min(length);
        scores[seen..].fill(f32::NEG_INFINITY);
    }
}

/// Softmax of each row of `[L, length]`.
pub(super) fn softmax(scores: &mut [f32], length: usize) {
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
pub(super) fn softmax_backward(g: &mut [f32], weights: &[f32], length: usize, scale: f32) {
    let length = length.max(1);
    widely(
        #[inline(always)]
        || {
            for row in 0..g.len().min(weights.len()) / length {
                let place = row * length..(row + 1) * length;
                let (g, p) = (&mut g[place.clone()], &weights[place]);
                let along = dot(g, p);
                for i in 0..length {
                    g[i] = p[i] * (g[i] - along) * scale;
                }
            }
        },
    );
}
