//! The parts of a layer's gradient, one a trained tensor: norms by unit, and sums over rows.
//! Notation: inputs X `[B, T, p]`, output gradients G `[B, T, d]`.

use burn::tensor::{Tensor, TensorData};

use super::runs::Runs;
use super::squares::Squares;

/// The gradient of one trained tensor, not yet multiplied out.
pub(super) enum Term {
    /// A matrix: Σ XᵀG over rows and tokens.
    Product {
        /// The tensor's name.
        tensor: String,
        /// X, `[B, T, p]`
        x: Tensor<3>,
        /// G, `[B, T, d]`
        g: Tensor<3>,
    },
    /// A bias: Σ G.
    Sum {
        /// The tensor's name.
        tensor: String,
        /// G, `[B, T, d]`
        g: Tensor<3>,
    },
    /// The scale of a layer normalisation: Σ X̂ ⊙ G.
    Scaled {
        /// The tensor's name.
        tensor: String,
        /// X̂, the normalised input, `[B, T, d]`
        x: Tensor<3>,
        /// G, `[B, T, d]`
        g: Tensor<3>,
    },
    /// The embedding tables: rows of G, added up by token id on the host.
    Tables {
        /// G, `[B, T, d]`
        g: Tensor<3>,
    },
}

/// ‖XᵀG‖² of each unit.
///
/// By the smaller of two ways (the mixed ghost norm of Bu et al. 2022), chosen for this layer
/// and these rows: Σₜₛ (XXᵀ)ₜₛ (GGᵀ)ₜₛ, which takes 2T² numbers a unit, or XᵀG itself, p·d
/// numbers. Rows of one unit count as one row of as many more tokens.
pub(super) fn product_squares(x: &Tensor<3>, g: &Tensor<3>, runs: &Runs) -> Squares {
    runs.map(|run| {
        let (x, g) = (run.units_of(x), run.units_of(g));
        let [_, tokens, inputs] = x.dims();
        let outputs = g.dims()[2];
        // Units of T tokens with p inputs and d outputs each.
        if 2 * tokens * tokens <= inputs * outputs {
            Squares::by_ghost_norm(x, g)
        } else {
            Squares::of(x.swap_dims(1, 2).matmul(g))
        }
    })
}

/// ‖Σ G‖² of each unit.
pub(super) fn sum_squares(g: &Tensor<3>, runs: &Runs) -> Squares {
    runs.map(|run| Squares::of(run.units_of(g).sum_dim(1)))
}

/// ‖Σ X̂ ⊙ G‖² of each unit.
pub(super) fn scaled_squares(x: &Tensor<3>, g: &Tensor<3>, runs: &Runs) -> Squares {
    let product = x.clone() * g.clone();
    sum_squares(&product, runs)
}

/// Σ XᵀG over all rows and tokens, `[p, d]`.
pub(super) fn product_sum(x: Tensor<3>, g: Tensor<3>) -> TensorData {
    let [rows, tokens, inputs] = x.dims();
    let outputs = g.dims()[2];
    x.reshape([rows * tokens, inputs])
        .transpose()
        .matmul(g.reshape([rows * tokens, outputs]))
        .into_data()
}

/// Σ G over all rows and tokens, `[d]`.
pub(super) fn sum(g: Tensor<3>) -> TensorData {
    let [rows, tokens, width] = g.dims();
    g.reshape([rows * tokens, width]).sum_dim(0).into_data()
}
