//! From mechanisms to an interval for epsilon: grids are made finer until it is narrow.

use super::cell::Component;
use super::compose::{Strays, Sum};
use super::law::{Bound, Law, Layout, MOST_POINTS, Parts, ln_q_above};
use super::normal::{ULP, ln_sum};
use crate::accountant::pld::Interval;
use crate::accountant::pld::contour::{Saddle, ln_chernoff};
use crate::accountant::pld::tilted::Cumulants;

/// A mechanism and how often it runs.
pub(in crate::accountant::pld) type Run = (Vec<(f64, Component)>, u64);

/// The relative width of an interval that is narrow enough.
const NARROW: f64 = 3e-4;

/// The absolute width that is.
const NARROW_ABSOLUTE: f64 = 3e-10;

/// What is left out, and what repetitions add, as a part of δ: ln of it.
const LN_NEGLIGIBLE: f64 = -17.0;

/// Points of the first grid.
const FIRST_SIZE: f64 = 8192.0;

/// Points of a first look at one mechanism.
const SKETCH: f64 = 2048.0;

/// A law whose losses are all but one is laid out as if they were so far apart.
const LEAST_WIDTH: f64 = 1e-10;

/// Points of one mechanism for every point of the circle, at most.
const FINEST: f64 = 4.0;

/// More runs than that leave no digits.
const MOST_RUNS: f64 = 1e12;

/// What is asked: an epsilon of `runs` at δ = e^`ln_delta`, seen from P's side.
pub(in crate::accountant::pld) struct Question<'a> {
    pub(in crate::accountant::pld) runs: &'a [Run],
    pub(in crate::accountant::pld) ln_delta: f64,
    /// ln E_Q(e^{-λL}) of all runs together, rounded up, where it is known.
    pub(in crate::accountant::pld) reverse: &'a dyn Fn(f64) -> Option<f64>,
    /// An epsilon below this needn't be known more closely.
    pub(in crate::accountant::pld) enough: f64,
}

/// A certified interval for epsilon; [`Interval::UNKNOWN`] where nothing can be said.
pub(in crate::accountant::pld) fn epsilon(question: &Question<'_>) -> Interval {
    let mut found = Interval::UNKNOWN;
    let Some(mut plan) = Plan::sketch(question) else {
        return found;
    };
    loop {
        let (upper, lower) = plan.solve(question);
        found = found.and(Interval::between(lower, upper));
        let narrow = found.is_within(NARROW) || found.width() < NARROW_ABSOLUTE;
        if narrow || found.upper() <= question.enough {
            return found;
        }
        let Some(finer) = plan.finer(question, found) else {
            return found;
        };
        plan = finer;
    }
}

/// A grid, and the tilt it is looked at with.
#[derive(Clone, Copy, Debug)]
struct Plan {
    step: f64,
    size: f64,
    theta: f64,
    /// Where epsilon is thought to be.
    epsilon: f64,
    ln_rare: f64,
    /// Losses above this are put together; infinite for none.
    cut: f64,
    strays: Strays,
}

impl Plan {
    /// A first one, from coarse laws.
    fn sketch(question: &Question<'_>) -> Option<Self> {
        let (runs, ln_delta) = (question.runs, question.ln_delta);
        let times: f64 = runs.iter().map(|(_, count)| *count as f64).sum();
        if times > MOST_RUNS || ln_delta + LN_NEGLIGIBLE - times.ln() < -700.0 {
            return None;
        }
        let ln_rare = ln_delta + LN_NEGLIGIBLE - times.ln();
        Self {
            step: 0.0,
            size: FIRST_SIZE,
            theta: 0.0,
            epsilon: 0.0,
            ln_rare,
            cut: f64::INFINITY,
            strays: Strays::NONE,
        }
        .looking_at(question, Interval::UNKNOWN)
    }

    /// Coarse laws from above, each on a grid of its own: enough to steer by, and to bound what lies far out.
    fn sketches(&self, runs: &[Run]) -> Option<Vec<(Law, u64)>> {
        let sketch = |(parts, count): &Run| {
            let layout = Layout {
                step: self.width(parts) / SKETCH,
                ln_rare: self.ln_rare,
                cut: self.cut,
            };
            Some((Law::new(Bound::Upper, parts, layout)?, *count))
        };
        runs.iter().map(sketch).collect()
    }

    /// The distance between the ends of a mechanism's losses, as far as they are laid out.
    fn width(&self, parts: &Parts) -> f64 {
        let ranges = parts.iter().map(|(_, part)| part.range(self.ln_rare));
        let (low, high) = ranges.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), range| {
            (low.min(range.low), high.max(range.high))
        });
        (high.min(self.cut) - low).max(LEAST_WIDTH)
    }

    /// The same number of points, tilted and spread by what is known of epsilon.
    fn looking_at(self, question: &Question<'_>, found: Interval) -> Option<Self> {
        let (runs, ln_delta) = (question.runs, question.ln_delta);
        let laws = self.sketches(runs)?;
        let cumulants = |theta: f64| cumulants(&laws, theta);
        // Where large losses are rare, the saddle's own guess may be far off. Upper ends are near the
        // truth sooner than lower ones.
        let (saddle, epsilon) = if found.upper().is_finite() {
            let saddle = Saddle::near(&cumulants, found.upper(), self.theta)?;
            (saddle, found.upper())
        } else {
            let saddle = Saddle::of(&cumulants, ln_delta)?;
            (saddle, saddle.epsilon.max(0.0))
        };
        let times: f64 = runs.iter().map(|(_, count)| *count as f64).sum();
        let (theta, period) = tilt(&cumulants, saddle.theta, epsilon, ln_delta, times)?;
        // No finer than a law can be laid out.
        let widths = runs.iter().map(|(parts, _)| self.width(parts));
        let widest = widths.fold(0.0, f64::max);
        let least = widest / (FINEST * self.size);
        let wanted = period / self.size;
        // A tilt that changes by more than a factor from point to point sees nothing but the ends of laws.
        let theta = theta * (wanted / least).min(1.0);
        let step = aligned(runs, wanted.max(least));
        Some(Self {
            step,
            theta,
            epsilon,
            ..self
        })
    }

    /// Upper and lower bounds on epsilon by this grid.
    fn solve(&self, question: &Question<'_>) -> (f64, f64) {
        let delta = question.ln_delta.exp();
        let Some(sketches) = self.sketches(question.runs) else {
            return (f64::INFINITY, 0.0);
        };
        // The sketches bound the lower laws, too, from above, as far as these reach.
        let moments = |theta: f64| cumulants(&sketches, theta);
        let period = self.step * self.size;
        let right = right_alias(&moments, self.theta, self.epsilon, period);
        let solved = |bound: Bound| {
            let laws = self.laws(bound, question.runs)?;
            let sum = Sum::new(
                bound,
                &laws,
                self.theta,
                self.size as usize,
                right,
                self.strays,
            )?;
            match bound {
                Bound::Upper => upper(&sum, delta, self.epsilon, 1.0 / self.theta),
                Bound::Lower => lower(&sum, delta, self.epsilon, 1.0 / self.theta),
            }
        };
        (
            solved(Bound::Upper).unwrap_or(f64::INFINITY),
            solved(Bound::Lower).unwrap_or(0.0),
        )
    }

    fn laws(&self, bound: Bound, runs: &[Run]) -> Option<Vec<(Law, u64)>> {
        let layout = Layout {
            step: self.step,
            ln_rare: self.ln_rare,
            cut: self.cut,
        };
        runs.iter()
            .map(|(parts, count)| Some((Law::new(bound, parts, layout)?, *count)))
            .collect()
    }

    /// A finer grid, by what `found` lacks; None where this was the finest.
    fn finer(&self, question: &Question<'_>, found: Interval) -> Option<Self> {
        let most = MOST_POINTS / 4.0;
        if self.size >= most {
            return None;
        }
        let wanted = (NARROW * found.upper()).max(NARROW_ABSOLUTE);
        let lacking = (found.width() / wanted).sqrt() * 1.3;
        let factor = lacking.log2().ceil().clamp(1.0, 3.0).exp2();
        let factor = if lacking.is_finite() { factor } else { 4.0 };
        let (cut, strays) = self.cut(question, found);
        let finer = Self {
            size: (self.size * factor).min(most),
            step: self.step / factor,
            cut,
            strays,
            ..*self
        };
        Some(finer.looking_at(question, found).unwrap_or(finer))
    }

    /// Above which losses can be put together, so that a grid need not reach as far as the largest ones:
    /// runs with such a loss hardly ever have a total below epsilon.
    fn cut(&self, question: &Question<'_>, found: Interval) -> (f64, Strays) {
        let epsilon = found.upper();
        let none = (f64::INFINITY, Strays::NONE);
        if !epsilon.is_finite() || epsilon <= 0.0 {
            return none;
        }
        let reverses: Vec<(f64, f64)> = STEEPER
            .into_iter()
            .filter_map(|factor| {
                let lambda = factor * self.theta.max(1.0 / epsilon);
                Some((lambda, (question.reverse)(lambda)?))
            })
            .collect();
        for multiple in MULTIPLES {
            let cut = multiple * epsilon;
            // Q(total < ε and one beyond the cut) is at most the sum over all of Q(it is beyond) times
            // Q(rest < ε - cut) <= e^{K - λ(cut - ε)}: the rest is independent of it.
            let beyond = question
                .runs
                .iter()
                .map(|(parts, count)| (*count as f64).ln() + ln_q_above(parts, cut));
            let ln_beyond = ln_sum(&beyond.collect::<Vec<_>>());
            let strays = reverses.iter().map(|(lambda, moment)| Strays {
                // A cell may end a hair before the cut.
                ln: ln_beyond + moment - lambda * cut * (1.0 - 1e-9),
                lambda: *lambda,
            });
            let ln = |strays: &Strays| strays.ln + (1.0 + strays.lambda) * epsilon;
            let best = strays.min_by(|a, b| ln(a).total_cmp(&ln(b)));
            if let Some(best) = best.filter(|best| ln(best) < question.ln_delta + LN_NEGLIGIBLE) {
                return (cut, best);
            }
        }
        none
    }
}

/// Cuts that are tried, in epsilons.
const MULTIPLES: [f64; 8] = [1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0];

/// Tilts that are tried for what falls back, as multiples.
const STEEPER: [f64; 8] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0];

fn cumulants(laws: &[(Law, u64)], theta: f64) -> Option<Cumulants> {
    let mut total = Cumulants::default();
    for (law, count) in laws {
        total.add(law.cumulants(theta), *count as f64);
    }
    let finite = total.log_moment.is_finite() && total.mean.is_finite();
    finite.then_some(total)
}

/// Tilts beyond θ, as multiples of it, by which what lies far out is bounded.
const FURTHER: [f64; 11] = [1.001, 1.003, 1.01, 1.03, 1.1, 1.3, 1.6, 2.0, 2.5, 3.5, 5.0];

/// Tilts that are looked at, as parts of the saddle's.
const LESS: [f64; 7] = [1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2];

/// ln of the relative error of δ that transforms may make.
const LN_DIGITS: f64 = -6.5;

/// The tilt with which the shortest period serves, and that period. Near the saddle fewest digits are
/// lost, but where large losses are rare the period would have to be long; and some digits can be spared.
fn tilt(
    cumulants: &dyn Fn(f64) -> Option<Cumulants>,
    saddle: f64,
    epsilon: f64,
    ln_delta: f64,
    times: f64,
) -> Option<(f64, f64)> {
    let ln_error = (1e-14 * (1.0 + times)).ln();
    let candidates = LESS.into_iter().filter_map(|part| {
        let theta = part * saddle;
        let lost = cumulants(theta)?.log_moment - theta * epsilon - ln_delta + ln_error;
        let exact = part == 1.0 || lost < LN_DIGITS;
        let period = period(cumulants, theta, epsilon, ln_delta)?;
        exact.then_some((theta, period))
    });
    candidates.min_by(|a, b| a.1.total_cmp(&b.1))
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
fn right_alias(
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

/// A step of at most `step` of which the distances between atoms are whole multiples, as nearly as
/// can be had, the most frequent one exactly.
fn aligned(runs: &[Run], step: f64) -> f64 {
    let mut spans: Vec<(f64, f64)> = runs
        .iter()
        .filter_map(|(parts, count)| Some((parts.first()?.1.span()?, *count as f64)))
        .filter(|(span, _)| *span >= step)
        .collect();
    spans.sort_by(|a, b| (b.0 * b.1).total_cmp(&(a.0 * a.1)));
    let Some(((first, _), rest)) = spans.split_first() else {
        return step;
    };
    let missed = |step: f64| -> f64 {
        rest.iter()
            .map(|(span, count)| count * (span / step - (span / step).round()).abs() * step)
            .sum()
    };
    let least = (first / step).ceil();
    let candidates = if rest.is_empty() { 1 } else { 400 };
    (0..candidates)
        .map(|more| first / (least + f64::from(more)))
        .filter(|candidate| *candidate > step / 1.5)
        .min_by(|a, b| missed(*a).total_cmp(&missed(*b)))
        .unwrap_or(first / least)
}

/// Times that a search moves further out before it gives up.
const MOST_MOVES: i32 = 40;

/// The least epsilon at which δ from above is surely within `delta`.
fn upper(sum: &Sum, delta: f64, near: f64, unit: f64) -> Option<f64> {
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
        high = sum
            .point(near + unit * f64::from(moves).exp2())?
            .max(low + 1);
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
fn lower(sum: &Sum, delta: f64, near: f64, unit: f64) -> Option<f64> {
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
