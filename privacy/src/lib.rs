//! Differential privacy for Umbel: everything between a client's raw update and
//! a noisy sum that may be published, and the bookkeeping of what it cost.
//!
//! The private path is a chain of types, so that no step can be left out:
//! [`RawUpdate`] → [`ClippedUpdate`] → [`LatticeVector`] → [`Noised`] → [`Released`]. The
//! arrow to [`Noised`], [`add_noise`], consumes a [`Spent`] token, which only a [`Ledger`]
//! that has already written and synced the spending hands out; the last one, that the
//! result is stored.
//!
//! | module | what it is for |
//! |---|---|
//! | [`mod@unit`], [`combination`] | who is protected, where noise is added, which combinations hold a guarantee |
//! | [`clip`], [`lattice`] | bounded updates as exact integer vectors |
//! | [`rounded_gaussian`], [`poisson`] | exact samplers: the noise, and who takes part |
//! | [`accountant`], [`budget`] | what a mechanism costs, and whether it still fits |
//! | [`ledger`] | the append-only, hash-chained record of all spending |
//! | [`mod@release`], [`noised`] | the only way to a noised sum, and from there to a published one |
//! | [`audit`] | lower bounds on epsilon, measured on the path itself |
//! | [`private_rng`] | the cryptographic generators that noise is drawn from |
//!
//! Pure but for [`ledger::file`], the one module that touches a disk: no clock,
//! no network, no hidden randomness.

#![forbid(unsafe_code)]

pub mod accountant;
pub mod adaptive_clipping;
pub mod audit;
pub mod budget;
pub mod certificate;
pub mod clip;
pub mod combination;
pub mod digest;
pub mod disk;
mod dyadic;
pub mod filter;
mod fixed_point;
mod hexadecimal;
pub mod lattice;
mod lazy_uniform;
pub mod ledger;
pub mod noised;
mod normal_cells;
pub mod poisson;
pub mod private_rng;
pub mod release;
pub mod rounded_gaussian;
pub mod unit;
pub mod unit_word;
pub mod word;

pub use accountant::event::{MechanismEvent, NoiseMultiplier};
pub use accountant::{Accountant, Delta, Epsilon, PldAccountant, RdpAccountant};
pub use adaptive_clipping::{AdaptiveClipping, AdaptiveClippingError, AdaptiveClippingSettings};
pub use budget::{Budget, BudgetGate, Permit};
pub use clip::{CLIP_SLACK, ClippedUpdate, ClippingNorm, RawUpdate, clip_factor};
pub use combination::{Summed, check_combination};
pub use digest::Sha256Digest;
pub use lattice::{LatticeStep, LatticeVector};
pub use ledger::{EntryDraft, Ledger, Spent};
pub use noised::{NoPrivacy, Noised, Released};
pub use poisson::{SamplingRate, poisson_sample};
pub use private_rng::NoiseSource;
pub use release::{add_noise, release};
pub use rounded_gaussian::RoundedGaussian;
pub use unit::{Adjacency, NoisePlacement, PrivacyUnit};
pub use unit_word::UnitWord;
