//! Repetitions of δ that the trapezoidal rule adds: how far apart they have to be, and what bounds them
//! (privacy/proofs/contour.md, "Aliases").

use super::saddle::Saddle;

/// ln of the relative error in δ that aliases may make.
const LN_ALIAS: f64 = -25.0;

/// The aliases at ε + mW, m >= 1, sum up to at most exp(`log` - `theta` ε).
#[derive(Clone, Copy)]
pub(super) struct RightAlias {
    pub(super) theta: f64,
    pub(super) log: f64,
}

/// ln of the largest (1 - e^{-t}) e^{-θt} over t > 0, with which Chernoff's inequality gives
/// ln δ(ε) <= this + K(θ) - θ ε.
pub(super) fn ln_chernoff(theta: f64) -> f64 {
    -theta * (1.0 / theta).ln_1p() - theta.ln_1p()
}

/// The distance W of the aliases, wide enough that they don't matter, and a bound on
/// those on the right. `moment` is K.
pub(super) fn period(
    moment: &dyn Fn(f64) -> Option<f64>,
    saddle: &Saddle,
    ln_delta: f64,
) -> Option<(f64, RightAlias)> {
    let theta = saddle.theta;
    let left = (-ln_delta.min(saddle.ln_delta()) - LN_ALIAS) / theta;
    // δ(e) <= c e^{K(θ₂) - θ₂ e} for every θ₂ > 0, c = max_t (1 - e^{-t}) e^{-θ₂t}.
    let best = [1.003, 1.01, 1.03, 1.1, 1.3, 1.6, 2.0, 2.5, 3.5, 5.0]
        .into_iter()
        .filter_map(|factor| {
            let further = factor * theta;
            let moment = moment(further)?;
            let ln_c = ln_chernoff(further);
            let needed = (ln_c + moment - further * saddle.epsilon - saddle.ln_delta() - LN_ALIAS)
                / (further - theta);
            Some((needed, further, ln_c + moment))
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))?;
    let (needed, further, log) = best;
    let period = left.max(needed);
    // Σ_m e^{-(θ₂-θ)mW}, a little raised for rounding. The ratio itself may underflow.
    let ratio = (-(further - theta) * period).exp();
    let log = log - (further - theta) * period - (-ratio).ln_1p() + 1e-9;
    (period.is_finite() && period > 0.0).then_some((
        period,
        RightAlias {
            theta: further,
            log,
        },
    ))
}
