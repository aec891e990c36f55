//! Norms and sums of the gradients of linear layers and layer normalisations, from what a
//! tape kept. Notation: inputs X `[B, T, p]`, output gradients G `[B, T, d]`.
//!
//! With a `grouping` `[units, B]` of ones and zeros, rows of one unit are added up before
//! the norm is taken.

use burn::tensor::Tensor;

/// ‖∂L/∂W‖² + ‖∂L/∂b‖² of each unit, `[units]`.
///
/// For single rows by the smaller of two ways (the mixed ghost norm of Bu et al. 2022):
/// ‖XᵀG‖² = Σₜₛ (XXᵀ)ₜₛ (GGᵀ)ₜₛ, which takes 2T² numbers a row, or XᵀG itself, p·d numbers.
pub(super) fn linear_squares(
    x: Tensor<3>,
    g: Tensor<3>,
    grouping: Option<&Tensor<2>>,
) -> Tensor<1> {
    let [rows, tokens, inputs] = x.dims();
    let outputs = g.dims()[2];
    let bias = unit_squares(g.clone().sum_dim(1).reshape([rows, outputs]), grouping);
    let weight = if tokens == 1 && grouping.is_none() {
        // ‖xᵀg‖ = ‖x‖ ‖g‖ (Goodfellow 2015).
        let square = |v: Tensor<3>| v.powi_scalar(2).sum_dim(2).reshape([rows]);
        square(x) * square(g)
    } else if 2 * tokens * tokens <= inputs * outputs && grouping.is_none() {
        let gram = |v: Tensor<3>| v.clone().matmul(v.swap_dims(1, 2));
        (gram(x) * gram(g)).sum_dim(2).sum_dim(1).reshape([rows])
    } else {
        let each = x.swap_dims(1, 2).matmul(g);
        unit_squares(each.reshape([rows, inputs * outputs]), grouping)
    };
    weight + bias
}

/// ‖∂L/∂γ‖² + ‖∂L/∂β‖² of each unit, `[units]`; `x` is the normalised input.
pub(super) fn norm_squares(x: Tensor<3>, g: Tensor<3>, grouping: Option<&Tensor<2>>) -> Tensor<1> {
    let [rows, _, width] = x.dims();
    let gamma = (x * g.clone()).sum_dim(1).reshape([rows, width]);
    let beta = g.sum_dim(1).reshape([rows, width]);
    unit_squares(gamma, grouping) + unit_squares(beta, grouping)
}

/// Σ over all rows of ∂L/∂W, `[p, d]`, and ∂L/∂b, `[d]`.
pub(super) fn linear_sum(x: Tensor<3>, g: Tensor<3>) -> (Tensor<2>, Tensor<1>) {
    let [rows, tokens, inputs] = x.dims();
    let outputs = g.dims()[2];
    let flat = g.reshape([rows * tokens, outputs]);
    let weight = x
        .reshape([rows * tokens, inputs])
        .transpose()
        .matmul(flat.clone());
    (weight, flat.sum_dim(0).reshape([outputs]))
}

/// Σ over all rows of ∂L/∂γ and ∂L/∂β, `[width]` each; `x` is the normalised input.
pub(super) fn norm_sum(x: Tensor<3>, g: Tensor<3>) -> (Tensor<1>, Tensor<1>) {
    let [rows, tokens, width] = x.dims();
    let sum = |v: Tensor<3>| {
        v.reshape([rows * tokens, width])
            .sum_dim(0)
            .reshape([width])
    };
    (sum(x * g.clone()), sum(g))
}

/// The squared norm of each unit's part of `each`, `[rows, n]`.
fn unit_squares(each: Tensor<2>, grouping: Option<&Tensor<2>>) -> Tensor<1> {
    let each = match grouping {
        Some(grouping) => grouping.clone().matmul(each),
        None => each,
    };
    let units = each.dims()[0];
    each.powi_scalar(2).sum_dim(1).reshape([units])
}
