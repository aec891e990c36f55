//! Two bounds on one epsilon, of which neither can be NaN and which can't be the wrong way round.

/// Two bounds on epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    lower: f64,
    upper: f64,
}

/// Two bounds that contradict each other by more than this, relative, can't both be right.
const CONTRADICTION: f64 = 1e-9;

impl Interval {
    /// Nothing was spent.
    pub(super) const ZERO: Self = Self {
        lower: 0.0,
        upper: 0.0,
    };

    /// Nobody is protected.
    pub(super) const INFINITE: Self = Self {
        lower: f64::INFINITY,
        upper: f64::INFINITY,
    };

    /// Nothing is known.
    pub(super) const UNKNOWN: Self = Self {
        lower: 0.0,
        upper: f64::INFINITY,
    };

    /// The interval from `lower` to `upper`. It fails closed: an upper end that is NaN or negative is
    /// infinite, a lower end that is NaN is zero, and where the lower end is above the upper one by more than
    /// rounding, one of them is wrong, so that nothing is known.
    pub(super) fn between(lower: f64, upper: f64) -> Self {
        let lower = if lower > 0.0 { lower } else { 0.0 };
        let contradiction = lower > upper * (1.0 + CONTRADICTION) + f64::MIN_POSITIVE;
        if upper.is_nan() || upper < 0.0 || contradiction {
            return Self::UNKNOWN;
        }
        // What two methods differ by within rounding goes to the safe side.
        let upper = upper.max(lower);
        Self {
            lower: lower.min(f64::MAX),
            upper,
        }
    }

    /// Never above the truth.
    pub fn lower(self) -> f64 {
        self.lower
    }

    /// Never below the truth; infinite where nothing finite is known.
    pub fn upper(self) -> f64 {
        self.upper
    }

    /// How far the ends are apart.
    pub(super) fn width(self) -> f64 {
        if self.upper.is_finite() {
            self.upper - self.lower
        } else {
            f64::INFINITY
        }
    }

    /// The larger of two quantities, each known to its interval.
    pub(super) fn max(self, other: Self) -> Self {
        Self::between(self.lower.max(other.lower), self.upper.max(other.upper))
    }

    /// What is known of one quantity that lies in both; nothing where they don't meet.
    pub(super) fn and(self, other: Self) -> Self {
        Self::between(self.lower.max(other.lower), self.upper.min(other.upper))
    }

    /// Whether it is as narrow as a relative `width`.
    pub(super) fn is_within(self, width: f64) -> bool {
        self.upper.is_finite() && self.width() <= width * self.upper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_no_bound() {
        assert_eq!(Interval::between(1.0, f64::NAN), Interval::UNKNOWN);
        assert_eq!(Interval::between(f64::NAN, 2.0).lower(), 0.0);
        assert_eq!(Interval::between(0.0, -1.0), Interval::UNKNOWN);
        assert_eq!(Interval::between(f64::NAN, f64::NAN), Interval::UNKNOWN);
    }

    #[test]
    fn ends_that_contradict_each_other_leave_nothing_known() {
        assert_eq!(Interval::between(2.0, 1.0), Interval::UNKNOWN);
        let (one, two) = (Interval::between(1.0, 2.0), Interval::between(3.0, 4.0));
        assert_eq!(one.and(two), Interval::UNKNOWN);
        let hair = Interval::between(1.0 + 1e-12, 1.0);
        assert!(hair.lower() == hair.upper() && hair.upper() > 1.0);
    }

    #[test]
    fn infinity_is_wide() {
        assert!(!Interval::UNKNOWN.is_within(1e-3));
        assert!(!Interval::between(5.0, f64::INFINITY).is_within(1e-3));
        assert!(Interval::ZERO.is_within(1e-3));
    }
}
