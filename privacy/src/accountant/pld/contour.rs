//! δ(ε) of a composition by integrating its moment generating function along a line in
//! the complex plane, with a bound on every error: the fast road to a certified epsilon.
//!
//! For the total loss S and θ > 0, the Laplace transform of δ(ε) = E((1 - e^{ε-S})⁺) gives
//!
//! δ(ε) = 1/(2πi) ∫_{θ-i∞}^{θ+i∞} e^{-zε} M(z) / (z(z+1)) dz,   M(z) = E(e^{zS}) = Π Mⱼ(z)^nⱼ
//!
//! The trapezoidal rule with spacing Δ returns exactly Σ_m e^{θmW} δ(ε + mW), W = 2π/Δ
//! (Poisson summation): what it adds is never negative and is bounded by Chernoff's
//! inequality. Near the saddle point a dozen points suffice (Daniels 1954; used for privacy
//! by Alghamdi et al. 2023). `privacy/proofs/contour.md` has the argument.

use std::f64::consts::PI;

use super::Interval;
use super::aliases::{RightAlias, ln_chernoff, period};
use super::composition::Composition;
use super::decay::Decay;
use super::left_out::LeftOut;
use super::saddle::Saddle;
use super::total::Total;

/// Nodes of a law that take as long as one closed form.
const CLOSED_WORK: f64 = 40.0;

/// Points are added until the integrand has fallen to e^this.
const LN_LAST: f64 = -36.0;

/// The relative size of what is left out that is good enough.
const GOOD_TAIL: f64 = 1e-9;

/// The same where more points would take too long.
const PASSABLE_TAIL: f64 = 1e-5;

/// Whether δ(`epsilon`) of `total` is surely below exp(`ln_delta`), by Chernoff's
/// inequality at the best θ. A quick look: false proves nothing.
pub(super) fn is_below(total: &Total, epsilon: f64, ln_delta: f64) -> bool {
    // ln c of [`period`] has the derivative ln(θ/(1+θ)); the sum is convex in θ.
    let slope = |theta: f64, mean: f64| mean - epsilon + (theta / (1.0 + theta)).ln();
    let (mut low, mut high) = (1e-3f64, 1e-3f64);
    for _ in 0..48 {
        let theta = if low == high {
            high * 4.0
        } else {
            (low * high).sqrt()
        };
        let Some(cumulants) = total.cumulants(theta) else {
            return false;
        };
        if cumulants.log_moment - theta * epsilon + ln_chernoff(theta) < ln_delta - 1e-6 {
            return true;
        }
        let rising = slope(theta, cumulants.mean) > 0.0;
        match (low == high, rising) {
            (true, false) => (low, high) = (theta, theta),
            (true, true) => high = theta,
            (false, true) => high = theta,
            (false, false) => low = theta,
        }
        if low != high && high < low * 1.05 {
            return false;
        }
    }
    false
}

/// A line, on which points are added with more work until their sum is known closely.
pub(super) struct Attempt {
    composition: Composition,
    saddle: Saddle,
    spacing: f64,
    right_alias: RightAlias,
    decay: Option<Decay>,
    /// How far out points are to be tried next.
    frequency: f64,
}

impl Attempt {
    /// The line of all of `total` for an epsilon at exp(`ln_delta`); None where its mechanisms aren't all known here.
    pub(super) fn of(total: &Total, ln_delta: f64) -> Option<Self> {
        let composition = Composition::of(total)?;
        let saddle = Saddle::of(&|theta| total.cumulants(theta), ln_delta)?;
        let moment = |theta: f64| Some(total.cumulants(theta)?.log_moment);
        let line = period(&moment, &saddle, ln_delta)?;
        Some(Self::new(composition, saddle, line))
    }

    /// A line with repetitions so far apart, and a bound on those on the right.
    pub(super) fn new(
        composition: Composition,
        saddle: Saddle,
        (period, right_alias): (f64, RightAlias),
    ) -> Self {
        let spacing = 2.0 * PI / period;
        Self {
            composition,
            saddle,
            spacing,
            right_alias,
            decay: None,
            frequency: (80.0 / saddle.curvature).sqrt().max(8.0 * spacing),
        }
    }

    /// θ.
    pub(super) fn tilt(&self) -> f64 {
        self.saddle.theta
    }

    /// A certified interval for the epsilon at exp(`ln_delta`), with so much work at most for one look at all points;
    /// None where the integrand falls too slowly for that.
    pub(super) fn up_to(&mut self, ln_delta: f64, most_work: f64) -> Option<Interval> {
        if is_hopeless(&self.composition, &self.saddle, self.spacing, most_work) {
            return None;
        }
        if self.decay.is_none() {
            self.decay = Decay::of(&self.composition, self.saddle.theta);
        }
        loop {
            if let Some(contour) = self.points(most_work)? {
                return contour.solve(ln_delta);
            }
            self.frequency *= 2.0;
        }
    }

    /// The line with points up to `frequency`. Some(None) where more are needed, None
    /// where that is too much work.
    fn points(&self, most_work: f64) -> Option<Option<Contour>> {
        let &Self {
            ref composition,
            saddle,
            spacing,
            right_alias,
            ref decay,
            frequency,
        } = self;
        let decay = decay.as_ref()?;
        let theta = saddle.theta;
        let count = (frequency / spacing).ceil();
        let laws = composition.tilted(theta, frequency)?;
        let nodes = laws.iter().map(|(law, _)| law.nodes() as f64).sum::<f64>();
        let work = count * (nodes + CLOSED_WORK * composition.closed.len() as f64);
        if work > most_work {
            return None;
        }
        // A look at the last point before all of them.
        let last = composition.ln_size(&laws, theta, count * spacing);
        if last > LN_LAST && work < most_work / 4.0 {
            return Some(None);
        }
        let count = count as usize;
        // (ln |φ|, arg φ) of the product, and the most that |φ|'s errors can add.
        let mut product: Vec<(f64, f64, f64)> = (1..=count)
            .map(|k| {
                let u = k as f64 * spacing;
                (-composition.mu_squared * u * u / 2.0, 0.0, 0.0)
            })
            .collect();
        let mut moment_error = 4.0 * f64::EPSILON * (1.0 + saddle.cumulants.log_moment.abs());
        for (tilted, times) in &laws {
            let error = tilted.error(frequency);
            moment_error += times * error;
            let values = tilted.characteristic(spacing, count);
            for (total, (re, im)) in product.iter_mut().zip(values) {
                add(total, re, im, *times, error);
            }
        }
        for &(closed, times) in &composition.closed {
            let error = closed.error(theta, frequency);
            moment_error += times * error;
            let mean = closed.cumulants(theta).mean;
            let values = closed.characteristic(theta, mean, spacing, count);
            for (total, (re, im)) in product.iter_mut().zip(values) {
                add(total, re, im, times, error);
            }
        }
        let offset = saddle.cumulants.mean - saddle.epsilon;
        let mut points = vec![(1.0 / (theta * (1.0 + theta)), 0.0)];
        let mut error = 0.0;
        for (k, &(ln_size, phase, growth)) in product.iter().enumerate() {
            let u = (k + 1) as f64 * spacing;
            let (re, im) = (theta * (1.0 + theta) - u * u, u * (1.0 + 2.0 * theta));
            let magnitude = ln_size.exp() / re.hypot(im);
            let angle = phase + u * offset - im.atan2(re);
            points.push((magnitude * angle.cos(), magnitude * angle.sin()));
            error += 2.0 * magnitude * (growth.exp_m1() + 8.0 * f64::EPSILON * (1.0 + angle.abs()));
        }
        let scale = sum_at(&points, 0.0, spacing).abs();
        let end = (count as f64 + 1.0) * spacing;
        // Where more points take little, the tail is to be good, and else passable.
        let good_enough = if work < most_work / 4.0 {
            GOOD_TAIL
        } else {
            PASSABLE_TAIL
        };
        let most = good_enough * scale / 2.0;
        let Some(tail) = decay.tail(spacing, end, 1e-12 * scale, most) else {
            return Some(None);
        };
        let rest = 2.0 * tail;
        let magnitude = points.iter().map(|(re, im)| 2.0 * re.hypot(*im)).sum();
        Some(Some(Contour {
            saddle,
            spacing,
            points,
            magnitude,
            error: error + rest,
            moment_error: moment_error.exp_m1(),
            left_alias: -theta * 2.0 * PI / spacing,
            right_alias,
            left_out: composition.left_out,
        }))
    }
}

/// The integrand at the points of one line.
struct Contour {
    saddle: Saddle,
    spacing: f64,
    /// e^{iku(E S - ε₀)} Π φⱼ^nⱼ / (z(z+1)) at u = kΔ, k >= 0, as (re, im).
    points: Vec<(f64, f64)>,
    /// Σ |F(kΔ)|, which rounding of the sum scales with.
    magnitude: f64,
    /// A bound on everything that `points` leave out or get wrong, in the same units.
    error: f64,
    /// A bound on the relative error of the factor M(θ).
    moment_error: f64,
    /// ln of the alias' bounds, without their dependence on epsilon.
    left_alias: f64,
    right_alias: RightAlias,
    left_out: LeftOut,
}

impl Contour {
    /// (upper, lower) bounds on δ(ε); the lower one may be negative.
    fn delta(&self, epsilon: f64) -> (f64, f64) {
        let shift = self.saddle.epsilon - epsilon;
        let sum = sum_at(&self.points, shift, self.spacing);
        let turns = self.points.len() as f64 * self.spacing * shift.abs();
        let error = self.error + f64::EPSILON * (80.0 + 4.0 * turns) * self.magnitude;
        let scale = (self.saddle.cumulants.log_moment - self.saddle.theta * epsilon).exp()
            * self.spacing
            / (2.0 * PI);
        let rounding = 4.0
            * f64::EPSILON
            * (1.0 + (self.saddle.theta * epsilon).abs() + self.saddle.cumulants.log_moment.abs());
        let spread = (self.moment_error + rounding).min(1.0);
        let upper = scale * (sum + error) * (1.0 + spread) + self.left_out.at_most(epsilon);
        let left = self.left_alias.exp() / -self.left_alias.exp_m1();
        let right = (self.right_alias.log - self.right_alias.theta * epsilon).exp();
        let lower = scale * (sum - error) * (1.0 - spread) - left - right;
        (upper, lower + self.left_out.at_least(epsilon))
    }

    fn solve(&self, ln_delta: f64) -> Option<Interval> {
        let delta = ln_delta.exp();
        let enough = |epsilon: f64| self.delta(epsilon).0 <= delta;
        let surely_too_little = |epsilon: f64| self.delta(epsilon).1 > delta;
        if enough(0.0) {
            return Some(Interval::ZERO);
        }
        let width = 1.0 / self.saddle.theta;
        let upper = {
            let (mut low, mut high) = (0.0, self.saddle.epsilon.max(0.0) + width);
            let mut tries = 0;
            while !enough(high) {
                low = high;
                high += width * f64::from(1 << tries);
                tries += 1;
                if tries > 12 {
                    return None;
                }
            }
            narrow(&mut low, &mut high, enough);
            high
        };
        // What is surely too little usually lies just below.
        let mut step = upper * 1e-11;
        while step < upper && !surely_too_little(upper - step) {
            step *= 4.0;
        }
        let (mut low, mut high) = (0.0, upper);
        if step < upper {
            low = upper - step;
            narrow(&mut low, &mut high, |epsilon| !surely_too_little(epsilon));
        }
        (upper.is_finite() && low <= upper).then(|| Interval::between(low, upper))
    }
}

/// Multiplies a factor φ = `re` + i `im`, known to `error`, to a product as often as `times` says.
fn add(total: &mut (f64, f64, f64), re: f64, im: f64, times: f64, error: f64) {
    let size = re.hypot(im);
    total.0 += times * size.ln();
    total.1 += times * im.atan2(re);
    // ln((|φ| + error)^n) - ln |φ|^n, in which the phase's error is counted, too.
    total.2 += times * (2.0 * error / size).ln_1p();
}

/// Halves [low, high] until the ends are neighbours for all practical purposes, where
/// `holds` is false at `low` and true at `high`.
fn narrow(low: &mut f64, high: &mut f64, holds: impl Fn(f64) -> bool) {
    while *high - *low > 1e-13 * *high {
        let middle = *low + (*high - *low) / 2.0;
        if middle <= *low || middle >= *high {
            break;
        }
        if holds(middle) {
            *high = middle;
        } else {
            *low = middle;
        }
    }
}

/// F(0) + 2 Re Σ F(kΔ) e^{ikΔ shift}.
fn sum_at(points: &[(f64, f64)], shift: f64, spacing: f64) -> f64 {
    let (turn_sin, turn_cos) = (spacing * shift).sin_cos();
    let (mut cos, mut sin) = (1.0, 0.0);
    let mut sum = 0.0;
    for (k, (re, im)) in points.iter().enumerate() {
        if k % 32 == 0 {
            (sin, cos) = (k as f64 * spacing * shift).sin_cos();
        }
        let factor = if k == 0 { 1.0 } else { 2.0 };
        sum += factor * (re * cos - im * sin);
        (cos, sin) = (
            cos * turn_cos - sin * turn_sin,
            cos * turn_sin + sin * turn_cos,
        );
    }
    sum
}

/// More than this much too large, and what is left out surely is.
const LN_HOPELESS: f64 = 3.0;

/// Whether the integrand is still much too large at the last frequency that isn't too much work: a look at a few points,
/// which saves the work on all of them, and decides nothing else.
fn is_hopeless(composition: &Composition, saddle: &Saddle, spacing: f64, most_work: f64) -> bool {
    let theta = saddle.theta;
    let work = |frequency: f64| {
        let nodes = composition.laws.iter().flat_map(|(parts, _)| parts);
        let nodes: f64 = nodes.map(|(_, law)| law.nodes(theta, frequency)).sum();
        frequency / spacing * (nodes + CLOSED_WORK * composition.closed.len() as f64)
    };
    let mut frequency = spacing;
    while work(2.0 * frequency) <= most_work {
        frequency *= 2.0;
    }
    let Some(laws) = composition.tilted(theta, frequency) else {
        return false;
    };
    let sizes = [1.0, 0.84, 0.71].map(|part| composition.ln_size(&laws, theta, part * frequency));
    let rest = 2f64.ln() - (frequency * spacing).ln() + sizes.into_iter().fold(0.0, f64::min);
    // The sum of all points, as if they fell like a normal density.
    let scale =
        0.5 * (2.0 * PI / saddle.curvature).ln() - spacing.ln() - (theta * (1.0 + theta)).ln();
    rest > PASSABLE_TAIL.ln() + scale + LN_HOPELESS
}
