//! The PLD accountant: counts of distinct mechanisms, and a certified epsilon of them all.

use std::collections::BTreeMap;

use super::Interval;
use super::cells::Weighting;
use super::contour;
use super::convolution::{self, Repeated};
use super::mechanism::{Cells, Mechanism, Total};
use super::memo;
use super::sampled_gaussian::Side;
use crate::accountant::event::MechanismEvent;
use crate::accountant::leaf::{Leaf, flatten};
use crate::accountant::{
    Accountant, AccountingError, Delta, Epsilon, RdpAccountant, binomial, gaussian,
};
use crate::unit::Adjacency;

/// Adds up mechanisms by their privacy-loss distributions. Where nothing was sampled it
/// uses the exact closed form of the Gaussian mechanism.
///
/// Nothing is precomputed: a question takes about a millisecond however many rounds were
/// composed before, so "what would one more cost?" costs no more than the first question.
#[derive(Clone, Debug)]
pub struct PldAccountant {
    adjacency: Adjacency,
    counts: BTreeMap<Leaf, u64>,
    /// Serves where losses leave the range of floats.
    fallback: Option<RdpAccountant>,
}

/// Counts up to here are exact as floats.
const LARGEST_COUNT: u64 = 1 << 53;

/// Cells of a distribution: the first try, which shows where they are needed, and the next
/// ones, until the interval is narrow.
const CELLS: [usize; 6] = [250, 500, 1000, 2000, 4000, 8000];

/// The same where the answer is wanted fast.
const QUICK: [usize; 2] = [250, 500];

/// The relative width of an interval that is narrow enough.
const NARROW: f64 = 1.5e-4;

/// The relative width of an interval below which no other bound is asked for.
const CERTAIN: f64 = 1e-6;

/// Cells where a single mechanism runs once, and nothing needs convolving.
const CELLS_OF_ONE: usize = 6000;

/// The tilt that cells are chosen by where none was found.
const FALLBACK_TILT: f64 = 100.0;

impl PldAccountant {
    /// An accountant that has seen nothing.
    pub fn new(adjacency: Adjacency) -> Self {
        Self {
            adjacency,
            counts: BTreeMap::new(),
            fallback: Some(RdpAccountant::new(adjacency)),
        }
    }

    /// Two bounds on epsilon at `delta` of everything composed so far. Where losses are so
    /// large that they leave the range of floats, the upper one is that of RDP and the
    /// lower one zero.
    pub fn interval(&self, delta: Delta) -> Interval {
        self.bounds(delta, &CELLS)
    }

    /// [`Self::interval`] with at most these numbers of cells.
    fn bounds(&self, delta: Delta, cells: &[usize]) -> Interval {
        if self.protects_nobody() {
            return Interval {
                lower: f64::INFINITY,
                upper: f64::INFINITY,
            };
        }
        let totals: Vec<Total> = match self.adjacency {
            Adjacency::AddOrRemove | Adjacency::ZeroOut => vec![Side::Remove, Side::Add],
            Adjacency::ReplaceOne => vec![Side::Replace],
        }
        .into_iter()
        .map(|side| self.total(side))
        .collect();
        let mut interval = Interval::ZERO;
        for total in totals {
            if total.runs.is_empty() {
                let epsilon = gaussian::epsilon(total.mu_squared.sqrt(), delta).get();
                // The closed form is rounded up, by less than this.
                return Interval {
                    lower: epsilon * (1.0 - 1e-11),
                    upper: epsilon,
                };
            }
            // The second side can't matter where its epsilon is surely smaller.
            let smaller = total.largest_loss() <= interval.lower
                || contour::is_below(&total, interval.lower, delta.get().ln());
            if !(interval.lower > 0.0 && smaller) {
                interval = interval.max(one_sided(&total, delta, cells));
            }
        }
        if interval.upper.is_finite() {
            return interval;
        }
        let upper = self.fallback.as_ref().map(|rdp| rdp.epsilon(delta).get());
        Interval {
            lower: interval.lower,
            upper: upper.unwrap_or(f64::INFINITY),
        }
    }

    /// Whether something without any protection was composed.
    fn protects_nobody(&self) -> bool {
        self.counts.get(&Leaf::NonPrivate).is_some_and(|&n| n > 0)
    }

    /// Everything composed, as seen from one side.
    fn total(&self, side: Side) -> Total {
        let sensitivity = if side == Side::Replace { 2.0 } else { 1.0 };
        let mut total = Total {
            side,
            mu_squared: 0.0,
            runs: Vec::new(),
        };
        for (&leaf, &count) in &self.counts {
            if count == 0 {
                continue;
            }
            match leaf {
                Leaf::Gaussian { q, sigma } if q.get() == 1.0 => {
                    let mu = sensitivity / sigma.get();
                    total.mu_squared += count as f64 * mu * mu;
                }
                _ => total
                    .runs
                    .extend(mechanism(leaf, sensitivity).map(|m| (m, count))),
            }
        }
        total
    }

    /// Why a mechanism can't be accounted for under this adjacency, if it can't.
    fn check(&self, leaf: Leaf) -> Result<(), AccountingError> {
        let supported = match leaf {
            Leaf::FixedSize { .. } => false,
            Leaf::Laplace { q, .. } => q.get() == 1.0 || self.adjacency != Adjacency::ReplaceOne,
            _ => true,
        };
        if supported {
            Ok(())
        } else {
            Err(AccountingError::Unsupported {
                accountant: "pld",
                mechanism: leaf.name(),
                adjacency: self.adjacency,
            })
        }
    }
}

/// A leaf as a mechanism; None for those that [`PldAccountant::check`] refuses.
fn mechanism(leaf: Leaf, sensitivity: f64) -> Option<Mechanism> {
    Some(match leaf {
        // The law of `Side::Replace` has the doubled sensitivity in itself.
        Leaf::Gaussian { q, sigma } => Mechanism::Sampled {
            q: q.get(),
            sigma: sigma.get(),
        },
        Leaf::Laplace { q, scale } => Mechanism::Laplace {
            q: q.get(),
            scale: scale.get() / sensitivity,
        },
        Leaf::DiscreteLaplace {
            parameter,
            sensitivity: units,
        } => Mechanism::DiscreteLaplace {
            parameter: parameter.get(),
            sensitivity: if sensitivity > 1.0 {
                units.saturating_mul(2)
            } else {
                units
            },
        },
        Leaf::Truncated {
            units,
            q,
            batch,
            sigma,
        } => {
            let (q, sigma) = (q.get(), sigma.get());
            let share = binomial::upper_tail(units - 1, q, batch);
            if share <= 0.0 {
                return Some(Mechanism::Sampled { q, sigma });
            }
            let kept = batch as f64 / units as f64;
            let q_when_cut =
                (binomial::upper_tail(units, q, batch + 1) * kept / share).clamp(1e-300, 1.0);
            Mechanism::Truncated {
                q,
                sigma,
                share: share.min(1.0),
                q_when_cut,
            }
        }
        Leaf::FixedSize { .. } | Leaf::NonPrivate => return None,
    })
}

/// A certified epsilon of one side.
fn one_sided(total: &Total, delta: Delta, cells: &[usize]) -> Interval {
    let ln_delta = delta.get().ln();
    let single = total.mu_squared == 0.0 && matches!(total.runs.as_slice(), [(_, 1)]);
    if let (true, Some(&(Mechanism::Sampled { q, sigma }, _))) = (single, total.runs.first())
        && let Some(found) = super::single::epsilon(q, sigma, total.side, delta)
    {
        return found;
    }
    // With very many rounds, rare large losses and a small δ, rounding can take the contour's
    // digits. Its interval holds all the same, as that of the convolution does: so the truth
    // lies in what they share.
    let smooth = contour::epsilon(total, ln_delta);
    if let Some(found) = smooth.filter(|found| found.is_within(NARROW)) {
        return found;
    }
    let smooth = smooth.unwrap_or(Interval::UNKNOWN);
    let reach = total.reach(ln_delta);
    let theta = contour::tilt(total, ln_delta, reach).unwrap_or(FALLBACK_TILT);
    let tries: &[usize] = if single { &[600, CELLS_OF_ONE] } else { cells };
    let mut weighting = Weighting::Tilted(theta);
    let mut best = Interval::UNKNOWN;
    for &count in tries {
        let cells = Cells {
            weighting: &weighting,
            theta,
            reach,
            count,
        };
        let mechanisms: Vec<Repeated> = total
            .pairs(cells)
            .map(|(pair, count)| Repeated { pair, count })
            .collect();
        let (found, better) =
            convolution::epsilon(&mechanisms, &weighting, theta, delta.get(), count);
        // A first look that was far off teaches to look in the wrong place: begin anew then.
        let improved = found.lower > best.lower || found.upper < best.upper;
        weighting = better
            .filter(|_| improved)
            .unwrap_or(Weighting::Tilted(theta));
        best = best.and(found);
        if best.and(smooth).is_within(NARROW) {
            break;
        }
    }
    best.and(smooth)
}

impl Accountant for PldAccountant {
    fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    fn compose(&mut self, event: &MechanismEvent, count: u64) -> Result<(), AccountingError> {
        let mut leaves = Vec::new();
        flatten(event, count, &mut leaves)?;
        let mut counts = self.counts.clone();
        for (leaf, count) in leaves {
            self.check(leaf)?;
            let total = counts.entry(leaf).or_default();
            *total = total
                .checked_add(count)
                .filter(|&total| total <= LARGEST_COUNT)
                .ok_or(AccountingError::TooMany)?;
        }
        self.counts = counts;
        // RDP knows fewer mechanisms; once it has missed one it is of no use.
        if let Some(fallback) = &mut self.fallback
            && fallback.compose(event, count).is_err()
        {
            self.fallback = None;
        }
        Ok(())
    }

    /// The upper bound, for a gate before every round: where the convolution is needed, as
    /// tight as few cells make it, and never above that of RDP.
    fn epsilon(&self, delta: Delta) -> Epsilon {
        if self.protects_nobody() {
            return Epsilon::INFINITE;
        }
        let question = memo::question(self.adjacency, &self.counts, delta);
        let compute = || {
            let interval = self.bounds(delta, &QUICK);
            let upper = interval.upper;
            if interval.is_within(CERTAIN) {
                return upper;
            }
            let renyi = self.fallback.as_ref().map(|rdp| rdp.epsilon(delta).get());
            renyi.map_or(upper, |renyi| upper.min(renyi))
        };
        Epsilon::at_least_zero(memo::answer(question, compute))
    }
}
