//! Integer vectors on the lattice.

use crate::lattice::LatticeError;
use crate::lattice::step::LatticeStep;

/// A vector of integers, each a multiple of some [`LatticeStep`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LatticeVector {
    values: Vec<i64>,
}

/// Coordinates below 2^61, so that a handful of vectors can always be added.
const RANGE: f64 = (1u64 << 61) as f64;

impl LatticeVector {
    /// Takes integers as they are.
    pub fn from_values(values: Vec<i64>) -> Self {
        Self { values }
    }

    /// A vector of `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self {
            values: vec![0; len],
        }
    }

    /// Divides each of `values` (f32 or f64) by `step` and rounds toward zero; both
    /// are exact, so no coordinate grows.
    ///
    /// # Errors
    /// [`LatticeError::NotFinite`] for NaN and infinities, [`LatticeError::OutOfRange`]
    /// for magnitudes of 2^61 steps or more.
    pub fn quantize<T: Copy + Into<f64>>(
        values: &[T],
        step: LatticeStep,
    ) -> Result<Self, LatticeError> {
        let per_step = step.reciprocal();
        // All at once: a list that is collected out of results grows as it goes.
        let mut quantized = Vec::with_capacity(values.len());
        for (index, &value) in values.iter().enumerate() {
            let value: f64 = value.into();
            // A power of two scales exactly, unless the result is so small that it is
            // rounded to zero either way, or so large that it is refused below.
            let scaled = value * per_step;
            if !value.is_finite() {
                return Err(LatticeError::NotFinite { index, value });
            }
            if scaled.abs() >= RANGE {
                return Err(LatticeError::OutOfRange { index, value, step });
            }
            quantized.push(scaled as i64);
        }
        Ok(Self { values: quantized })
    }

    /// Adds `other` to this vector, coordinate by coordinate; on an error this vector
    /// is left as it was.
    ///
    /// # Errors
    /// [`LatticeError::LengthMismatch`], or [`LatticeError::SumOverflow`] where a
    /// coordinate leaves the range of 64-bit integers.
    pub fn checked_add_assign(&mut self, other: &Self) -> Result<(), LatticeError> {
        if self.len() != other.len() {
            return Err(LatticeError::LengthMismatch {
                own: self.len(),
                other: other.len(),
            });
        }
        self.checked_add_at(0, &other.values)
    }

    /// Adds `values` to the coordinates from `at` on; on an error this vector is left as it was.
    ///
    /// # Errors
    /// [`LatticeError::LengthMismatch`] where they reach beyond the end, or
    /// [`LatticeError::SumOverflow`].
    pub fn checked_add_at(&mut self, at: usize, values: &[i64]) -> Result<(), LatticeError> {
        let own = self.len();
        let end = at.saturating_add(values.len());
        let Some(part) = self.values.get_mut(at..end) else {
            return Err(LatticeError::LengthMismatch { own, other: end });
        };
        let overflows = |(own, added): (&i64, &i64)| own.checked_add(*added).is_none();
        if let Some(index) = part.iter().zip(values).position(overflows) {
            return Err(LatticeError::SumOverflow { index: at + index });
        }
        for (own, &added) in part.iter_mut().zip(values) {
            // Never wraps: checked above.
            *own = own.wrapping_add(added);
        }
        Ok(())
    }

    /// Number of coordinates.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no coordinates.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The coordinates in lattice steps.
    pub fn values(&self) -> &[i64] {
        &self.values
    }

    /// The coordinates in lattice steps, for writing.
    pub(crate) fn values_mut(&mut self) -> &mut [i64] {
        &mut self.values
    }

    /// Gives the integers back.
    pub fn into_values(self) -> Vec<i64> {
        self.values
    }

    /// [`Self::to_f64`] in the vector's own memory.
    pub fn into_f64(self, step: LatticeStep) -> Vec<f64> {
        let step = step.get();
        // Both take eight bytes, so that the list is reused as it is.
        let values = self.values.into_iter();
        values.map(|value| value as f64 * step).collect()
    }

    /// The coordinates times `step`. Exact where they are below 2^53 steps, otherwise
    /// rounded to the nearest float.
    pub fn to_f64(&self, step: LatticeStep) -> Vec<f64> {
        let step = step.get();
        self.values
            .iter()
            .map(|&value| value as f64 * step)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step() -> LatticeStep {
        LatticeStep::try_from(0.25).unwrap()
    }

    #[test]
    fn rounding_is_toward_zero_on_both_sides() {
        let vector = LatticeVector::quantize(&[0.99, -0.99, 0.24, -0.24, 0.25, -0.25], step());
        assert_eq!(vector.unwrap().values(), [3, -3, 0, 0, 1, -1]);
    }

    #[test]
    fn values_that_are_not_finite_or_too_large_are_refused_with_their_place() {
        let place = |values: &[f64]| match LatticeVector::quantize(values, step()) {
            Err(LatticeError::NotFinite { index, .. }) => ("not finite", index),
            Err(LatticeError::OutOfRange { index, .. }) => ("out of range", index),
            other => panic!("{other:?}"),
        };
        assert_eq!(place(&[0.0, f64::NAN]), ("not finite", 1));
        assert_eq!(place(&[f64::NEG_INFINITY]), ("not finite", 0));
        assert_eq!(place(&[1.0, 1.0, 2f64.powi(59)]), ("out of range", 2));
        assert_eq!(place(&[f64::MAX]), ("out of range", 0));
        assert!(LatticeVector::quantize(&[2f64.powi(59) - 1024.0], step()).is_ok());
    }

    #[test]
    fn a_failed_addition_changes_nothing() {
        let mut sum = LatticeVector::from_values(vec![1, i64::MAX]);
        let before = sum.clone();
        let added = LatticeVector::from_values(vec![1, 1]);
        assert_eq!(
            sum.checked_add_assign(&added),
            Err(LatticeError::SumOverflow { index: 1 })
        );
        assert_eq!(sum, before);
        let longer = LatticeVector::zeros(3);
        assert!(matches!(
            sum.checked_add_assign(&longer),
            Err(LatticeError::LengthMismatch { own: 2, other: 3 })
        ));
    }

    proptest! {
        #[test]
        fn no_coordinate_grows_and_none_moves_a_whole_step(value in -1e9f64..1e9) {
            let back = LatticeVector::quantize(&[value], step()).unwrap().to_f64(step())[0];
            prop_assert!(back.abs() <= value.abs());
            prop_assert!((value - back).abs() < 0.25);
            prop_assert!(back == 0.0 || back.signum() == value.signum());
        }

        #[test]
        fn sums_do_not_depend_on_the_order(a: Vec<i32>, b: Vec<i32>) {
            let len = a.len().min(b.len());
            let vector = |values: &[i32]| {
                LatticeVector::from_values(values[..len].iter().map(|&v| v.into()).collect())
            };
            let (mut ab, mut ba) = (vector(&a), vector(&b));
            ab.checked_add_assign(&vector(&b)).unwrap();
            ba.checked_add_assign(&vector(&a)).unwrap();
            prop_assert_eq!(ab, ba);
        }
    }
}
