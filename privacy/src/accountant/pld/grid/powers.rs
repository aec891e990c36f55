//! High powers of transforms, and what rounding makes of them.

use std::f64::consts::PI;

use super::circle::Tilted;
use super::normal::ULP;
use super::sums::norm;

/// ln of a size that is none beside what rounding makes of numbers near one.
const LN_VANISHED: f64 = -200.0;

/// The transform's relative error in the Euclidean norm is at most this times the number of its
/// levels: Higham 2002, Theorem 24.2, has 6.7 units of rounding a level for radix 2.
const TRANSFORM_ERROR: f64 = 8.0 * ULP;

/// φ = E(e^{iu L}) of one loss at one frequency.
pub(super) struct Factor {
    /// ln |φ|, and its angle.
    pub(super) ln: f64,
    pub(super) angle: f64,
    /// A bound on the error of φ but for the transform's.
    pub(super) error: f64,
}

/// The product of factors at one frequency, each as often as it occurs.
#[derive(Clone, Copy, Default)]
pub(super) struct Power {
    ln: f64,
    angle: f64,
    /// ln of the factor by which errors make it larger, at most: Σ n ln(1 + error/|φ|), and rounding of `ln` and `angle`.
    growth: f64,
}

impl Power {
    pub(super) fn multiply(&mut self, factor: &Factor, times: f64, laws: f64) {
        self.ln += times * factor.ln;
        self.angle += times * factor.angle;
        let exponents = times * (factor.ln.abs() + factor.angle.abs());
        self.growth += times * (factor.error * (-factor.ln).exp()).ln_1p()
            + 4.0 * ULP * (3.0 + laws) * exponents;
    }

    pub(super) fn is_near_one(&self) -> bool {
        self.ln.abs() + self.angle.abs() < 0.5
    }

    pub(super) fn value(&self) -> (f64, f64) {
        if self.ln > LN_VANISHED {
            let (sin, cos) = self.angle.sin_cos();
            let size = self.ln.exp();
            (size * cos, size * sin)
        } else {
            (0.0, 0.0)
        }
    }

    /// The same less one, without loss where that is small.
    pub(super) fn less_one(&self) -> (f64, f64) {
        let (sin, cos) = self.angle.sin_cos();
        let half = (self.angle / 2.0).sin();
        let re = self.ln.exp_m1() * cos - 2.0 * half * half;
        (re, self.ln.exp() * sin)
    }

    /// A bound on its error but for that of the factors' transforms.
    pub(super) fn error(&self) -> f64 {
        let error = self.ln.exp() * self.growth.exp_m1();
        // Where a factor is next to nothing.
        if error.is_nan() || self.growth > 1.0 {
            (self.ln + self.growth).exp()
        } else {
            error
        }
    }
}

/// What transforms round, in the Euclidean norm of the sum's masses.
pub(super) struct Rounded {
    /// Σ n d, d being the error of one loss' transform, in the norm of its masses.
    transforms: f64,
    /// The same at the frequency where it is largest, and all else that rounding makes of φ.
    largest: f64,
    pub(super) all_centred: bool,
}

impl Default for Rounded {
    fn default() -> Self {
        Self {
            transforms: 0.0,
            largest: 0.0,
            all_centred: true,
        }
    }
}

impl Rounded {
    /// A loss that occurs `times`.
    pub(super) fn add(&mut self, loss: &Tilted, times: f64) {
        let size = loss.far.len() as f64;
        let transform = TRANSFORM_ERROR * (size.log2() + 3.0) * norm(&loss.far);
        self.transforms += times * transform;
        self.largest += times * (transform * size.sqrt() + loss.error_at(PI));
        self.all_centred &= loss.centred;
    }

    /// A bound on ‖Δy‖, when masses of this norm came out.
    pub(super) fn error(&self, levels: f64, norm: f64) -> f64 {
        // |φ| <= 1 in truth, so that an error d of it adds at most n d (1 + 2 d)^{n-1} to its power.
        let transforms = self.transforms * (2.0 * self.largest).exp();
        // Exponentials are rounded relative to themselves; then the transform back, and the sum of products with the
        // kernel, which is made of blocks.
        let back = (2.0 * TRANSFORM_ERROR * levels + 256.0 * ULP) * norm;
        transforms + back + VANISHED
    }
}

/// What has vanished was left out.
const VANISHED: f64 = 1e-80;
