//! The lattice: updates as integer vectors on a public grid, so that sums are
//! exact, independent of the order of arrival and free of floating-point attacks.
//!
//! [`step`] is the grid, [`vector`] the integers on it, [`norm`] the exact check
//! that a vector is no longer than C, [`encoding`] its bytes on the wire. Why
//! rounding toward zero keeps a clipped vector clipped, and what it does to sums
//! of clipped gradients, is proved in `privacy/proofs/lattice.md`.

pub mod encoding;
pub mod norm;
mod packing;
pub mod step;
pub mod vector;

pub use encoding::{BadEncoding, Coordinates, ReadError, longest_encoding};
pub use norm::{NormTooLarge, SquaredNorm};
pub use step::{InvalidStep, LatticeStep, StepTooCoarse};
pub use vector::LatticeVector;

/// Why a lattice vector couldn't be made, added or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LatticeError {
    /// A coordinate is NaN or infinite.
    #[error("coordinate {index} is {value}, which isn't finite; the update must be refused")]
    NotFinite {
        /// Position in the vector, from 0.
        index: usize,
        /// The coordinate.
        value: f64,
    },
    /// A coordinate is 2^61 lattice steps or more.
    #[error(
        "coordinate {index} is {value}, which is 2^61 or more steps of {step}; \
         use a coarser step or smaller updates"
    )]
    OutOfRange {
        /// Position in the vector, from 0.
        index: usize,
        /// The coordinate.
        value: f64,
        /// The lattice step.
        step: LatticeStep,
    },
    /// Two vectors of unequal length were to be added.
    #[error("a vector of {other} coordinates can't be added to one of {own}")]
    LengthMismatch {
        /// Coordinates of the sum.
        own: usize,
        /// Coordinates of the vector to be added.
        other: usize,
    },
    /// A sum left the range of 64-bit integers.
    #[error("the sum overflows 64 bits at coordinate {index}; use a coarser step")]
    SumOverflow {
        /// Position in the vector, from 0.
        index: usize,
    },
}
