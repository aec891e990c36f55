//! From mechanisms to an interval for epsilon: grids are made finer until it is narrow.

use super::cell::{Component, Range};
use super::compose::Sum;
use super::ends::{lower, upper};
use super::law::{Bound, Law, Layout, Parts, highest, reach};
use super::spacing::Spacing;
use super::strays::Strays;
use super::tilting::{LN_NEGLIGIBLE, Seen, cumulants, right_alias};
use crate::accountant::pld::Interval;
use crate::accountant::pld::saddle::Saddle;

/// A mechanism and how often it runs.
pub(in crate::accountant::pld) type Run = (Vec<(f64, Component)>, u64);

/// The absolute width that is.
const NARROW_ABSOLUTE: f64 = 3e-10;

/// ln of the probability that any loss is smaller than what grids reach down to.
const LN_LOW: f64 = -16.0;

/// The relative error of δ that wide cells are to make at first, for every 1/θ of epsilon.
const FIRST_TOLERANCE: f64 = 1e-4;

/// No tilt is taken to lose more digits than this, as a logarithm, when cells are laid out.
const LN_MOST_LOST: f64 = 9.0;

/// What runs that fall back below epsilon may add, as a part of δ: ln of it.
const LN_STRAYS: f64 = -12.0;

/// Points of the first grid, and of the last.
const FIRST_SIZE: f64 = 2048.0;
const LAST_SIZE: f64 = 1_048_576.0;

/// Points of a first look at one mechanism.
const SKETCH: f64 = 1024.0;

/// A law whose losses are all but one is laid out as if they were so far apart.
const LEAST_WIDTH: f64 = 1e-10;

/// Grids that are tried, at most.
const MOST_GRIDS: u32 = 16;

/// Grids that may say nothing, before no more are tried.
const MOST_FAILURES: u32 = 2;

/// Points of a transform that take as long as one cell of a law.
const CELL_WORK: f64 = 3.0;

/// A larger part of an interval's width than this that is rounding: more points only add to it.
const BLURRED: f64 = 0.3;

/// A relative change of epsilon after which another tilt serves better.
const MOVED: f64 = 0.03;

/// More distinct mechanisms than this aren't put on grids: every look takes as long for each.
const MOST_DISTINCT: usize = 64;

/// More runs than that leave no digits.
const MOST_RUNS: f64 = 1e12;

/// What is asked: an epsilon of `runs` at δ = e^`ln_delta`, seen from P's side.
pub(in crate::accountant::pld) struct Question {
    pub(in crate::accountant::pld) runs: Vec<Run>,
    pub(in crate::accountant::pld) ln_delta: f64,
    /// An epsilon below this needn't be known more closely.
    pub(in crate::accountant::pld) enough: f64,
}

/// Grids, one finer than the other, and what they have said so far.
pub(in crate::accountant::pld) struct Search {
    question: Question,
    found: Interval,
    next: Next,
    work: f64,
    grids: u32,
    failures: u32,
}

/// Which grid comes next.
enum Next {
    First,
    /// This one, of which so much work is expected.
    Plan(Box<Plan>, f64),
    Nothing,
}

impl Search {
    pub(in crate::accountant::pld) fn new(question: Question) -> Self {
        Self {
            question,
            found: Interval::UNKNOWN,
            next: Next::First,
            work: 0.0,
            grids: 0,
            failures: 0,
        }
    }

    /// A certified interval for epsilon that is as narrow as that, relative, or what so many points of transforms say,
    /// those of earlier calls among them; [`Interval::UNKNOWN`] where nothing can be said.
    pub(in crate::accountant::pld) fn up_to(&mut self, most_work: f64, narrow: f64) -> Interval {
        loop {
            let plan = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::First => Plan::sketch(&self.question),
                Next::Plan(plan, work) if self.work + work > most_work => {
                    self.next = Next::Plan(plan, work);
                    None
                }
                Next::Plan(plan, _) => Some(*plan),
                Next::Nothing => None,
            };
            let Some(plan) = plan else {
                return self.found;
            };
            let this = plan.solve(&self.question);
            self.found = self.found.and(this.interval);
            self.work += this.work;
            self.grids += 1;
            self.failures += u32::from(this.interval.upper().is_infinite());
            if self.grids < MOST_GRIDS && self.failures <= MOST_FAILURES && !self.is_known(narrow) {
                self.next = match plan.next(&self.question, self.found, &this, narrow) {
                    // So much for each point of this grid, and as much again where there are more.
                    Some(next) => {
                        let work = this.work * (next.size / plan.size);
                        Next::Plan(Box::new(next), work)
                    }
                    None => Next::Nothing,
                };
            }
        }
    }

    fn is_known(&self, narrow: f64) -> bool {
        self.found.is_within(narrow)
            || self.found.width() < NARROW_ABSOLUTE
            || self.found.upper() <= self.question.enough
    }
}

/// What came of a grid.
struct Solved {
    interval: Interval,
    /// Whether rounding makes much of its width.
    blurred: bool,
    work: f64,
}

/// A grid, and the tilt it is looked at with.
#[derive(Clone, Debug)]
struct Plan {
    step: f64,
    size: f64,
    theta: f64,
    /// Where epsilon is thought to be.
    epsilon: f64,
    ln_rare: f64,
    ln_low: f64,
    /// Losses above this are put together; infinite for none.
    cut: f64,
    strays: Strays,
    /// How finely each mechanism is laid out, and the relative error of δ that this is to make.
    spacings: Vec<Spacing>,
    tolerance: f64,
}

impl Plan {
    /// A first one, from coarse laws.
    fn sketch(question: &Question) -> Option<Self> {
        let (runs, ln_delta) = (&question.runs, question.ln_delta);
        let times: f64 = runs.iter().map(|(_, count)| *count as f64).sum();
        if times > MOST_RUNS
            || runs.len() > MOST_DISTINCT
            || ln_delta + LN_NEGLIGIBLE - times.ln() < -700.0
        {
            return None;
        }
        let ln_rare = ln_delta + LN_NEGLIGIBLE - times.ln();
        Self {
            step: 0.0,
            size: FIRST_SIZE,
            theta: 0.0,
            epsilon: 0.0,
            ln_rare,
            ln_low: (LN_LOW - times.ln()).max(ln_rare),
            cut: f64::INFINITY,
            strays: Strays::NONE,
            spacings: Vec::new(),
            tolerance: FIRST_TOLERANCE,
        }
        .looking_at(question, Interval::UNKNOWN)
    }

    /// Coarse laws from above, each on a grid of its own: enough to steer by, and to bound what lies far out.
    fn sketches(&self, runs: &[Run]) -> Option<Vec<(Law, u64)>> {
        let every = Spacing::default();
        let sketch = |(parts, count): &Run| {
            let layout = self.layout(self.width(parts) / SKETCH, &every);
            Some((Law::new(Bound::Upper, parts, layout)?, *count))
        };
        runs.iter().map(sketch).collect()
    }

    fn layout<'a>(&self, step: f64, spacing: &'a Spacing) -> Layout<'a> {
        Layout {
            step,
            spacing,
            ln_rare: self.ln_rare,
            ln_low: self.ln_low,
            cut: self.cut,
            theta: self.theta,
        }
    }

    /// The distance between the ends of a mechanism's losses, as far as they are laid out.
    fn width(&self, parts: &Parts) -> f64 {
        let Range { low, high } = reach(parts, self.ln_low, self.ln_rare);
        (high.min(self.cut) - low).max(LEAST_WIDTH)
    }

    /// The same number of points, tilted and spread by what is known of epsilon.
    fn looking_at(self, question: &Question, found: Interval) -> Option<Self> {
        let (runs, ln_delta) = (&question.runs, question.ln_delta);
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
        let seen = Seen {
            size: self.size,
            laws: &laws,
            ln_delta,
        };
        let (theta, period) = seen.tilt(saddle.theta, epsilon)?;
        let step = aligned(runs, period / self.size);
        let moment = cumulants(theta)?.log_moment;
        // What one loss of this size has of δ, at most: it, and the others making up the rest.
        let ln_rest = (moment - theta * epsilon - ln_delta).min(LN_MOST_LOST);
        let matters = |loss: f64, own: f64| (theta * loss - own + ln_rest).min(-ln_delta);
        let tolerance = self.tolerance * (theta * epsilon).clamp(0.3, 30.0);
        let spacings = laws
            .iter()
            .map(|(law, count)| {
                let ln_count = (*count as f64).ln();
                let own = law.cumulants(theta).log_moment;
                let stretches =
                    law.stretches(|loss, ln_p| (ln_count + ln_p + matters(loss, own)).exp());
                Spacing::of(&stretches, theta, tolerance)
            })
            .collect();
        Some(Self {
            step,
            theta,
            epsilon,
            spacings,
            ..self
        })
    }

    /// Upper and lower bounds on epsilon by this grid.
    fn solve(&self, question: &Question) -> Solved {
        let mut found = Solved {
            interval: Interval::UNKNOWN,
            blurred: false,
            work: 0.0,
        };
        let Some(sketches) = self.sketches(&question.runs) else {
            return found;
        };
        // The sketches bound the lower laws, too, from above, as far as these reach.
        let moments = |theta: f64| cumulants(&sketches, theta);
        let period = self.step * self.size;
        let right = right_alias(&moments, self.theta, self.epsilon, period);
        let mut blur: f64 = 0.0;
        let mut solved = |bound: Bound| {
            let laws = self.laws(bound, &question.runs)?;
            let points = laws.iter().map(|(law, _)| law.points.len() as f64);
            found.work += CELL_WORK * points.sum::<f64>() + self.size * (1.0 + laws.len() as f64);
            let (size, delta) = (self.size as usize, question.ln_delta.exp());
            let sum = Sum::new(bound, &laws, self.theta, size, right, self.strays)?;
            let epsilon = match bound {
                Bound::Upper => upper(&sum, delta, self.epsilon, 1.0 / self.theta),
                Bound::Lower => lower(&sum, delta, self.epsilon, 1.0 / self.theta),
            }?;
            if bound == Bound::Upper {
                blur = sum.ln_error(epsilon).exp() / (delta * self.theta);
            }
            Some(epsilon)
        };
        let upper = solved(Bound::Upper).unwrap_or(f64::INFINITY);
        let lower = solved(Bound::Lower).unwrap_or(0.0);
        found.interval = Interval::between(lower, upper);
        found.blurred = blur > BLURRED * found.interval.width();
        found
    }

    fn laws(&self, bound: Bound, runs: &[Run]) -> Option<Vec<(Law, u64)>> {
        let runs = runs.iter().zip(&self.spacings);
        runs.map(|((parts, count), spacing)| {
            let law = Law::new(bound, parts, self.layout(self.step, spacing))?;
            Some((law, *count))
        })
        .collect()
    }

    /// Another grid after this one gave `this`, and all so far `found`: where epsilon is elsewhere than it was
    /// thought to be, one that looks there, and else a finer one. None where that wouldn't help.
    fn next(
        &self,
        question: &Question,
        found: Interval,
        this: &Solved,
        narrow: f64,
    ) -> Option<Self> {
        let (cut, strays) = self.cut(question, found);
        let moved = (found.upper() - self.epsilon).abs() > MOVED * found.upper();
        if moved || cut < 0.7 * self.cut {
            let there = Self {
                cut,
                strays,
                ..self.clone()
            };
            return there.looking_at(question, found);
        }
        // Where rounding takes the digits, more points only add to it.
        if self.size >= LAST_SIZE || this.blurred {
            return None;
        }
        let wanted = (narrow * found.upper()).max(NARROW_ABSOLUTE);
        let lacking = (found.width() / wanted).sqrt() * 1.3;
        let factor = lacking.log2().ceil().clamp(1.0, 2.0).exp2();
        let factor = if lacking.is_finite() { factor } else { 4.0 };
        Self {
            size: (self.size * factor).min(LAST_SIZE),
            tolerance: self.tolerance / factor,
            cut,
            strays,
            ..self.clone()
        }
        .looking_at(question, found)
    }

    /// Above which losses can be put together, so that a grid need not reach as far as the largest ones:
    /// runs with such a loss hardly ever have a total below epsilon.
    fn cut(&self, question: &Question, found: Interval) -> (f64, Strays) {
        // Beyond the largest losses nothing is cut off.
        let highest = highest(&question.runs, self.ln_rare);
        let enough = question.ln_delta + LN_STRAYS;
        Strays::least(&question.runs, found.upper(), enough, highest)
            .unwrap_or((f64::INFINITY, Strays::NONE))
    }
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
