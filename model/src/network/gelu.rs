//! GELU with the exact slope.
//!
//! The tensor library's own has the slope of the tanh approximation on GPUs, off by up to a
//! thousandth, so value and slope are computed here. (Training on the CPU has its own,
//! `trainer/cpu/activation.rs`.)

use burn::tensor::Tensor;

/// 1/√(2π)
const INVERSE_SQRT_TAU: f64 = 0.398_942_280_401_432_7;

/// GELU(x) = x Φ(x), with Φ the standard normal distribution function (Hendrycks and Gimpel
/// 2016).
///
/// Under autodiff the value is written as x s + (GELU(x) - x s), with the slope s =
/// GELU'(x) = Φ(x) + x φ(x) and the bracket constant: the same value, and s as derivative.
pub(super) fn gelu(x: Tensor<3>) -> Tensor<3> {
    if !x.is_autodiff() {
        return burn::tensor::activation::gelu(x);
    }
    let inner = x.clone().inner();
    // Further out φ is 0, and the square could overflow.
    let square = inner.clone().clamp(-20.0, 20.0).powi_scalar(2);
    let density = square.clone().mul_scalar(-0.5).exp() * INVERSE_SQRT_TAU;
    let phi = (inner.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    let slope = phi + inner * density.clone();
    // x Φ(x) - x s
    let rest = (square * density).neg();
    x * slope + rest
}
