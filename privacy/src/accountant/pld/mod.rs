//! Privacy-loss distributions: epsilon as a certified interval.
//!
//! Where the integrand falls fast, [`contour`] gives ten digits in well under a
//! millisecond. Everywhere else [`convolution`] composes discrete pairs that bound the
//! mechanism from above and from below. Either is a proof, not an estimate: the truth
//! lies between the two ends (`privacy/proofs/contour.md`).

mod atoms;
mod cells;
mod contour;
mod convolution;
mod decay;
mod discretise;
mod mechanism;
mod memo;
mod mixture;
mod pld_accountant;
mod sampled_gaussian;
mod single;
mod tilted;
mod turns;

pub use pld_accountant::PldAccountant;

/// Two bounds on epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Never above the truth.
    pub lower: f64,
    /// Never below it.
    pub upper: f64,
}

impl Interval {
    const ZERO: Self = Self {
        lower: 0.0,
        upper: 0.0,
    };
    const UNKNOWN: Self = Self {
        lower: 0.0,
        upper: f64::INFINITY,
    };

    /// The larger of two quantities, each known to its interval.
    fn max(self, other: Self) -> Self {
        Self {
            lower: self.lower.max(other.lower),
            upper: self.upper.max(other.upper),
        }
    }

    /// What is known of one quantity that lies in both.
    fn and(self, other: Self) -> Self {
        Self {
            lower: self.lower.max(other.lower),
            upper: self.upper.min(other.upper),
        }
    }

    /// Whether it is as narrow as a relative `width`.
    fn is_within(self, width: f64) -> bool {
        self.upper - self.lower <= width * self.upper
    }
}
