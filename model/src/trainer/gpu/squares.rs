//! Squared norms of all units of a micro-batch, on the device.

use burn::tensor::Tensor;

use crate::trainer::square::Square;

/// Squared norms by unit, `[units, 3]`: Σ ‖gradient‖², and of the ghost norms in it the
/// diagonal Σₜ ‖xₜ‖²‖gₜ‖² and the magnitudes Σₜ ‖xₜ‖² + ‖gₜ‖².
pub(super) struct Squares(Tensor<2>);

impl Squares {
    /// ‖·‖² of each unit's gradient, `[units, n]`.
    pub(super) fn of(gradient: Tensor<2>) -> Self {
        let norm = gradient.powi_scalar(2).sum_dim(1);
        let none = Tensor::zeros([norm.dims()[0], 2], &norm.device());
        Self(Tensor::cat(vec![norm, none], 1))
    }

    /// ‖XᵀG‖² of each unit, from its X `[units, T, p]` and G `[units, T, d]`, without XᵀG.
    pub(super) fn by_ghost_norm(x: Tensor<3>, g: Tensor<3>) -> Self {
        let [_, tokens, _] = x.dims();
        let gram = |v: Tensor<3>| v.clone().matmul(v.swap_dims(1, 2));
        let (x, g) = (gram(x), gram(g));
        let product = x.clone() * g.clone();
        let eye = Tensor::<2>::eye(tokens, &product.device()).unsqueeze::<3>();
        let diagonal = total(product.clone() * eye.clone());
        let magnitude = total((x + g) * eye);
        Self(Tensor::cat(vec![total(product), diagonal, magnitude], 1))
    }

    /// The same units' squares over more tensors.
    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Each unit's norm, where it can be relied on. `more`, one number a unit, is added to
    /// the squares.
    pub(super) fn norms(squares: Option<Self>, more: &[f64]) -> Vec<Option<f64>> {
        let Some(Self(squares)) = squares else {
            let alone = |sum: &f64| {
                Square {
                    sum: *sum,
                    ..Square::default()
                }
                .norm()
            };
            return more.iter().map(alone).collect();
        };
        let values: Vec<f64> = squares.into_data().iter::<f64>().collect();
        let units = values.as_chunks::<3>().0.iter().zip(more);
        units
            .map(|([sum, diagonal, magnitude], more)| {
                let square = Square {
                    sum: sum + more,
                    diagonal: *diagonal,
                    magnitude: *magnitude,
                };
                square.norm()
            })
            .collect()
    }
}

/// Sums each unit's part of `[units, n, m]`: `[units, 1]`.
fn total(x: Tensor<3>) -> Tensor<2> {
    let [units, n, m] = x.dims();
    x.reshape([units, n * m]).sum_dim(1)
}
