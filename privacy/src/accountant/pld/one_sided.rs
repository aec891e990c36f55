//! A certified epsilon of one side: the ways that take little first, and then those that take longer.

use super::grid::{Question, Search};
use super::interval::Interval;
use super::mechanism::{Mechanism, Total};
use super::rounded::{Towards, rounded};
use super::{bounded, contour, dominated, single};
use crate::accountant::{Delta, gaussian};

/// The relative width of an interval that is narrow enough.
const NARROW: f64 = 3e-4;

/// Of more distinct mechanisms the contour is preferred, whatever it takes.
const MANY: usize = 16;

/// How much work may go into an answer.
struct Effort {
    /// Points of the contour, times nodes.
    contour: f64,
    /// Points of transforms on all grids together.
    grid: f64,
}

/// A few milliseconds, some tens of milliseconds, and half a second.
const EFFORTS: [Effort; 3] = [
    Effort {
        contour: 4e6,
        grid: 1e5,
    },
    Effort {
        contour: 1.5e7,
        grid: 1e6,
    },
    Effort {
        contour: MUCH_CONTOUR,
        grid: 1.2e7,
    },
];
const MUCH_CONTOUR: f64 = 6e7;

/// A certified epsilon of one side, which needn't be known closely where it is below `enough`.
pub(super) fn epsilon(total: &Total, delta: Delta, enough: f64) -> Interval {
    within(total, delta, enough, EFFORTS.len())
}

/// The same with the first so many efforts.
fn within(total: &Total, delta: Delta, enough: f64, efforts: usize) -> Interval {
    let ln_delta = delta.get().ln();
    if total.runs.is_empty() {
        let epsilon = gaussian::epsilon(total.mu_squared.sqrt(), delta).get();
        // The closed form is rounded up, by less than this.
        return Interval::between(epsilon * (1.0 - 1e-11), epsilon);
    }
    if let ([(Mechanism::Sampled { q, sigma }, 1)], true) =
        (total.runs.as_slice(), total.mu_squared == 0.0)
        && let Some(found) = single::epsilon(*q, *sigma, total.side, delta)
    {
        return found;
    }
    if total.variation() <= delta.get() {
        return Interval::ZERO;
    }
    let known = |found: Interval| found.is_within(NARROW) || found.upper() <= enough;
    let many = total.runs.len() > MANY;
    let mut search = Search::new(Question {
        runs: total.on_grid(),
        ln_delta,
        enough,
    });
    // All hold, so the truth lies in what they share.
    let mut found = total.by_largest_loss(ln_delta);
    for (place, effort) in EFFORTS.iter().enumerate().take(efforts) {
        if known(found) {
            return found;
        }
        // Each look at a grid takes as long for every mechanism.
        let work = if many { MUCH_CONTOUR } else { effort.contour };
        if !many || place == 0 {
            let smooth = contour::epsilon(total, ln_delta, work);
            found = found.and(smooth.unwrap_or(Interval::UNKNOWN));
        }
        if known(found) {
            return found;
        }
        let ask = |part: &Total, delta, enough| within(part, delta, enough, place + 1);
        found = found.and(bounded::epsilon(total, delta, &ask));
        if known(found) {
            return found;
        }
        found = found.and(dominated::epsilon(total, delta, enough, &ask));
        if known(found) {
            return found;
        }
        found = found.and(search.up_to(effort.grid));
    }
    if found.upper().is_finite() {
        return found;
    }
    if many {
        let by = |towards| rounded(total, towards, MANY);
        let ask = |total: &Total| within(total, delta, enough, efforts);
        let more = by(Towards::More).map(|more| ask(&more).upper());
        let less = by(Towards::Less).map(|less| ask(&less).lower());
        found = found.and(Interval::between(
            less.unwrap_or(0.0),
            more.unwrap_or(f64::INFINITY),
        ));
    }
    if found.upper().is_finite() {
        return found;
    }
    // Better than nothing.
    found.and(Interval::between(0.0, dominated::at_most(total, delta)))
}
