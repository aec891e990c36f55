//! Sums of numbers that are kept as their logarithms, since the numbers themselves
//! leave the range of floats.

/// Σ exp(aᵢ) over terms added one by one, kept relative to the largest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogSum {
    largest: f64,
    /// Σ exp(aᵢ - `largest`).
    scaled: f64,
}

impl LogSum {
    /// The empty sum.
    pub(crate) fn new() -> Self {
        Self {
            largest: f64::NEG_INFINITY,
            scaled: 0.0,
        }
    }

    /// Adds exp(`log_term`).
    pub(crate) fn add(&mut self, log_term: f64) {
        if log_term == f64::NEG_INFINITY {
        } else if log_term <= self.largest {
            self.scaled += (log_term - self.largest).exp();
        } else {
            self.scaled = self.scaled * (self.largest - log_term).exp() + 1.0;
            self.largest = log_term;
        }
    }

    /// The logarithm of the sum.
    pub(crate) fn ln(self) -> f64 {
        self.largest + self.scaled.ln()
    }
}

/// ln(exp(x) - 1) for x > 0.
pub(crate) fn ln_exp_m1(x: f64) -> f64 {
    if x < 30.0 {
        x.exp_m1().ln()
    } else {
        x + (-(-x).exp()).ln_1p()
    }
}

/// ln(1 + exp(x)).
pub(crate) fn ln_1p_exp(x: f64) -> f64 {
    if x < 30.0 {
        x.exp().ln_1p()
    } else {
        x + (-x).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_far_beyond_the_range_of_floats_add_up() {
        let mut sum = LogSum::new();
        assert_eq!(sum.ln(), f64::NEG_INFINITY);
        for term in [f64::NEG_INFINITY, -1e6, 2000.0, 2000.0, 1000.0] {
            sum.add(term);
        }
        assert_eq!(sum.ln(), 2000.0 + 2f64.ln());
    }

    #[test]
    fn both_functions_are_accurate_at_either_end() {
        assert!((ln_exp_m1(1e-10) - (1e-10f64.ln() + 0.5e-10)).abs() < 1e-14);
        assert_eq!(ln_exp_m1(1000.0), 1000.0);
        assert_eq!(ln_1p_exp(-40.0), (-40.0f64).exp());
        assert_eq!(ln_1p_exp(1000.0), 1000.0);
        assert!((ln_1p_exp(30.0) - 30.0 - (-30.0f64).exp()).abs() < 1e-14);
    }
}
