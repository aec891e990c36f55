//! The ends of an interval: where a bound of δ on a grid passes the δ that is asked for.

use super::compose::Sum;
use super::normal::ULP;

/// Times that a search moves further out before it gives up.
const MOST_MOVES: i32 = 40;

/// The least epsilon at which δ from above is surely within `delta`.
pub(super) fn upper(sum: &Sum, delta: f64, near: f64, unit: f64) -> Option<f64> {
    let fits = |point: i64| sum.delta(point) <= delta;
    // The last point at or below zero: an epsilon is at least 0.
    let mut low = sum.point(0.0)?;
    if fits(low) {
        return Some(0.0);
    }
    let mut high = low;
    let mut moves = 0;
    while !fits(high) || high == low {
        if moves > MOST_MOVES {
            return None;
        }
        low = low.max(if fits(high) { low } else { high });
        // From `near` up, in small steps at first: what falls back below epsilon is bounded near there.
        let further = unit * 1e-3 * (f64::from(moves).exp2() - 1.0);
        high = sum.point(near + further)?.max(low) + 1;
        moves += 1;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    // Between points δ is linear in e^ε, so its bound is below the chord.
    let (before, after) = (sum.delta(low), sum.delta(high));
    let part = ((before - delta) / (before - after)).clamp(0.0, 1.0);
    let epsilon = sum.loss(low) + (part * sum.step().exp_m1()).ln_1p() * (1.0 + 8.0 * ULP);
    let epsilon = epsilon.min(sum.loss(high)) + sum.loss_error(high);
    (!epsilon.is_nan()).then(|| epsilon.max(0.0))
}

/// The largest epsilon at which δ from below is surely above `delta`; 0 where there is none.
pub(super) fn lower(sum: &Sum, delta: f64, near: f64, unit: f64) -> Option<f64> {
    let exceeds = |point: i64| sum.delta(point) > delta;
    let start = sum.point(0.0)?;
    // From a little below `near` down, as the bound is poor far from it.
    let mut low = sum.point(near)?.max(start);
    let mut moves = 0;
    while !exceeds(low) {
        if low == start || moves > MOST_MOVES {
            return Some(0.0);
        }
        let further = near - unit * 1e-3 * f64::from(moves).exp2();
        low = sum.point(further.max(0.0))?.max(start).min(low);
        moves += 1;
    }
    let mut high = low + 1;
    let mut leap = 1;
    while exceeds(high) {
        low = high;
        high = high.checked_add(leap)?;
        leap = leap.checked_mul(2)?;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if exceeds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (before, after) = (sum.delta(low), sum.delta(high));
    let part = ((before - delta) / (before - after)).clamp(0.0, 1.0);
    let epsilon = sum.loss(low) + (part * sum.step().exp_m1()).ln_1p() * (1.0 - 8.0 * ULP);
    let epsilon = epsilon - sum.loss_error(high);
    (!epsilon.is_nan()).then(|| epsilon.max(0.0))
}
