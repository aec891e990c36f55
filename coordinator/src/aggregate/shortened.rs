//! Updates that are longer than they may be, scaled down to that (norm thresholding: Sun et al. 2019,
//! "Can you really backdoor federated learning?", section 5). A client that sends a huge update then
//! moves the model no further than others. It is a defence and holds no guarantee: several clients may
//! push in one direction, and what is scaled is rounded.

use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::lattice::{LatticeStep, SquaredNorm};

/// By what an update with this norm is to be multiplied; `None` if it is no longer than `longest`.
pub(super) fn shortening(
    squared: &SquaredNorm,
    longest: ClippingNorm,
    step: LatticeStep,
) -> Option<f64> {
    if squared.check(longest, step).is_ok() {
        return None;
    }
    // Of one whose squares don't fit, nothing is left.
    let norm = squared
        .get()
        .map_or(f64::INFINITY, |sum| (sum as f64).sqrt());
    Some((longest.get() / step.get() / norm).clamp(0.0, 1.0))
}

/// Coordinates of an update that is scaled down.
pub(super) struct Shortened {
    factor: f64,
    block: Vec<i64>,
}

impl Shortened {
    /// By a factor of at most 1.
    pub(super) fn by(factor: f64) -> Self {
        Self {
            factor,
            block: Vec::new(),
        }
    }

    /// These coordinates, rounded toward zero.
    pub(super) fn of(&mut self, values: &[i64]) -> &[i64] {
        let factor = self.factor;
        let scaled = |value: &i64| (*value as f64 * factor) as i64;
        self.block.clear();
        self.block.extend(values.iter().map(scaled));
        &self.block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(values: &[i64], longest: f64) -> Option<f64> {
        let mut squared = SquaredNorm::default();
        squared.add(values);
        let longest = ClippingNorm::try_from(longest).unwrap();
        shortening(&squared, longest, LatticeStep::try_from(0.0625).unwrap())
    }

    #[test]
    fn what_is_too_long_is_scaled_to_what_it_may_be_and_nothing_else_is() {
        // Steps of a sixteenth: 3, 4 has the norm 5/16.
        assert_eq!(factor(&[3, 4], 5.0 / 16.0), None);
        assert_eq!(factor(&[3, 4], 1.0), None);
        assert_eq!(factor(&[0, 0], 1e-9), None);
        let half = factor(&[300, 400], 250.0 / 16.0).unwrap();
        assert_eq!(half, 0.5);
        assert_eq!(
            Shortened::by(half).of(&[300, -400, 1, -1]),
            [150, -200, 0, 0]
        );
    }

    #[test]
    fn the_largest_update_is_no_longer_than_any_other() {
        let largest = [i64::MAX, i64::MIN, i64::MAX, i64::MIN];
        let scale = factor(&largest, 1.0).unwrap();
        let mut shortened = Shortened::by(scale);
        let mut squared = SquaredNorm::default();
        squared.add(shortened.of(&largest));
        assert!(squared.get().unwrap() <= 16 * 16);
        // The squares of so many don't fit into 128 bits.
        let many = vec![i64::MIN; 64];
        assert_eq!(factor(&many, 1.0), Some(0.0));
        assert_eq!(Shortened::by(0.0).of(&many), vec![0; 64]);
    }
}
