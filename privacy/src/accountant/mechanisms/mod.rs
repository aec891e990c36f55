//! The mechanisms that are accounted for, one file each: its parameters as they are written, and what each accountant
//! knows of it.
//!
//! A new one is a file with a struct that implements [`Known`], and a line in the list below.

use serde::{Deserialize, Serialize};

use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::accountant::pld::Loss;
use crate::accountant::{AccountingError, Delta};
use crate::unit::Adjacency;

/// Rényi differential privacy of one run, by its order α > 1.
pub(in crate::accountant) type Renyi = Box<dyn Fn(f64) -> f64>;

/// What accountants ask a mechanism. What it has no sound answer to it leaves out, and is refused there.
pub(in crate::accountant) trait Known: Copy + Into<Mechanism> {
    /// What an error calls it.
    fn name(&self) -> &'static str;

    /// The mechanism that it is accounted for as, which is itself but for another way of putting one that is here
    /// already.
    ///
    /// # Errors
    /// [`AccountingError::TooLarge`], where a parameter is beyond what can be computed.
    fn canonical(self) -> Result<Mechanism, AccountingError> {
        Ok(self.into())
    }

    /// σ, where it is a Gaussian mechanism over all units.
    fn unsampled_sigma(&self) -> Option<f64> {
        None
    }

    /// Its privacy loss; `None` where none is known for this adjacency.
    fn loss(&self, _adjacency: Adjacency) -> Option<Loss> {
        None
    }

    /// Whether adding a unit and removing one have the same loss.
    fn is_symmetric(&self) -> bool {
        false
    }

    /// Epsilon of a single run by a closed form, rounded down; 0 where there is none.
    fn least_epsilon(&self, _adjacency: Adjacency, _delta: Delta) -> f64 {
        0.0
    }

    /// Rényi differential privacy of one run.
    ///
    /// # Errors
    /// [`AccountingError`] where no sound figure is known for this adjacency.
    fn renyi(&self, adjacency: Adjacency) -> Result<Renyi, AccountingError> {
        Err(AccountingError::Unsupported {
            accountant: "rdp",
            mechanism: self.name(),
            adjacency,
        })
    }
}

/// Makes [`Mechanism`] of the list of mechanisms: their words in files, and their types.
macro_rules! mechanisms {
    ($($word:literal: $file:ident::$name:ident),* $(,)?) => {
        $(
            mod $file;
            pub use $file::$name;

            impl From<$name> for Mechanism {
                fn from(mechanism: $name) -> Self {
                    Self::$name(mechanism)
                }
            }
        )*

        /// One mechanism with its parameters. The order, in which sums over mechanisms run, is that of the list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(tag = "type")]
        #[expect(missing_docs, reason = "each names the type that it holds, and says no more")]
        pub enum Mechanism {
            $(#[serde(rename = $word)] $name($name),)*
        }

        impl Known for Mechanism {
            fn name(&self) -> &'static str {
                match self { $(Self::$name(mechanism) => mechanism.name(),)* }
            }

            fn canonical(self) -> Result<Mechanism, AccountingError> {
                match self { $(Self::$name(mechanism) => mechanism.canonical(),)* }
            }

            fn unsampled_sigma(&self) -> Option<f64> {
                match self { $(Self::$name(mechanism) => mechanism.unsampled_sigma(),)* }
            }

            fn loss(&self, adjacency: Adjacency) -> Option<Loss> {
                match self { $(Self::$name(mechanism) => mechanism.loss(adjacency),)* }
            }

            fn is_symmetric(&self) -> bool {
                match self { $(Self::$name(mechanism) => mechanism.is_symmetric(),)* }
            }

            fn least_epsilon(&self, adjacency: Adjacency, delta: Delta) -> f64 {
                match self { $(Self::$name(mechanism) => mechanism.least_epsilon(adjacency, delta),)* }
            }

            fn renyi(&self, adjacency: Adjacency) -> Result<Renyi, AccountingError> {
                match self { $(Self::$name(mechanism) => mechanism.renyi(adjacency),)* }
            }
        }

        /// An event as it is written: a mechanism may carry a count.
        #[derive(Deserialize)]
        #[serde(tag = "type", deny_unknown_fields)]
        pub(in crate::accountant) enum Written {
            $(#[serde(rename = $word)] $name(Counted<$name>),)*
            #[serde(rename = "self_composed")]
            SelfComposed { event: Box<Written>, count: u64 },
            #[serde(rename = "composed")]
            Composed { events: Vec<Written> },
        }

        impl From<Written> for super::event::MechanismEvent {
            fn from(written: Written) -> Self {
                match written {
                    $(Written::$name(counted) => {
                        Self::from(counted.mechanism).times(counted.count.unwrap_or(1))
                    })*
                    Written::SelfComposed { event, count } => Self::SelfComposed {
                        event: Box::new((*event).into()),
                        count,
                    },
                    Written::Composed { events } => Self::Composed {
                        events: events.into_iter().map(Self::from).collect(),
                    },
                }
            }
        }
    };
}

mechanisms! {
    "poisson_gaussian": poisson_gaussian::PoissonSampledGaussian,
    "gaussian": gaussian::Gaussian,
    "laplace": laplace::Laplace,
    "discrete_laplace": discrete_laplace::DiscreteLaplace,
    "truncated_poisson_gaussian": truncated_poisson_gaussian::TruncatedPoissonGaussian,
    "fixed_size_gaussian": fixed_size_gaussian::FixedSizeGaussian,
    "tree_aggregation": tree_aggregation::TreeAggregation,
    "banded_toeplitz": banded_toeplitz::BandedToeplitz,
    "non_private": non_private::NonPrivate,
}

/// A mechanism as it is written, with the number of its runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::accountant) struct Counted<M> {
    #[serde(default)]
    count: Option<u64>,
    #[serde(flatten)]
    mechanism: M,
}

/// How far a sum of clipped units moves between neighbours, in clipping norms.
pub(in crate::accountant) fn sensitivity(adjacency: Adjacency) -> f64 {
    match adjacency {
        Adjacency::AddOrRemove | Adjacency::ZeroOut => 1.0,
        Adjacency::ReplaceOne => 2.0,
    }
}

/// A release of sensitivity `sensitivity` clipping norms under noise of σ clipping norms, as a Gaussian mechanism of
/// sensitivity 1. Where σ is so small that the quotient is no noise multiplier, nobody is protected.
fn scaled_gaussian(noise_multiplier: NoiseMultiplier, sensitivity: f64) -> Mechanism {
    match NoiseMultiplier::try_from(noise_multiplier.get() / sensitivity) {
        Ok(noise_multiplier) => Gaussian { noise_multiplier }.into(),
        Err(_) => NonPrivate {}.into(),
    }
}
