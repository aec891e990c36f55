//! A certified epsilon of one side: the ways that take little first, and then those that take longer.

use super::grid::{self, Question};
use super::interval::Interval;
use super::loss::Loss;
use super::rounded::{Towards, rounded};
use super::total::Total;
use super::{bounded, contour, cut_contour, dominated, single};
use crate::accountant::{Delta, gaussian};

/// Of more distinct mechanisms the contour is preferred, whatever it takes.
const MANY: usize = 16;

/// How much work may go into an answer.
struct Effort {
    /// Points of the contour, times nodes.
    contour: f64,
    /// Points of transforms on all grids together.
    grid: f64,
    /// The relative width of an interval that is narrow enough.
    narrow: f64,
}

/// A few milliseconds, some tens of milliseconds, and half a second.
const EFFORTS: [Effort; 3] = [
    Effort {
        contour: 4e6,
        grid: 1e5,
        narrow: 3e-4,
    },
    Effort {
        contour: 1.5e7,
        grid: 1e6,
        narrow: 3e-4,
    },
    Effort {
        contour: MUCH_CONTOUR,
        grid: 1.2e7,
        narrow: 7e-4,
    },
];
const MUCH_CONTOUR: f64 = 6e7;

/// A cut contour that takes more hardly ever comes to an end.
const MOST_CUT: f64 = 1.5e7;

/// A certified epsilon of one side, which needn't be known closely where it is below `enough`.
pub(super) fn epsilon(total: &Total, delta: Delta, enough: f64) -> Interval {
    Inquiry::new(total, delta, enough).up_to(EFFORTS.len())
}

/// Of more distinct mechanisms than this the second side is first looked at coarsely.
const VERY_MANY: usize = 64;

/// Whether a coarse look comes first where next to nothing is asked for.
pub(super) fn begins_coarsely(total: &Total) -> bool {
    total.runs.len() > VERY_MANY
}

/// Whether there are so many distinct mechanisms that some ways take too long.
fn is_many(total: &Total) -> bool {
    total.runs.len() > MANY
}

/// What was found of one epsilon so far, and where each way of finding more has got to. Parts of the total are
/// inquired into by themselves; what was found of them is kept, too.
struct Inquiry {
    total: Total,
    delta: Delta,
    enough: f64,
    found: Interval,
    /// The first effort that wasn't made yet.
    place: usize,
    smooth: Way<contour::Attempt>,
    cut: Way<cut_contour::Search>,
    bounded: Way<bounded::Plan>,
    dominated: Way<dominated::Plan>,
    grid: Way<grid::Search>,
    parts: Vec<Inquiry>,
}

/// A way of finding an epsilon.
enum Way<T> {
    NotTried,
    /// It says nothing here.
    Closed,
    Open(T),
}

impl<T> Way<T> {
    /// What there is of it, begun with `begin` if it wasn't tried yet.
    fn open(&mut self, begin: impl FnOnce() -> Option<T>) -> Option<&mut T> {
        if let Self::NotTried = self {
            *self = begin().map_or(Self::Closed, Self::Open);
        }
        match self {
            Self::Open(way) => Some(way),
            _ => None,
        }
    }
}

impl Inquiry {
    fn new(total: &Total, delta: Delta, enough: f64) -> Self {
        Self {
            total: total.clone(),
            delta,
            enough,
            found: Interval::UNKNOWN,
            place: 0,
            smooth: Way::NotTried,
            cut: Way::NotTried,
            bounded: Way::NotTried,
            dominated: Way::NotTried,
            grid: Way::NotTried,
            parts: Vec::new(),
        }
    }

    /// Epsilon by the first so many efforts.
    fn up_to(&mut self, efforts: usize) -> Interval {
        if self.place == 0 {
            self.found = self.at_once();
        }
        for effort in EFFORTS.iter().take(efforts).skip(self.place) {
            if self.is_known(effort) {
                break;
            }
            self.make(self.place, effort);
            self.place += 1;
        }
        if efforts >= EFFORTS.len() && self.found.upper().is_infinite() {
            self.found = self.found.and(self.at_last());
        }
        self.found
    }

    fn is_known(&self, effort: &Effort) -> bool {
        self.found.is_within(effort.narrow) || self.found.upper() <= self.enough
    }

    /// By closed forms.
    fn at_once(&self) -> Interval {
        let (total, delta) = (&self.total, self.delta);
        if total.runs.is_empty() {
            let epsilon = gaussian::epsilon(total.mu_squared.sqrt(), delta).get();
            // The closed form is rounded up, by less than this.
            return Interval::between(epsilon * (1.0 - 1e-11), epsilon);
        }
        if let ([(Loss::Sampled { q, sigma }, 1)], true) =
            (total.runs.as_slice(), total.mu_squared == 0.0)
            && let Some(found) = single::epsilon(*q, *sigma, total.side, delta)
        {
            return found;
        }
        if total.variation() <= delta.get() {
            return Interval::ZERO;
        }
        // Where next to nothing is asked for, a coarse look may do.
        if begins_coarsely(&self.total) && self.enough > 0.0 {
            let upper = self.rounded(Towards::More).upper();
            if upper <= self.enough {
                return Interval::between(0.0, upper);
            }
        }
        total.by_largest_loss(delta.get().ln())
    }

    /// The effort at this place, until epsilon is known. All intervals hold, so the truth lies in what they share.
    fn make(&mut self, place: usize, effort: &Effort) {
        let ways = [
            Self::by_contour,
            Self::by_cut_contour,
            Self::by_largest_loss,
            Self::by_dearest,
            Self::by_grid,
        ];
        for way in ways {
            let found = way(self, place, effort);
            self.found = self.found.and(found);
            if self.is_known(effort) {
                return;
            }
        }
    }

    fn by_contour(&mut self, place: usize, effort: &Effort) -> Interval {
        // Each look at a grid takes as long for every mechanism.
        if is_many(&self.total) && place > 0 {
            return Interval::UNKNOWN;
        }
        let work = if is_many(&self.total) {
            MUCH_CONTOUR
        } else {
            effort.contour
        };
        let ln_delta = self.delta.get().ln();
        let attempt = self
            .smooth
            .open(|| contour::Attempt::of(&self.total, ln_delta));
        let found = attempt.and_then(|attempt| attempt.up_to(ln_delta, work));
        found.unwrap_or(Interval::UNKNOWN)
    }

    fn by_cut_contour(&mut self, _: usize, effort: &Effort) -> Interval {
        if is_many(&self.total) {
            return Interval::UNKNOWN;
        }
        let whole = match &self.smooth {
            Way::Open(attempt) => Some(attempt.tilt()),
            _ => None,
        };
        let search = self
            .cut
            .open(|| cut_contour::Search::new(&self.total, self.delta, whole));
        let work = effort.contour.min(MOST_CUT);
        search.map_or(Interval::UNKNOWN, |search| search.up_to(work))
    }

    fn by_largest_loss(&mut self, place: usize, _: &Effort) -> Interval {
        let plan = self
            .bounded
            .open(|| bounded::Plan::new(&self.total, self.delta));
        let Some(plan) = plan.copied() else {
            return Interval::UNKNOWN;
        };
        let (_, others) = self.total.bounded();
        plan.epsilon(self.delta, &mut |delta| {
            self.ask(&others, delta, 0.0, place)
        })
    }

    fn by_dearest(&mut self, place: usize, _: &Effort) -> Interval {
        let plan = self
            .dominated
            .open(|| dominated::Plan::new(&self.total, self.delta));
        let Some(plan) = plan.cloned() else {
            return Interval::UNKNOWN;
        };
        let enough = self.enough;
        plan.epsilon(self.delta, enough, &mut |part, delta| {
            self.ask(part, delta, enough, place)
        })
    }

    fn by_grid(&mut self, _: usize, effort: &Effort) -> Interval {
        let question = || Question {
            runs: self.total.on_grid(),
            ln_delta: self.delta.get().ln(),
            enough: self.enough,
        };
        let search = self.grid.open(|| Some(grid::Search::new(question())));
        search.map_or(Interval::UNKNOWN, |search| {
            search.up_to(effort.grid, effort.narrow)
        })
    }

    /// The epsilon of a part of the total, with the efforts up to this place.
    fn ask(&mut self, part: &Total, delta: Delta, enough: f64, place: usize) -> Interval {
        let same =
            |asked: &Self| asked.delta == delta && asked.enough == enough && asked.total == *part;
        let known = self.parts.iter_mut().find(|asked| same(asked));
        match known {
            Some(asked) => asked.up_to(place + 1),
            None => {
                let mut asked = Self::new(part, delta, enough);
                let found = asked.up_to(place + 1);
                self.parts.push(asked);
                found
            }
        }
    }

    /// The epsilon of the total with its parameters rounded so that few distinct mechanisms are left.
    fn rounded(&self, towards: Towards) -> Interval {
        let rounded = rounded(&self.total, towards, MANY);
        rounded.map_or(Interval::UNKNOWN, |total| {
            epsilon(&total, self.delta, self.enough)
        })
    }

    /// Where no effort has found an upper end.
    fn at_last(&self) -> Interval {
        let mut found = Interval::UNKNOWN;
        if is_many(&self.total) {
            let (less, more) = (self.rounded(Towards::Less), self.rounded(Towards::More));
            found = Interval::between(less.lower(), more.upper());
        }
        if found.upper().is_finite() {
            return found;
        }
        // Better than nothing.
        found.and(Interval::between(
            0.0,
            dominated::at_most(&self.total, self.delta),
        ))
    }
}
