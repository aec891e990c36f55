//! Where along the real axis the contour crosses: the saddle point of its integrand.

use std::f64::consts::PI;

use super::cumulants::Cumulants;

/// θ, and the epsilon near which its line serves best.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saddle {
    pub(super) theta: f64,
    pub(super) epsilon: f64,
    pub(super) cumulants: Cumulants,
    /// Second derivative of the exponent.
    pub(super) curvature: f64,
}

impl Saddle {
    fn at(cumulants: &dyn Fn(f64) -> Option<Cumulants>, theta: f64) -> Option<Self> {
        let cumulants = cumulants(theta)?;
        let poles = 1.0 / theta + 1.0 / (1.0 + theta);
        let curvature =
            cumulants.variance + 1.0 / (theta * theta) + 1.0 / ((1.0 + theta) * (1.0 + theta));
        Some(Self {
            theta,
            epsilon: cumulants.mean - poles,
            cumulants,
            curvature,
        })
    }

    /// The saddle-point approximation of ln δ at this saddle's epsilon.
    pub(super) fn ln_delta(&self) -> f64 {
        self.cumulants.log_moment
            - self.theta * self.epsilon
            - (self.theta * (1.0 + self.theta)).ln()
            - 0.5 * (2.0 * PI * self.curvature).ln()
    }

    /// The saddle for `ln_delta`, or the one for ε = 0 where that is further out.
    pub(super) fn of(cumulants: &dyn Fn(f64) -> Option<Cumulants>, ln_delta: f64) -> Option<Self> {
        let beyond = |saddle: &Self| saddle.ln_delta() <= ln_delta && saddle.epsilon >= 0.0;
        let mut high = 1.0;
        while !beyond(&Self::at(cumulants, high)?) {
            high *= 4.0;
        }
        let mut low = high / 4.0;
        while low > 1e-12 && beyond(&Self::at(cumulants, low)?) {
            high = low;
            low /= 4.0;
        }
        // Where rare large losses begin to dominate, epsilon changes fast with θ.
        let close = |saddle: &Self| {
            saddle.ln_delta() >= ln_delta - 1.0 || saddle.theta * saddle.epsilon <= 1.0
        };
        while high > low * (1.0 + 1e-9)
            && !(high < low * 1.02 && close(&Self::at(cumulants, high)?))
        {
            let middle = (low * high).sqrt();
            if beyond(&Self::at(cumulants, middle)?) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Self::at(cumulants, high)
    }

    /// The saddle whose epsilon is `epsilon`, to a hundredth of its θ.
    pub(super) fn near(
        cumulants: &dyn Fn(f64) -> Option<Cumulants>,
        epsilon: f64,
        start: f64,
    ) -> Option<Self> {
        let beyond = |theta: f64| Some(Self::at(cumulants, theta)?.epsilon >= epsilon);
        let (mut low, mut high) = (start, start);
        while !beyond(high)? {
            low = high;
            high *= 2.0;
        }
        while low > 1e-12 && beyond(low)? {
            high = low;
            low /= 2.0;
        }
        while high > low * 1.01 {
            let middle = (low * high).sqrt();
            if beyond(middle)? {
                high = middle;
            } else {
                low = middle;
            }
        }
        Self::at(cumulants, low)
    }
}
