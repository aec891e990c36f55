//! The lattice step γ: a public power of two.
//!
//! Only powers of two are steps, since dividing a float by one is exact. Then
//! rounding toward zero happens once and really is toward zero, which is what the
//! bound on the norm rests on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clip::{CLIP_SLACK, ClippingNorm};
use crate::dyadic::Dyadic;
use crate::lattice::norm::squared_limit;

/// The distance γ between neighbouring points of the lattice: 2^e, -256 <= e <= 64.
///
/// Serialised as the number itself, e.g. `5.960464477539063e-8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct LatticeStep {
    exponent: i32,
}

/// A number that can't be a lattice step.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} isn't a lattice step; use a power of two from 2^-256 to 2^64")]
pub struct InvalidStep(pub f64);

/// Rounding on the lattice would use up more than half of [`CLIP_SLACK`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "a lattice step of {step} is too coarse for {dimension} coordinates and clipping norm {norm}: \
     step * sqrt(dimension) must be at most norm * 2^-11; use LatticeStep::for_sum"
)]
pub struct StepTooCoarse {
    step: LatticeStep,
    dimension: usize,
    norm: ClippingNorm,
}

const SMALLEST_EXPONENT: i32 = -256;
const LARGEST_EXPONENT: i32 = 64;

impl LatticeStep {
    /// The step of runs without privacy, 2^-32: coordinates up to 2^29.
    pub const UNCLIPPED: Self = Self { exponent: -32 };

    /// The step for vectors clipped to `norm` as a whole: the largest power of two
    /// that is at most C · 2^-24, so a coordinate takes at most 26 bits.
    pub fn for_clipping_norm(norm: ClippingNorm) -> Self {
        // C >= 2^-64 is a normal float, so its exponent is that of its leading bit.
        let leading_bit = (norm.get().to_bits() >> 52) as i32 - 1023;
        Self {
            exponent: leading_bit - 24,
        }
    }

    /// The step for sums of units that were each clipped to C (1 - [`CLIP_SLACK`]):
    /// at most that of [`LatticeStep::for_clipping_norm`], and fine enough for
    /// [`LatticeStep::absorbs_rounding`] with `dimension` coordinates.
    pub fn for_sum(norm: ClippingNorm, dimension: usize) -> Self {
        let mut step = Self::for_clipping_norm(norm);
        // Ends after at most 32 halvings, since a dimension is below 2^64.
        while step.absorbs_rounding(norm, dimension).is_err() {
            step.exponent -= 1;
        }
        step
    }

    /// Checks that γ √dimension <= C · [`CLIP_SLACK`] / 2, exactly: rounding a sum on
    /// the lattice then moves neighbouring sums apart by less than half of the slack
    /// that clipping left (`privacy/proofs/lattice.md`).
    ///
    /// # Errors
    /// [`StepTooCoarse`] if it doesn't hold.
    pub fn absorbs_rounding(
        self,
        norm: ClippingNorm,
        dimension: usize,
    ) -> Result<(), StepTooCoarse> {
        // γ² d <= C² 2^-22  ⟺  d 2^22 <= floor((C/γ)²), the left side being an integer.
        const { assert!(CLIP_SLACK / 2.0 == 1.0 / (1 << 11) as f64) };
        if (dimension as u128) << 22 <= squared_limit(norm, self) {
            Ok(())
        } else {
            Err(StepTooCoarse {
                step: self,
                dimension,
                norm,
            })
        }
    }

    /// γ as a float (exact).
    pub fn get(self) -> f64 {
        power_of_two(self.exponent)
    }

    /// 1/γ as a float (exact).
    pub(crate) fn reciprocal(self) -> f64 {
        power_of_two(-self.exponent)
    }

    /// e, where γ = 2^e.
    pub(crate) fn exponent(self) -> i32 {
        self.exponent
    }
}

/// 2^e for -1022 <= e <= 1023.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

impl TryFrom<f64> for LatticeStep {
    type Error = InvalidStep;

    fn try_from(value: f64) -> Result<Self, InvalidStep> {
        let dyadic = Dyadic::of_positive(value).ok_or(InvalidStep(value))?;
        let exponent = dyadic.exponent + dyadic.mantissa.trailing_zeros() as i32;
        let in_range = (SMALLEST_EXPONENT..=LARGEST_EXPONENT).contains(&exponent);
        if dyadic.mantissa.is_power_of_two() && in_range {
            Ok(Self { exponent })
        } else {
            Err(InvalidStep(value))
        }
    }
}

impl From<LatticeStep> for f64 {
    fn from(step: LatticeStep) -> f64 {
        step.get()
    }
}

impl fmt::Display for LatticeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2^{}", self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_powers_of_two_are_steps() {
        assert_eq!(LatticeStep::try_from(0.25).unwrap().get(), 0.25);
        for value in [
            0.0,
            -0.5,
            0.3,
            3.0,
            f64::NAN,
            f64::INFINITY,
            2f64.powi(-257),
            2f64.powi(65),
        ] {
            assert!(LatticeStep::try_from(value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn the_step_for_a_norm_is_the_largest_power_of_two_below_c_times_two_to_the_minus_24(
            norm in 1e-9f64..1e9,
        ) {
            let c = ClippingNorm::try_from(norm).unwrap();
            let step = LatticeStep::for_clipping_norm(c).get();
            prop_assert!(step * 2f64.powi(24) <= norm);
            prop_assert!(step * 2f64.powi(25) > norm);
        }

        #[test]
        fn the_step_for_a_sum_absorbs_its_rounding(norm in 1e-9f64..1e9, dimension: usize) {
            let c = ClippingNorm::try_from(norm).unwrap();
            let step = LatticeStep::for_sum(c, dimension);
            prop_assert!(step.absorbs_rounding(c, dimension).is_ok());
            let bound = norm * CLIP_SLACK / 2.0;
            prop_assert!(step.get() * (dimension as f64).sqrt() <= bound * (1.0 + 1e-12));
        }
    }

    #[test]
    fn a_step_too_coarse_for_the_dimension_is_refused() {
        let c = ClippingNorm::try_from(1.0).unwrap();
        let step = LatticeStep::for_clipping_norm(c);
        assert!(step.absorbs_rounding(c, 1 << 26).is_ok());
        assert!(step.absorbs_rounding(c, (1 << 26) + 1).is_err());
        assert_eq!(
            LatticeStep::for_sum(c, (1 << 26) + 1).get(),
            step.get() / 2.0
        );
    }
}
