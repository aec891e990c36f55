//! Squared norms by unit, with what tells whether they can be relied on.
//!
//! A ghost norm Σₜₛ (XXᵀ)ₜₛ (GGᵀ)ₜₛ is a sum whose terms may cancel, and whose factors may
//! overflow or vanish where the gradient itself would not. Its rounding errors are in
//! proportion to the diagonal Σₜ ‖xₜ‖²‖gₜ‖², not to the sum. So the diagonal, and the
//! magnitudes ‖xₜ‖² + ‖gₜ‖², are added up along with it. Where they say that the norm may be
//! wrong, the unit's gradient is multiplied out and measured.

use burn::tensor::Tensor;

/// A ghost norm is relied on while its diagonal is at most this many times the sum. Its
/// relative error is then about 2⁸ · 2⁻²⁰ = 2⁻¹² (2⁻¹³ for the norm): a rounding error of
/// 2⁻²⁴ for each term, and a factor of 16 to spare. Half of the clipping slack is 2⁻¹¹.
const CONDITION: f64 = 256.0;

/// Beyond this sum of ‖xₜ‖² + ‖gₜ‖², what vanishes in one factor of a ghost norm could count
/// once it is multiplied by the other. Squares of numbers below 2⁻⁶³ aren't normal floats, so
/// at most T √p 2⁻⁶³ √10¹⁰ of the norm goes missing: 3e-10 for 512 tokens and p = 3072, and
/// half of the slack of the least clipping norm that a plan may have, 10⁻⁶, is 5e-10.
const MAGNITUDE: f64 = 1e10;

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

/// One unit's squared norm, as it is added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Square {
    /// Σ ‖gradient‖²
    pub(crate) sum: f64,
    /// Of the ghost norms in it, Σₜ ‖xₜ‖²‖gₜ‖².
    pub(crate) diagonal: f64,
    /// And Σₜ ‖xₜ‖² + ‖gₜ‖².
    pub(crate) magnitude: f64,
}

impl Square {
    /// Adds another part of the same unit's gradient.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        self.diagonal += other.diagonal;
        self.magnitude += other.magnitude;
    }

    /// The norm, or `None` where it is no number or may be wrong.
    pub(crate) fn norm(&self) -> Option<f64> {
        let sound = self.sum.is_finite()
            && self.sum >= 0.0
            && self.diagonal <= CONDITION * self.sum
            && self.magnitude <= MAGNITUDE;
        sound.then(|| self.sum.sqrt())
    }
}

/// Sums each unit's part of `[units, n, m]`: `[units, 1]`.
fn total(x: Tensor<3>) -> Tensor<2> {
    let [units, n, m] = x.dims();
    x.reshape([units, n * m]).sum_dim(1)
}
