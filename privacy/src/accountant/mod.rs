//! Accounting: what a list of mechanisms costs together, as epsilon at a delta.
//!
//! [`PldAccountant`], the default, composes privacy-loss distributions and gives a certified
//! interval ([`pld`]). [`RdpAccountant`] adds up Rényi differential privacy at a fixed list
//! of orders ([`rdp`]) and converts the sum ([`conversion`]). [`ZcdpAccountant`] and
//! [`GdpAccountant`] serve mechanisms without sampling; the closed form of the Gaussian
//! mechanism is in [`gaussian`]. What happened is written as [`event::MechanismEvent`]s of the
//! [`mechanisms`] that are known, one file each.
//! [`calibrate`] answers the questions the other way round, and [`attack`] says what all that leaves
//! to an attacker. An accountant of another kind
//! implements [`Accountant`]. What none of them has a sound figure for is refused.

pub mod attack;
mod binomial;
pub mod calibrate;
pub mod conversion;
pub mod event;
mod fixed_size;
pub mod gaussian;
mod log_space;
pub mod mechanisms;
mod noise_multiplier;
pub mod pld;
pub mod rdp;
mod rdp_accountant;
mod sampled_gaussian;
mod unsampled;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use pld::{Interval, PldAccountant};
pub use rdp_accountant::RdpAccountant;
pub use unsampled::{GdpAccountant, ZcdpAccountant};

use crate::accountant::event::MechanismEvent;
use crate::unit::Adjacency;

/// Adds up mechanisms on one data set. Implementations never under-report.
pub trait Accountant {
    /// The neighbouring relation that its figures are for.
    fn adjacency(&self) -> Adjacency;

    /// Adds `count` runs of `event` to what has been spent. On an error nothing has
    /// been added.
    ///
    /// # Errors
    /// [`AccountingError`] where no sound figure exists.
    fn compose(&mut self, event: &MechanismEvent, count: u64) -> Result<(), AccountingError>;

    /// An upper bound on epsilon at `delta` of everything composed so far.
    fn epsilon(&self, delta: Delta) -> Epsilon;
}

/// A mechanism that can't be accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountingError {
    /// RDP of the Poisson-sampled Gaussian is known for add-or-remove only.
    #[error(
        "the RDP accountant knows Poisson-sampled Gaussians under add-or-remove adjacency only: \
         replacing one unit may change both who is sampled and what is summed, for which no RDP \
         bound is implemented; use adjacency add-or-remove, or sampling rate 1"
    )]
    SampledReplaceOne,
    /// An accountant that knows no sound figure for a mechanism.
    #[error(
        "the {accountant} accountant has no sound figure for {mechanism} under {adjacency} \
         adjacency; choose another accountant or adjacency"
    )]
    Unsupported {
        /// Which accountant.
        accountant: &'static str,
        /// Which mechanism.
        mechanism: &'static str,
        /// Under which neighbouring relation.
        adjacency: Adjacency,
    },
    /// A parameter beyond which a mechanism isn't accounted for.
    #[error(
        "{mechanism} has more than {limit} in {parameter}, the most that is accounted for; if that is \
         meant, split the event into several"
    )]
    TooLarge {
        /// Which mechanism.
        mechanism: &'static str,
        /// Which of its parameters.
        parameter: &'static str,
        /// The largest value that is taken.
        limit: u64,
    },
    /// More than 2^53 runs of one mechanism.
    #[error("more than 2^53 runs of one mechanism can't be counted; the event list is damaged")]
    TooMany,
}

/// What epsilon leaves out, 0 < δ < 1: P(S) ≤ e^ε P′(S) + δ for every set of results S.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Delta(f64);

/// A number that can't be a delta.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "{0} isn't a delta; use a number above 0 and below 1, well under 1 / (number of units), e.g. 1e-5"
)]
pub struct InvalidDelta(pub f64);

impl Delta {
    /// δ as a float.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Delta {
    type Error = InvalidDelta;

    fn try_from(value: f64) -> Result<Self, InvalidDelta> {
        if value > 0.0 && value < 1.0 {
            Ok(Self(value))
        } else {
            Err(InvalidDelta(value))
        }
    }
}

impl From<Delta> for f64 {
    fn from(delta: Delta) -> f64 {
        delta.0
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A privacy loss ε >= 0 at some delta; infinite where nothing finite is known.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Epsilon(f64);

impl Epsilon {
    /// Nothing was spent.
    pub const ZERO: Self = Self(0.0);

    /// Nothing finite is known.
    pub const INFINITE: Self = Self(f64::INFINITY);

    /// Negative figures become zero, and NaN (which no accountant should produce)
    /// infinity, as nothing is then known.
    pub fn at_least_zero(value: f64) -> Self {
        Self(if value.is_nan() {
            f64::INFINITY
        } else {
            value.max(0.0)
        })
    }

    /// ε as a float.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
