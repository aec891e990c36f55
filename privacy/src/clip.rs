//! Clipping: bounding what one unit can contribute.
//!
//! [`clip_factor`] is for gradients that the model clips unit by unit;
//! [`RawUpdate`] → [`ClippedUpdate`] → [`LatticeVector`] is the path of a whole
//! client's update.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lattice::{LatticeError, LatticeStep, LatticeVector};

/// The part of C that is kept back for rounding where units are clipped one by one,
/// summed in floating point, and the sum is put on the lattice: clip each unit to
/// C (1 - `CLIP_SLACK`). Half of it covers the lattice
/// ([`LatticeStep::absorbs_rounding`]), half the floating-point sum
/// (`privacy/proofs/lattice.md`).
pub const CLIP_SLACK: f64 = 1.0 / 1024.0;

/// Covers the rounding of computing a norm in f64 (relative error below 2^-42, see
/// [`sum_of_squares`]) and of scaling by a rounded factor.
const NORM_MARGIN: f64 = 1.0 / (1u64 << 30) as f64;

/// The clipping norm C: the largest Euclidean norm of one unit's contribution, from
/// 2^-64 to 2^64.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct ClippingNorm(f64);

/// A number that can't be a clipping norm.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} isn't a clipping norm; use a finite number from 2^-64 (5.4e-20) to 2^64 (1.8e19)")]
pub struct InvalidClippingNorm(pub f64);

impl ClippingNorm {
    /// C as a float.
    pub fn get(self) -> f64 {
        self.0
    }

    /// C (1 - [`CLIP_SLACK`]): what each unit is clipped to where units are summed in
    /// floating point before the sum is put on the lattice.
    pub fn with_slack(self) -> f64 {
        self.0 * (1.0 - CLIP_SLACK)
    }
}

impl TryFrom<f64> for ClippingNorm {
    type Error = InvalidClippingNorm;

    fn try_from(value: f64) -> Result<Self, InvalidClippingNorm> {
        const LARGEST: f64 = (1u128 << 64) as f64;
        if (1.0 / LARGEST..=LARGEST).contains(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidClippingNorm(value))
        }
    }
}

impl From<ClippingNorm> for f64 {
    fn from(norm: ClippingNorm) -> f64 {
        norm.0
    }
}

impl fmt::Display for ClippingNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// min(1, C/`norm`): what a vector of Euclidean norm `norm` is multiplied by
/// (Abadi et al. 2016, Algorithm 1). Zero for a norm that is NaN, infinite or
/// negative, so such a vector contributes nothing; one for a zero norm.
pub fn clip_factor(norm: f64, clipping_norm: ClippingNorm) -> f64 {
    if !norm.is_finite() || norm < 0.0 {
        0.0
    } else if norm <= clipping_norm.0 {
        1.0
    } else {
        clipping_norm.0 / norm
    }
}

/// An update holds a value that can't be clipped.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ClipError {
    /// NaN or infinity.
    #[error(
        "coordinate {index} of the update is {value}, which isn't finite; \
         training diverged there, lower the learning rate"
    )]
    NotFinite {
        /// Position in the update, from 0.
        index: usize,
        /// The coordinate.
        value: f32,
    },
}

/// An update as training left it; nothing is known about its norm.
#[derive(Clone, Debug, PartialEq)]
pub struct RawUpdate(Vec<f32>);

impl RawUpdate {
    /// Takes the flattened update.
    pub fn new(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// Scales the update to Euclidean norm at most C. An update already within C,
    /// zero among them, is left as it is.
    ///
    /// # Errors
    /// [`ClipError::NotFinite`] if a coordinate is NaN or infinite.
    pub fn clip(self, clipping_norm: ClippingNorm) -> Result<ClippedUpdate, ClipError> {
        let mut values = self.0;
        if let Some((index, &value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(ClipError::NotFinite { index, value });
        }
        let norm = sum_of_squares(&values).sqrt();
        let target = clipping_norm.0 * (1.0 - NORM_MARGIN);
        if norm > target {
            let factor = target / norm;
            for value in &mut values {
                *value = toward_zero(f64::from(*value) * factor);
            }
        }
        Ok(ClippedUpdate {
            values,
            clipping_norm,
        })
    }
}

/// An update whose Euclidean norm is at most its clipping norm.
#[derive(Clone, Debug, PartialEq)]
pub struct ClippedUpdate {
    values: Vec<f32>,
    clipping_norm: ClippingNorm,
}

impl ClippedUpdate {
    /// The clipped coordinates.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The norm that the update was clipped to.
    pub fn clipping_norm(&self) -> ClippingNorm {
        self.clipping_norm
    }

    /// Divides by γ and rounds toward zero, so that the norm stays at most C:
    /// [`LatticeVector::check_norm`] accepts the result.
    ///
    /// # Errors
    /// [`LatticeError::OutOfRange`] if a coordinate is 2^61 steps or more, which
    /// [`LatticeStep::for_clipping_norm`] rules out.
    pub fn quantize(&self, step: LatticeStep) -> Result<LatticeVector, LatticeError> {
        LatticeVector::quantize(&self.values, step)
    }
}

/// Σ vᵢ² of finite values. Squares of f32 are exact in f64 and all terms are
/// positive, so pairwise summation of blocks of 1024 leaves a relative error below
/// (1024 + 64) · 2^-53 < 2^-42.
fn sum_of_squares(values: &[f32]) -> f64 {
    const BLOCK: usize = 1024;
    if values.len() <= BLOCK {
        values
            .iter()
            .map(|&value| f64::from(value) * f64::from(value))
            .sum()
    } else {
        let (left, right) = values.split_at(values.len() / 2);
        sum_of_squares(left) + sum_of_squares(right)
    }
}

/// The f32 nearest to `value` among those that aren't larger in magnitude.
fn toward_zero(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest).abs() > value.abs() {
        // One less in the bits is one float closer to zero, whatever the sign.
        f32::from_bits(nearest.to_bits() - 1)
    } else {
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn norm(c: f64) -> ClippingNorm {
        ClippingNorm::try_from(c).unwrap()
    }

    #[test]
    fn a_clipping_norm_is_finite_and_positive() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 1e300] {
            assert!(ClippingNorm::try_from(value).is_err(), "{value}");
        }
        assert!(serde_json::from_str::<ClippingNorm>("-1.0").is_err());
    }

    #[test]
    fn the_factor_handles_every_kind_of_norm() {
        let c = norm(2.0);
        for (given, expected) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, 1.0),
            (8.0, 0.25),
            (f64::NAN, 0.0),
            (f64::INFINITY, 0.0),
            (-1.0, 0.0),
        ] {
            assert_eq!(clip_factor(given, c), expected, "{given}");
        }
    }

    #[test]
    fn an_update_with_nan_or_infinity_is_refused_with_its_place() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let refused = RawUpdate::new(vec![1.0, bad]).clip(norm(1.0));
            assert!(matches!(
                refused,
                Err(ClipError::NotFinite { index: 1, .. })
            ));
        }
    }

    #[test]
    fn zero_and_short_updates_are_left_as_they_are() {
        for values in [vec![], vec![0.0; 4], vec![0.1, -0.2]] {
            let clipped = RawUpdate::new(values.clone()).clip(norm(1.0)).unwrap();
            assert_eq!(clipped.values(), values);
        }
    }

    #[test]
    fn a_long_update_keeps_its_direction_and_nearly_all_of_the_norm() {
        let clipped = RawUpdate::new(vec![30.0, -40.0]).clip(norm(1.0)).unwrap();
        assert!((f64::from(clipped.values()[0]) - 0.6).abs() < 1e-7);
        assert!((f64::from(clipped.values()[1]) + 0.8).abs() < 1e-7);
    }

    #[test]
    fn the_largest_floats_can_be_clipped() {
        let clipped = RawUpdate::new(vec![f32::MAX; 5000])
            .clip(norm(1e-6))
            .unwrap();
        let step = LatticeStep::for_clipping_norm(norm(1e-6));
        clipped
            .quantize(step)
            .unwrap()
            .check_norm(norm(1e-6), step)
            .unwrap();
        assert!(sum_of_squares(clipped.values()) > 0.9e-12);
    }

    proptest! {
        #[test]
        fn every_clipped_update_passes_the_exact_check_on_the_lattice(
            values in proptest::collection::vec(-1e6f32..1e6, 1..300),
            c in 1e-6f64..1e6,
        ) {
            let step = LatticeStep::for_clipping_norm(norm(c));
            let clipped = RawUpdate::new(values).clip(norm(c)).unwrap();
            prop_assert!(sum_of_squares(clipped.values()).sqrt() <= c);
            let vector = clipped.quantize(step).unwrap();
            prop_assert!(vector.check_norm(norm(c), step).is_ok());
            // Even the finest lattice, where rounding hides nothing.
            let fine = LatticeStep::try_from(2f64.powi(-38)).unwrap();
            if let Ok(vector) = clipped.quantize(fine) {
                prop_assert!(vector.check_norm(norm(c), fine).is_ok());
            }
        }
    }
}
