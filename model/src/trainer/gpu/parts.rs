//! The parts of a batch's gradient, one a trained tensor: their norms by unit,
//! and their scaled sums. Notation: inputs X `[B, T, p]`, output gradients G `[B, T, d]`.
//!
//! What is measured is what is added. A part is multiplied out once, unit by unit, or not at
//! all: then its sum is one product over all units, and its ghost norm is relied on only where
//! no cancellation makes the two differ (see [`super::squares`]).

use burn::tensor::{Device, Tensor, TensorData};

use super::shape::Shape;
use super::squares::Squares;

/// One tensor's gradient.
pub(super) struct Part {
    /// The tensor's name.
    pub(super) tensor: String,
    gradient: Gradient,
}

#[allow(
    clippy::large_enum_variant,
    reason = "handles of tensors, of which a batch has a few dozen"
)]
enum Gradient {
    /// Of each unit, `[units, n]`.
    Each(Tensor<2>),
    /// XᵀG of each unit, not multiplied out: X `[units, T, p]` and G `[units, T, d]`.
    Product { x: Tensor<3>, g: Tensor<3> },
}

impl Part {
    /// A matrix: XᵀG.
    ///
    /// By the smaller of two ways (the mixed ghost norm of Bu et al. 2022), chosen for this
    /// layer and these rows: Σₜₛ (XXᵀ)ₜₛ (GGᵀ)ₜₛ, which takes 2T² numbers a unit, or XᵀG itself,
    /// p·d numbers. Rows of one unit count as one row of as many more tokens.
    pub(super) fn product(tensor: String, x: &Tensor<3>, g: &Tensor<3>, shape: Shape) -> Self {
        let (x, g) = (shape.units_of(x), shape.units_of(g));
        let [units, tokens, inputs] = x.dims();
        let outputs = g.dims()[2];
        let gradient = if 2 * tokens * tokens <= inputs * outputs {
            Gradient::Product { x, g }
        } else {
            let each = x.swap_dims(1, 2).matmul(g);
            Gradient::Each(each.reshape([units, inputs * outputs]))
        };
        Self { tensor, gradient }
    }

    /// A bias: Σ G.
    pub(super) fn sum(tensor: String, g: &Tensor<3>, shape: Shape) -> Self {
        let g = shape.units_of(g);
        let [units, _, width] = g.dims();
        let each = g.sum_dim(1).reshape([units, width]);
        let gradient = Gradient::Each(each);
        Self { tensor, gradient }
    }

    /// Its squared norms by unit.
    pub(super) fn squares(&self) -> Squares {
        match &self.gradient {
            Gradient::Each(each) => Squares::of(each.clone()),
            Gradient::Product { x, g } => Squares::by_ghost_norm(x.clone(), g.clone()),
        }
    }

    /// The numbers that a unit's gradient is made of.
    pub(super) fn ingredients(&self, unit: usize) -> Vec<f32> {
        let of = |x: &Tensor<3>| {
            let [_, tokens, width] = x.dims();
            let own = x.clone().slice([unit..unit + 1, 0..tokens, 0..width]);
            own.into_data().iter::<f32>().collect::<Vec<_>>()
        };
        match &self.gradient {
            Gradient::Each(each) => of(&each.clone().unsqueeze_dim(1)),
            Gradient::Product { x, g } => [of(x), of(g)].concat(),
        }
    }

    /// Σ factor · gradient over the units.
    pub(super) fn scaled_sum(&self, factors: &Factors) -> TensorData {
        match &self.gradient {
            Gradient::Each(each) => factors.row.clone().matmul(each.clone()).into_data(),
            Gradient::Product { x, g } => {
                let [units, tokens, inputs] = x.dims();
                let outputs = g.dims()[2];
                let g = match &factors.scale {
                    Some(scale) => g.clone() * scale.clone(),
                    None => g.clone(),
                };
                let g = g.reshape([units * tokens, outputs]);
                let x = x.clone().reshape([units * tokens, inputs]);
                x.transpose().matmul(g).into_data()
            }
        }
    }
}

/// The units' factors, on the device.
pub(super) struct Factors {
    /// `[1, units]`
    row: Tensor<2>,
    /// `[units, 1, 1]`, unless all are 1.
    scale: Option<Tensor<3>>,
}

impl Factors {
    /// Puts factors on the device.
    pub(super) fn new(factors: &[f64], device: &Device) -> Self {
        let values: Vec<f32> = factors.iter().map(|factor| *factor as f32).collect();
        let row = Tensor::from_data(TensorData::new(values, [1, factors.len()]), device);
        let scale = || row.clone().reshape([factors.len(), 1, 1]);
        let all_one = factors.iter().all(|factor| *factor == 1.0);
        Self {
            scale: (!all_one).then(scale),
            row,
        }
    }
}
