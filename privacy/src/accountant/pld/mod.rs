//! Privacy-loss distributions: epsilon as a certified interval.
//!
//! Where the integrand falls fast, `contour` gives ten digits in well under a
//! millisecond. Everywhere else `grid` composes losses on a grid that bound the
//! mechanism's from above and from below. Either is a proof, not an estimate: the truth
//! lies between the two ends (`privacy/proofs/contour.md`, `privacy/proofs/grid.md`).

mod aliases;
mod bounded;
mod closed;
mod composition;
mod contour;
mod coupling;
mod cumulants;
mod cut;
mod cut_contour;
mod decay;
mod dominated;
mod grid;
mod interval;
mod left_out;
mod loss;
mod memo;
mod mixture;
mod one_sided;
mod outlook;
mod pld_accountant;
mod rounded;
mod saddle;
mod sampled_gaussian;
mod single;
mod stretch;
mod strip;
mod tilted;
mod total;
mod turns;

pub use interval::Interval;
pub(super) use loss::Loss;
pub use pld_accountant::PldAccountant;
pub(super) use single::least_of_one_sample;

/// What rounding may change in a closed form, relative.
pub(super) const CLOSED_FORM: f64 = 1e-8;
