//! Events taken apart: single mechanisms and how often each ran.

use crate::accountant::AccountingError;
use crate::accountant::event::MechanismEvent;
use crate::accountant::{binomial, matrix};

/// A single mechanism in clipping norms, with floats that order and compare by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaf {
    /// A Gaussian of noise multiplier σ, over a Poisson sample of rate q.
    Gaussian { q: Bits, sigma: Bits },
    /// Laplace noise, over a Poisson sample.
    Laplace { q: Bits, scale: Bits },
    /// Discrete Laplace noise.
    DiscreteLaplace { parameter: Bits, sensitivity: u32 },
    /// A Gaussian over a Poisson sample that is cut to a largest batch.
    Truncated {
        units: u64,
        q: Bits,
        batch: u64,
        sigma: Bits,
    },
    /// A Gaussian over a sample of fixed size.
    FixedSize {
        units: u64,
        sample: u64,
        sigma: Bits,
    },
    /// What protects nobody.
    NonPrivate,
}

/// A positive float by its bits, which sort positive floats by size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bits(u64);

impl Bits {
    pub(super) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl Leaf {
    /// What an error calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Gaussian { q, .. } if q.get() == 1.0 => "the Gaussian mechanism",
            Self::Gaussian { .. } => "the Poisson-sampled Gaussian mechanism",
            Self::Laplace { q, .. } if q.get() == 1.0 => "the Laplace mechanism",
            Self::Laplace { .. } => "the Poisson-sampled Laplace mechanism",
            Self::DiscreteLaplace { .. } => "the discrete Laplace mechanism",
            Self::Truncated { .. } => "the Gaussian mechanism over truncated Poisson samples",
            Self::FixedSize { .. } => "the Gaussian mechanism over samples of fixed size",
            Self::NonPrivate => "what protects nobody",
        }
    }
}

/// Takes `count` runs of an event apart.
pub(super) fn flatten(
    event: &MechanismEvent,
    count: u64,
    leaves: &mut Vec<(Leaf, u64)>,
) -> Result<(), AccountingError> {
    let gaussian = |q: f64, sigma: f64| Leaf::Gaussian {
        q: q.into(),
        sigma: sigma.into(),
    };
    let leaf = match event {
        MechanismEvent::Gaussian { noise_multiplier } => gaussian(1.0, noise_multiplier.get()),
        MechanismEvent::PoissonSampledGaussian {
            sampling_probability,
            noise_multiplier,
        } => gaussian(sampling_probability.get(), noise_multiplier.get()),
        MechanismEvent::Laplace {
            scale_over_sensitivity,
            sampling_probability,
        } => Leaf::Laplace {
            q: sampling_probability.get().into(),
            scale: scale_over_sensitivity.get().into(),
        },
        MechanismEvent::DiscreteLaplace {
            parameter,
            integer_sensitivity,
        } => Leaf::DiscreteLaplace {
            parameter: parameter.get().into(),
            sensitivity: integer_sensitivity.get(),
        },
        MechanismEvent::TruncatedPoissonGaussian {
            dataset_size,
            sampling_probability,
            truncated_batch_size,
            noise_multiplier,
        } => {
            if dataset_size.get() > binomial::MOST_TRIALS {
                return Err(AccountingError::TooLarge {
                    mechanism: "truncated_poisson_gaussian",
                    parameter: "dataset_size",
                    limit: binomial::MOST_TRIALS,
                });
            }
            Leaf::Truncated {
                units: dataset_size.get(),
                q: sampling_probability.get().into(),
                batch: truncated_batch_size.get(),
                sigma: noise_multiplier.get().into(),
            }
        }
        MechanismEvent::FixedSizeGaussian {
            dataset_size,
            sample_size,
            noise_multiplier,
        } => Leaf::FixedSize {
            units: dataset_size.get(),
            sample: sample_size.get(),
            sigma: noise_multiplier.get().into(),
        },
        MechanismEvent::TreeAggregation {
            noise_multiplier,
            step_count,
        } => {
            let sensitivity = matrix::tree_sensitivity(step_count.get());
            gaussian(1.0, noise_multiplier.get() / sensitivity)
        }
        MechanismEvent::BandedToeplitz {
            noise_multiplier,
            rounds,
            bands,
            min_separation,
            max_participations,
        } => {
            let sensitivity = matrix::toeplitz_sensitivity(
                rounds.get(),
                bands.get(),
                min_separation.get(),
                max_participations.get(),
            )?;
            gaussian(1.0, noise_multiplier.get() / sensitivity)
        }
        MechanismEvent::NonPrivate => Leaf::NonPrivate,
        MechanismEvent::SelfComposed {
            event,
            count: inner,
        } => {
            let count = count.checked_mul(*inner).ok_or(AccountingError::TooMany)?;
            return flatten(event, count, leaves);
        }
        MechanismEvent::Composed { events } => {
            return events
                .iter()
                .try_for_each(|event| flatten(event, count, leaves));
        }
    };
    leaves.push((leaf, count));
    Ok(())
}
