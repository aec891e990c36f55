//! Whether an integer vector is within its clipping norm, decided on integers.
//!
//! γ‖z‖ <= C ⟺ Σ zᵢ² <= (C/γ)² ⟺ Σ zᵢ² <= floor((C/γ)²), as the left side is an
//! integer. C is a dyadic rational and γ a power of two, so the right side is exact.

use crate::clip::ClippingNorm;
use crate::dyadic::Dyadic;
use crate::lattice::step::LatticeStep;
use crate::lattice::vector::LatticeVector;

/// A vector is longer than its clipping norm allows.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the update's norm is {found} times the lattice step {step}, above the clipping norm {norm}; \
     it must be clipped before it is put on the lattice"
)]
pub struct NormTooLarge {
    /// The norm in lattice steps, rounded for reading; infinite where it overflows.
    pub found: f64,
    /// The lattice step.
    pub step: LatticeStep,
    /// The largest norm allowed.
    pub norm: ClippingNorm,
}

/// floor((C/γ)²), or 2^128 - 1 where it is larger than that: no sum of squares that
/// was formed without overflow is, so that comparing with it stays exact.
pub(crate) fn squared_limit(norm: ClippingNorm, step: LatticeStep) -> u128 {
    // A clipping norm is always positive and finite; a zero limit refuses everything.
    let Some(c) = Dyadic::of_positive(norm.get()) else {
        return 0;
    };
    let mantissa_squared = u128::from(c.mantissa) * u128::from(c.mantissa);
    let shift = 2 * (c.exponent - step.exponent());
    if shift < 0 {
        mantissa_squared
            .checked_shr(shift.unsigned_abs())
            .unwrap_or(0)
    } else if shift.unsigned_abs() <= mantissa_squared.leading_zeros() {
        mantissa_squared << shift
    } else {
        u128::MAX
    }
}

/// Σ zᵢ², exact, of a vector that is looked at a part at a time.
#[derive(Clone, Copy, Debug)]
pub struct SquaredNorm(Option<u128>);

impl Default for SquaredNorm {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl SquaredNorm {
    /// Takes in the next coordinates.
    pub fn add(&mut self, values: &[i64]) {
        self.0 = self.0.and_then(|sum| {
            values.iter().try_fold(sum, |sum, &value| {
                let magnitude = u128::from(value.unsigned_abs());
                sum.checked_add(magnitude * magnitude)
            })
        });
    }

    /// The sum; `None` where it is 2^128 or more.
    pub fn get(self) -> Option<u128> {
        self.0
    }

    /// Checks γ‖z‖ <= C by exact integers. A vector whose sum of squares overflows
    /// 128 bits is refused.
    ///
    /// # Errors
    /// [`NormTooLarge`] if it doesn't hold.
    pub fn check(self, norm: ClippingNorm, step: LatticeStep) -> Result<(), NormTooLarge> {
        match self.0 {
            Some(sum) if sum <= squared_limit(norm, step) => Ok(()),
            _ => {
                let found = self.0.map_or(f64::INFINITY, |sum| (sum as f64).sqrt());
                Err(NormTooLarge { found, step, norm })
            }
        }
    }
}

impl LatticeVector {
    /// Σ zᵢ², exact; `None` where it is 2^128 or more.
    pub fn norm_squared(&self) -> Option<u128> {
        let mut squared = SquaredNorm::default();
        squared.add(self.values());
        squared.get()
    }

    /// [`SquaredNorm::check`] of the whole vector.
    ///
    /// # Errors
    /// [`NormTooLarge`] if it is longer.
    pub fn check_norm(&self, norm: ClippingNorm, step: LatticeStep) -> Result<(), NormTooLarge> {
        let mut squared = SquaredNorm::default();
        squared.add(self.values());
        squared.check(norm, step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(c: f64) -> ClippingNorm {
        ClippingNorm::try_from(c).unwrap()
    }

    #[test]
    fn a_vector_exactly_at_the_norm_passes_and_one_step_more_fails() {
        let step = LatticeStep::try_from(2f64.powi(-30)).unwrap();
        let whole = 1i64 << 30;
        assert!(
            LatticeVector::from_values(vec![whole])
                .check_norm(norm(1.0), step)
                .is_ok()
        );
        // In floats, 2^60 + 1 = 2^60: a comparison of floats would pass this one.
        let longer = LatticeVector::from_values(vec![whole, 1]);
        assert!(longer.check_norm(norm(1.0), step).is_err());
    }

    #[test]
    fn the_limit_is_the_exact_floor_for_norms_that_are_no_power_of_two() {
        // 0.1 as a float is 3602879701896397 · 2^-55; with γ = 2^-30 the quotient's square
        // is that mantissa's square · 2^-50.
        let step = LatticeStep::try_from(2f64.powi(-30)).unwrap();
        let expected = (3_602_879_701_896_397u128 * 3_602_879_701_896_397) >> 50;
        assert_eq!(squared_limit(norm(0.1), step), expected);
    }

    #[test]
    fn extreme_norms_and_steps_saturate_on_the_safe_side() {
        let fine = LatticeStep::try_from(2f64.powi(-256)).unwrap();
        let coarse = LatticeStep::try_from(2f64.powi(64)).unwrap();
        assert_eq!(squared_limit(norm(1e19), fine), u128::MAX);
        assert_eq!(squared_limit(norm(1e-19), coarse), 0);
        let zero = LatticeVector::from_values(vec![0; 3]);
        assert!(zero.check_norm(norm(1e-19), coarse).is_ok());
        let huge = LatticeVector::from_values(vec![i64::MIN; 5]);
        assert_eq!(huge.norm_squared(), None);
        assert!(huge.check_norm(norm(1e19), fine).is_err());
    }
}
