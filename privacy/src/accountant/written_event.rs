//! Events as they are written: [`MechanismEvent`] has one form for each meaning, and JSON may have several.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::accountant::event::MechanismEvent;
use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::poisson::SamplingRate;

/// [`MechanismEvent`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WrittenEvent {
    Gaussian {
        noise_multiplier: NoiseMultiplier,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sampling_probability: Option<SamplingRate>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    PoissonGaussian {
        noise_multiplier: NoiseMultiplier,
        sampling_probability: SamplingRate,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    Laplace {
        scale_over_sensitivity: NoiseMultiplier,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sampling_probability: Option<SamplingRate>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    DiscreteLaplace {
        parameter: NoiseMultiplier,
        integer_sensitivity: NonZeroU32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    TruncatedPoissonGaussian {
        dataset_size: NonZeroU64,
        sampling_probability: SamplingRate,
        truncated_batch_size: NonZeroU64,
        noise_multiplier: NoiseMultiplier,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    FixedSizeGaussian {
        dataset_size: NonZeroU64,
        sample_size: NonZeroU64,
        noise_multiplier: NoiseMultiplier,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    TreeAggregation {
        noise_multiplier: NoiseMultiplier,
        step_count: NonZeroU64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    BandedToeplitz {
        noise_multiplier: NoiseMultiplier,
        rounds: NonZeroU32,
        bands: NonZeroU32,
        min_separation: NonZeroU32,
        max_participations: NonZeroU32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    NonPrivate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    SelfComposed {
        event: Box<WrittenEvent>,
        count: u64,
    },
    Composed {
        events: Vec<WrittenEvent>,
    },
}

/// A written event that contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidEvent {
    /// `gaussian` with a sampling probability other than 1.
    #[error("event type gaussian has sampling probability {0}; write type poisson_gaussian")]
    SampledGaussian(SamplingRate),
    /// A fixed-size sample larger than its data set.
    #[error(
        "a sample of {sample_size} can't be drawn from {dataset_size} units; lower sample_size"
    )]
    SampleTooLarge {
        /// Units asked for.
        sample_size: NonZeroU64,
        /// Units there are.
        dataset_size: NonZeroU64,
    },
}

impl TryFrom<WrittenEvent> for MechanismEvent {
    type Error = InvalidEvent;

    fn try_from(written: WrittenEvent) -> Result<Self, InvalidEvent> {
        Ok(match written {
            WrittenEvent::Gaussian {
                noise_multiplier,
                sampling_probability,
                count,
            } => {
                if let Some(rate) = sampling_probability.filter(|rate| !rate.is_all()) {
                    return Err(InvalidEvent::SampledGaussian(rate));
                }
                Self::gaussian(noise_multiplier).times(count.unwrap_or(1))
            }
            WrittenEvent::PoissonGaussian {
                noise_multiplier,
                sampling_probability,
                count,
            } => Self::PoissonSampledGaussian {
                sampling_probability,
                noise_multiplier,
            }
            .times(count.unwrap_or(1)),
            WrittenEvent::Laplace {
                scale_over_sensitivity,
                sampling_probability,
                count,
            } => Self::Laplace {
                scale_over_sensitivity,
                sampling_probability: sampling_probability.unwrap_or(SamplingRate::ALL),
            }
            .times(count.unwrap_or(1)),
            WrittenEvent::DiscreteLaplace {
                parameter,
                integer_sensitivity,
                count,
            } => Self::DiscreteLaplace {
                parameter,
                integer_sensitivity,
            }
            .times(count.unwrap_or(1)),
            WrittenEvent::TruncatedPoissonGaussian {
                dataset_size,
                sampling_probability,
                truncated_batch_size,
                noise_multiplier,
                count,
            } => Self::TruncatedPoissonGaussian {
                dataset_size,
                sampling_probability,
                truncated_batch_size,
                noise_multiplier,
            }
            .times(count.unwrap_or(1)),
            WrittenEvent::FixedSizeGaussian {
                dataset_size,
                sample_size,
                noise_multiplier,
                count,
            } => {
                if sample_size > dataset_size {
                    return Err(InvalidEvent::SampleTooLarge {
                        sample_size,
                        dataset_size,
                    });
                }
                Self::FixedSizeGaussian {
                    dataset_size,
                    sample_size,
                    noise_multiplier,
                }
                .times(count.unwrap_or(1))
            }
            WrittenEvent::TreeAggregation {
                noise_multiplier,
                step_count,
                count,
            } => Self::TreeAggregation {
                noise_multiplier,
                step_count,
            }
            .times(count.unwrap_or(1)),
            WrittenEvent::BandedToeplitz {
                noise_multiplier,
                rounds,
                bands,
                min_separation,
                max_participations,
                count,
            } => Self::BandedToeplitz {
                noise_multiplier,
                rounds,
                bands,
                min_separation,
                max_participations,
            }
            .times(count.unwrap_or(1)),
            WrittenEvent::NonPrivate { count } => Self::NonPrivate.times(count.unwrap_or(1)),
            WrittenEvent::SelfComposed { event, count } => Self::SelfComposed {
                event: Box::new(Self::try_from(*event)?),
                count,
            },
            WrittenEvent::Composed { events } => Self::Composed {
                events: events
                    .into_iter()
                    .map(Self::try_from)
                    .collect::<Result<_, _>>()?,
            },
        })
    }
}

impl From<MechanismEvent> for WrittenEvent {
    fn from(event: MechanismEvent) -> Self {
        match event {
            MechanismEvent::Gaussian { noise_multiplier } => Self::Gaussian {
                noise_multiplier,
                sampling_probability: None,
                count: None,
            },
            MechanismEvent::PoissonSampledGaussian {
                sampling_probability,
                noise_multiplier,
            } => Self::PoissonGaussian {
                noise_multiplier,
                sampling_probability,
                count: None,
            },
            MechanismEvent::Laplace {
                scale_over_sensitivity,
                sampling_probability,
            } => Self::Laplace {
                scale_over_sensitivity,
                sampling_probability: Some(sampling_probability).filter(|q| !q.is_all()),
                count: None,
            },
            MechanismEvent::DiscreteLaplace {
                parameter,
                integer_sensitivity,
            } => Self::DiscreteLaplace {
                parameter,
                integer_sensitivity,
                count: None,
            },
            MechanismEvent::TruncatedPoissonGaussian {
                dataset_size,
                sampling_probability,
                truncated_batch_size,
                noise_multiplier,
            } => Self::TruncatedPoissonGaussian {
                dataset_size,
                sampling_probability,
                truncated_batch_size,
                noise_multiplier,
                count: None,
            },
            MechanismEvent::FixedSizeGaussian {
                dataset_size,
                sample_size,
                noise_multiplier,
            } => Self::FixedSizeGaussian {
                dataset_size,
                sample_size,
                noise_multiplier,
                count: None,
            },
            MechanismEvent::TreeAggregation {
                noise_multiplier,
                step_count,
            } => Self::TreeAggregation {
                noise_multiplier,
                step_count,
                count: None,
            },
            MechanismEvent::BandedToeplitz {
                noise_multiplier,
                rounds,
                bands,
                min_separation,
                max_participations,
            } => Self::BandedToeplitz {
                noise_multiplier,
                rounds,
                bands,
                min_separation,
                max_participations,
                count: None,
            },
            MechanismEvent::NonPrivate => Self::NonPrivate { count: None },
            MechanismEvent::SelfComposed { event, count } => Self::SelfComposed {
                event: Box::new((*event).into()),
                count,
            },
            MechanismEvent::Composed { events } => Self::Composed {
                events: events.into_iter().map(Self::from).collect(),
            },
        }
    }
}
