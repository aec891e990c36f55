//! Composition on a grid of losses: slower than the contour, but it needs no smoothness.
//!
//! Each mechanism's loss is bounded from above and from below by a loss that only takes
//! values on one grid ([`law`]). Tilted by e^{θL} towards the epsilon that is looked for, the
//! composition of such losses is a product of Fourier transforms, in which numbers near the
//! wanted tail are of size one, however small δ is ([`compose`]). Masses that aren't kept
//! count as infinite losses from above, and as none from below.
//!
//! `privacy/proofs/grid.md` has the argument, line by line.

mod cell;
mod circle;
mod compose;
mod discrete_laplace;
mod ends;
mod gaussian;
mod laplace;
mod law;
mod normal;
mod placement;
mod powers;
mod search;
mod spacing;
mod strays;
mod sums;
mod tilting;

pub(super) use cell::Component;
pub(super) use law::highest;
pub(super) use search::{Question, Run, Search};
pub(super) use strays::Strays;
