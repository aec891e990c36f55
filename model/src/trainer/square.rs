//! One unit's squared norm, with what tells whether it can be relied on.
//!
//! A ghost norm Σₜₛ (XXᵀ)ₜₛ (GGᵀ)ₜₛ is a sum whose terms may cancel, and whose factors may
//! overflow or vanish where the gradient itself would not. Its rounding errors are in
//! proportion to the diagonal Σₜ ‖xₜ‖²‖gₜ‖², not to the sum. So the diagonal, and the
//! magnitudes ‖xₜ‖² + ‖gₜ‖², are added up along with it. Where they say that the norm may be
//! wrong, the unit's gradient is multiplied out and measured.

/// A ghost norm is relied on while its diagonal is at most this many times the sum. Its
/// relative error is then about 2⁸ · 2⁻²⁰ = 2⁻¹² (2⁻¹³ for the norm): a rounding error of
/// 2⁻²⁴ for each term, and a factor of 16 to spare. Half of the clipping slack is 2⁻¹¹.
const CONDITION: f64 = 256.0;

/// Beyond this sum of ‖xₜ‖² + ‖gₜ‖², what vanishes in one factor of a ghost norm could count
/// once it is multiplied by the other. Squares of numbers below 2⁻⁶³ aren't normal floats, so
/// at most T √p 2⁻⁶³ √10¹⁰ of the norm goes missing: 3e-10 for 512 tokens and p = 3072, and
/// half of the slack of the least clipping norm that a plan may have, 10⁻⁶, is 5e-10.
const MAGNITUDE: f64 = 1e10;

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
