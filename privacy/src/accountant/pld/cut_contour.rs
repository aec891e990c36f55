//! The contour without the largest losses.
//!
//! Where hardly a run is seen, a few large losses keep θ small, and with it the distance of the points that a contour
//! needs large in number. But a run with such a loss has δ P - e^ε Q, whatever else happens, unless its total falls back
//! below ε, which hardly ever happens. Without them θ is as large as epsilon asks for
//! (privacy/proofs/contour.md, "Without the largest losses").

use super::Interval;
use super::aliases::period;
use super::composition::Composition;
use super::contour::Attempt;
use super::cut::Cut;
use super::grid::{Run, Strays, highest};
use super::left_out::LeftOut;
use super::mixture::TiltedMixture;
use super::outlook;
use super::saddle::Saddle;
use super::sampled_gaussian::Side;
use super::tilted::TiltedLaw;
use super::total::Total;
use crate::accountant::Delta;

/// The relative width of an interval that is narrow enough.
const NARROW: f64 = 3e-4;

/// Contours that are tried, each with what the one before said of epsilon.
const MOST_TRIES: usize = 4;

/// The first cut serves so much more than what epsilon is likely to be, and each further one so much more than the last.
const AT_FIRST: f64 = 1.1;
const FURTHER: f64 = 1.5;

/// Tilts that are tried for one cut, until one is about what the cut was made for.
const MOST_TILTS: usize = 3;

/// Of δ so much at least is taken to be left for runs of which nothing was left out, when a tilt is looked for.
const LEAST_REST: f64 = 0.01;

/// Times the tilt that serves all losses: with one that isn't as large, nothing is gained.
const WORTHWHILE: f64 = 1.3;

/// What runs that fall back below epsilon may add, as a part of δ: ln of it.
const LN_STRAYS: f64 = -12.0;

/// ln of what is rare, as a part of δ.
const LN_NEGLIGIBLE: f64 = -17.0;

/// A moment whose quadrature errs by more bounds nothing.
const CLOSE: f64 = 1e-10;

/// Contours of a total without its largest losses, each with what the one before said of epsilon.
pub(super) struct Search {
    total: Total,
    delta: Delta,
    found: Interval,
    /// What grids have, with the largest loss that isn't rare.
    runs: Vec<Run>,
    highest: f64,
    near: Near,
    whole: f64,
    attempt: Option<Attempt>,
    tries: usize,
}

/// What is thought of epsilon.
#[derive(Clone, Copy, Debug)]
enum Near {
    Likely(f64),
    /// It isn't more than this, and not much less.
    Known(f64),
}

impl Near {
    fn epsilon(self) -> f64 {
        match self {
            Self::Likely(epsilon) | Self::Known(epsilon) => epsilon,
        }
    }
}

impl Search {
    /// None where nothing can be left out. `whole` is the tilt that serves all losses, where one does.
    pub(super) fn new(total: &Total, delta: Delta, whole: Option<f64>) -> Option<Self> {
        if total.side == Side::Add {
            return None;
        }
        let runs = total.on_grid();
        let rare = delta.get().ln() + LN_NEGLIGIBLE - total.count().ln();
        let highest = highest(&runs, rare);
        let likely = outlook::epsilon(total, delta.get(), highest)?;
        Some(Self {
            total: total.clone(),
            delta,
            found: Interval::UNKNOWN,
            runs,
            highest,
            near: Near::Likely(AT_FIRST * likely),
            whole: whole.unwrap_or(0.0),
            attempt: None,
            tries: 0,
        })
    }

    /// An interval for epsilon, with so much work at most for one look at all points of a contour;
    /// [`Interval::UNKNOWN`] where this says nothing.
    pub(super) fn up_to(&mut self, most_work: f64) -> Interval {
        let ln_delta = self.delta.get().ln();
        while self.tries < MOST_TRIES && !self.is_known() {
            let attempt = self.attempt.take().or_else(|| self.attempt());
            let Some(mut attempt) = attempt else {
                self.tries = MOST_TRIES;
                break;
            };
            let Some(this) = attempt.up_to(ln_delta, most_work) else {
                self.attempt = Some(attempt);
                break;
            };
            self.tries += 1;
            self.found = self.found.and(this);
            self.near = if self.found.upper() > self.near.epsilon() {
                Near::Likely(FURTHER * self.near.epsilon())
            } else {
                Near::Known(self.found.upper())
            };
        }
        self.found
    }

    fn is_known(&self) -> bool {
        self.found.is_within(NARROW) || self.found.upper() == 0.0
    }

    /// A contour without losses that an epsilon of about `near` can do without.
    fn attempt(&self) -> Option<Attempt> {
        let delta = self.delta.get();
        let near = self.near.epsilon();
        let least = Strays::least(&self.runs, near, delta.ln() + LN_STRAYS, self.highest);
        // Or else without losses that are rare, whatever becomes of such runs.
        let (loss, strays) = least.unwrap_or((self.highest, Strays::UNKNOWN));
        // About as far as losses matter that are kept.
        let mut theta = -delta.ln() / near;
        for _ in 0..MOST_TILTS {
            let whole = Composition::of(&self.total)?;
            let composition = whole.without_above(loss, theta, delta, strays)?;
            // What is left for the others.
            let rest = (delta - composition.left_out.at_least(near)).max(LEAST_REST * delta);
            let cumulants = |theta: f64| composition.cumulants(theta);
            let saddle = match self.near {
                Near::Likely(_) => Saddle::of(&cumulants, rest.ln())?,
                Near::Known(epsilon) => Saddle::near(&cumulants, epsilon, theta)?,
            };
            if saddle.theta < WORTHWHILE * self.whole {
                return None;
            }
            let fits = saddle.theta < 2.0 * theta && saddle.theta > 0.5 * theta;
            if fits {
                let moment = |theta: f64| composition.moment_at_most(theta);
                let line = period(&moment, &saddle, rest.ln())?;
                return Some(Attempt::new(composition, saddle, line));
            }
            theta = saddle.theta;
        }
        None
    }
}

impl Composition {
    /// Without outcomes of sampled Gaussians whose losses are above `loss`; None where there are none.
    fn without_above(mut self, loss: f64, theta: f64, delta: f64, strays: Strays) -> Option<Self> {
        let all: f64 = self.laws.iter().map(|(_, times)| times).sum();
        let little = LN_STRAYS.exp() * delta / all;
        let (mut ln_p_none, mut ln_q_none, mut small) = (0.0, 0.0, 0.0);
        for (law, times) in &mut self.laws {
            let [(_, law)] = law.as_mut_slice() else {
                return None;
            };
            let Some(cut) = Cut::above(*law, loss, theta, little) else {
                continue;
            };
            law.cut = Some(cut);
            let (p, q) = cut.left_out(law);
            ln_p_none += *times * (-p).ln_1p();
            ln_q_none += *times * (-q).ln_1p();
            small += *times * cut.left_out_below(law);
        }
        self.left_out = LeftOut {
            p: -ln_p_none.exp_m1(),
            ln_q: (-ln_q_none.exp_m1()).ln(),
            ln_small: small.ln(),
            strays,
        };
        self.laws
            .iter()
            .flat_map(|(law, _)| law)
            .any(|(_, law)| law.cut.is_some())
            .then_some(self)
    }

    /// An upper bound on ln of the moment generating function; None where it isn't a close one.
    fn moment_at_most(&self, theta: f64) -> Option<f64> {
        let mut errors = 0.0;
        for (law, times) in &self.laws {
            let law = TiltedMixture::new(law, |law| TiltedLaw::new(law, theta, 0.0))?;
            let error = law.error(0.0);
            // An error that is no number isn't small.
            let is_close = error < CLOSE;
            if !is_close {
                return None;
            }
            errors += times * error;
        }
        let moment = self.cumulants(theta)?.log_moment;
        Some(moment + 1e-12 * moment.abs() + 2.0 * errors)
    }
}
