//! The non-linearity between the feed-forward layers, value and slope in one pass.

use super::vector::{both, exp_of_negative, widely};
use crate::families::Activation;

/// Adds the bias to each row of `x`, `[N, width]`, puts the activation's value in its place and
/// its slope into `slope`.
pub(super) fn activate(kind: Activation, x: &mut [f32], bias: &[f32], slope: &mut [f32]) {
    match kind {
        Activation::Gelu => apply(x, bias, slope, gelu),
        Activation::GeluTanh => apply(x, bias, slope, gelu_tanh),
        Activation::Relu => apply(x, bias, slope, relu),
        Activation::Silu => apply(x, bias, slope, silu),
    }
}

/// The same without the slope, where nobody goes back.
pub(super) fn activate_only(kind: Activation, x: &mut [f32], bias: &[f32]) {
    match kind {
        Activation::Gelu => apply_only(x, bias, gelu),
        Activation::GeluTanh => apply_only(x, bias, gelu_tanh),
        Activation::Relu => apply_only(x, bias, relu),
        Activation::Silu => apply_only(x, bias, silu),
    }
}

#[inline(always)]
fn apply(
    x: &mut [f32],
    bias: &[f32],
    slope: &mut [f32],
    value_and_slope: impl Fn(f32) -> (f32, f32),
) {
    let width = bias.len().max(1);
    widely(
        #[inline(always)]
        || {
            for row in 0..x.len().min(slope.len()) / width {
                let place = row * width..row * width + bias.len();
                let (x, slope) = (&mut x[place.clone()], &mut slope[place]);
                let (x, bias) = both(x, bias);
                let slope = &mut slope[..x.len()];
                for i in 0..x.len() {
                    (x[i], slope[i]) = value_and_slope(x[i] + bias[i]);
                }
            }
        },
    );
}

#[inline(always)]
fn apply_only(x: &mut [f32], bias: &[f32], value_and_slope: impl Fn(f32) -> (f32, f32)) {
    let width = bias.len().max(1);
    widely(
        #[inline(always)]
        || {
            for x in x.chunks_mut(width) {
                let (x, bias) = both(x, bias);
                for i in 0..x.len() {
                    (x[i], _) = value_and_slope(x[i] + bias[i]);
                }
            }
        },
    );
}

/// The first half of each row of `x`, `[N, 2 · width]`, goes through the activation and is multiplied
/// by the second, both with their bias: `out`, `[N, width]`. `slope`, like `x`, has its derivatives by
/// the two halves.
pub(super) fn activate_gated(
    kind: Activation,
    x: &[f32],
    bias: &[f32],
    out: &mut [f32],
    slope: &mut [f32],
) {
    match kind {
        Activation::Gelu => apply_gated(x, bias, out, slope, gelu),
        Activation::GeluTanh => apply_gated(x, bias, out, slope, gelu_tanh),
        Activation::Relu => apply_gated(x, bias, out, slope, relu),
        Activation::Silu => apply_gated(x, bias, out, slope, silu),
    }
}

#[inline(always)]
fn apply_gated(
    x: &[f32],
    bias: &[f32],
    out: &mut [f32],
    slope: &mut [f32],
    value_and_slope: impl Fn(f32) -> (f32, f32),
) {
    let width = (bias.len() / 2).max(1);
    let (bias, gate_bias) = bias.split_at(bias.len() / 2);
    widely(
        #[inline(always)]
        || {
            for row in 0..out.len() / width {
                let place = 2 * row * width..2 * (row + 1) * width;
                let (x, gate) = x[place.clone()].split_at(width);
                let (slope, gate_slope) = slope[place].split_at_mut(width);
                let out = &mut out[row * width..(row + 1) * width];
                for i in 0..width {
                    let (value, derivative) = value_and_slope(x[i] + bias[i]);
                    let gate = gate[i] + gate_bias[i];
                    out[i] = value * gate;
                    slope[i] = derivative * gate;
                    gate_slope[i] = value;
                }
            }
        },
    );
}

/// The way back of [`activate_gated`]: from `g`, `[N, width]`, to `g_x`, `[N, 2 · width]`.
pub(super) fn gate_backward(g: &[f32], slope: &[f32], width: usize, g_x: &mut [f32]) {
    let width = width.max(1);
    widely(
        #[inline(always)]
        || {
            for row in 0..g.len() / width {
                let g = &g[row * width..(row + 1) * width];
                for half in [2 * row, 2 * row + 1] {
                    let place = half * width..(half + 1) * width;
                    let (g_x, slope) = (&mut g_x[place.clone()], &slope[place]);
                    for i in 0..width {
                        g_x[i] = g[i] * slope[i];
                    }
                }
            }
        },
    );
}

/// 1/√(2π)
const INVERSE_SQRT_TAU: f32 = 0.398_942_3;

/// GELU(x) = x Φ(x) (Hendrycks and Gimpel 2016) and its derivative Φ(x) + x φ(x), to 4e-7 of
/// max(1, |x|) and 8e-7.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let e = exp_of_negative(z * z);
    // Half of erfc(z), by Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7 / 2.
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t
        + 0.254_829_6)
        * t;
    let tail = 0.5 * p * e;
    let phi = if x < 0.0 { tail } else { 1.0 - tail };
    (x * phi, phi + x * INVERSE_SQRT_TAU * e)
}

/// GELU's tanh approximation, x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), and its derivative.
#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    const ROOT: f32 = 0.797_884_6;
    const CUBIC: f32 = 0.044_715;
    let inner = ROOT * x * (1.0 + CUBIC * x * x);
    let e = exp_of_negative(2.0 * inner.abs());
    let size = (1.0 - e) / (1.0 + e);
    let tanh = if inner < 0.0 { -size } else { size };
    // 1 - tanh² without the cancellation, and zero before x² can overflow.
    let falling = 4.0 * e / ((1.0 + e) * (1.0 + e));
    let inner_slope = ROOT * (1.0 + 3.0 * CUBIC * (x * x).min(1e6));
    let slope = 0.5 * (1.0 + tanh) + 0.5 * x * falling * inner_slope;
    (0.5 * x * (1.0 + tanh), slope)
}

/// max(x, 0) and its derivative.
#[inline(always)]
fn relu(x: f32) -> (f32, f32) {
    // Times zero, so that NaN stays NaN and its unit is noticed.
    if x > 0.0 { (x, 1.0) } else { (x * 0.0, 0.0) }
}

/// x σ(x) with the logistic function σ (Elfwing et al. 2018), and its derivative σ + x σ (1 - σ).
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    // Of -|x|, so that no exponential overflows.
    let e = exp_of_negative(x.abs());
    let share = 1.0 / (1.0 + e);
    let sigmoid = if x < 0.0 { e * share } else { share };
    // σ (1 - σ) without the cancellation.
    (x * sigmoid, sigmoid + x * (e * share * share))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ and φ in double precision.
    fn exact(x: f64) -> (f64, f64) {
        let phi = 0.5 * libm_erfc(-x / std::f64::consts::SQRT_2);
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        (x * phi, phi + x * density)
    }

    /// erfc by the integral of its density: Simpson's rule, far more exact than f32.
    fn libm_erfc(z: f64) -> f64 {
        let (low, high, steps) = (z, z.max(0.0) + 8.0, 20_000);
        let width = (high - low) / f64::from(steps);
        let weight = |i| match i {
            0 => 1.0,
            i if i == steps => 1.0,
            i if i % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let sum: f64 = (0..=steps)
            .map(|i| {
                let t = low + f64::from(i) * width;
                weight(i) * (-t * t).exp()
            })
            .sum();
        sum * width / 3.0 * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn value_and_slope_are_those_of_the_error_function_to_single_precision() {
        for i in -800..=800 {
            let x = i as f32 / 100.0;
            let (value, slope) = gelu(x);
            let (v, s) = exact(f64::from(x));
            let scale = f64::from(x.abs().max(1.0));
            assert!(
                (f64::from(value) - v).abs() < 4e-7 * scale,
                "value at {x}: {value} {v}"
            );
            assert!(
                (f64::from(slope) - s).abs() < 8e-7 * scale,
                "slope at {x}: {slope} {s}"
            );
        }
    }

    #[test]
    fn values_are_the_same_bits_with_their_slopes_and_without() {
        let x: Vec<f32> = (-50..50).map(|i| i as f32 / 7.0).collect();
        for kind in [
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Relu,
            Activation::Silu,
        ] {
            let (mut with, mut without) = (x.clone(), x.clone());
            activate(kind, &mut with, &[0.25, -1.0], &mut vec![0.0; x.len()]);
            activate_only(kind, &mut without, &[0.25, -1.0]);
            assert_eq!(with, without, "{kind:?}");
        }
    }

    #[test]
    fn far_out_it_is_the_identity_or_zero_and_stays_finite() {
        for x in [30.0_f32, 1e4, 1e18] {
            assert_eq!(gelu(x), (x, 1.0));
            assert!(gelu(-x).0.abs() < 1e-20);
        }
    }
}
