//! Which tilt a grid is looked at with, and how far repetitions on its circle have to be apart.

use super::circle::RARE;
use super::law::Law;
use super::normal::ULP;
use crate::accountant::pld::aliases::ln_chernoff;
use crate::accountant::pld::cumulants::Cumulants;

/// What is left out, and what repetitions add, as a part of δ: ln of it.
pub(super) const LN_NEGLIGIBLE: f64 = -17.0;

/// Tilts beyond θ, as multiples of it, by which what lies far out is bounded.
const FURTHER: [f64; 11] = [1.001, 1.003, 1.01, 1.03, 1.1, 1.3, 1.6, 2.0, 2.5, 3.5, 5.0];

/// Tilts that are looked at, as parts of the saddle's.
const LESS: [f64; 7] = [1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2];

/// ln of the relative error of δ that transforms may make.
const LN_DIGITS: f64 = -6.5;

/// What a tilt is chosen by.
pub(super) struct Seen<'a> {
    pub(super) size: f64,
    pub(super) laws: &'a [(Law, u64)],
    pub(super) ln_delta: f64,
}

impl Seen<'_> {
    /// The tilt with which the shortest period serves, and that period. Near the saddle fewest digits are
    /// lost, but where large losses are rare the period would have to be long; and some digits can be spared.
    pub(super) fn tilt(&self, saddle: f64, epsilon: f64) -> Option<(f64, f64)> {
        let cumulants = |theta: f64| cumulants(self.laws, theta);
        let candidates = LESS.into_iter().filter_map(|part| {
            let theta = part * saddle;
            let moment = cumulants(theta)?.log_moment;
            // The kernel's norm is about this times 10^-14, for every run and a little more.
            let period = period(&cumulants, theta, epsilon, self.ln_delta)?;
            let moved = self.moved(theta, period / self.size);
            let ln_error =
                (1e-14 * (3.0 * moved.min(1.0) + moved) * (self.size / 100.0).sqrt()).ln();
            let lost = moment - theta * epsilon - self.ln_delta + ln_error;
            let exact = part == 1.0 || lost < LN_DIGITS;
            exact.then_some((theta, period))
        });
        candidates.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// How often losses aren't where they nearly always are, in all runs together, on a grid of this step; every run
    /// counts where there is no such place.
    fn moved(&self, theta: f64, step: f64) -> f64 {
        let one = |law: &Law| {
            let part = law.off_centre(theta) * (law.step / step).max(1.0);
            if part < RARE { part } else { 1.0 }
        };
        let laws = self.laws.iter();
        laws.map(|(law, count)| *count as f64 * one(law)).sum()
    }
}

/// The distance W of the repetitions with which they don't matter near `epsilon`.
fn period(
    cumulants: &dyn Fn(f64) -> Option<Cumulants>,
    theta: f64,
    epsilon: f64,
    ln_delta: f64,
) -> Option<f64> {
    let left = (-ln_delta - LN_NEGLIGIBLE) / theta;
    let right = FURTHER
        .into_iter()
        .filter_map(|factor| {
            let further = factor * theta;
            let ln = ln_chernoff(further) + cumulants(further)?.log_moment - further * epsilon;
            Some((ln - ln_delta - LN_NEGLIGIBLE) / (further - theta))
        })
        .min_by(f64::total_cmp)?;
    let period = left.max(right) * 1.05;
    (period.is_finite() && period > 0.0).then_some(period)
}

/// (ln, θ₂) with which Σ_{m≥1} e^{θmW} δ(e + mW) <= e^{ln - θ₂e} for every e, best near `epsilon`.
pub(super) fn right_alias(
    cumulants: &dyn Fn(f64) -> Option<Cumulants>,
    theta: f64,
    epsilon: f64,
    period: f64,
) -> (f64, f64) {
    FURTHER
        .into_iter()
        .filter_map(|factor| {
            let further = factor * theta;
            let moment = cumulants(further)?.log_moment;
            // ln of the geometric sum of e^{-(θ₂-θ)mW}, whose ratio itself may underflow.
            let ln_ratio = -(further - theta) * period;
            let ln_repeated = ln_ratio - (-ln_ratio.exp()).ln_1p();
            // Raised for rounding of numbers of this size.
            let ln = ln_chernoff(further) + moment + ln_repeated;
            let ln = ln + 1e-6 + 64.0 * ULP * moment.abs();
            (!ln.is_nan()).then_some((ln, further))
        })
        .min_by(|a, b| (a.0 - a.1 * epsilon).total_cmp(&(b.0 - b.1 * epsilon)))
        .unwrap_or((f64::INFINITY, theta))
}

/// Of all losses together, where they are finite.
pub(super) fn cumulants(laws: &[(Law, u64)], theta: f64) -> Option<Cumulants> {
    let mut total = Cumulants::default();
    for (law, count) in laws {
        total.add(law.cumulants(theta), *count as f64);
    }
    let finite = total.log_moment.is_finite() && total.mean.is_finite();
    finite.then_some(total)
}
