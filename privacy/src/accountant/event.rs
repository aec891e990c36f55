//! What happened, in a form that users of Google's `dp_accounting` recognise: the
//! variants are its `GaussianDpEvent`, `PoissonSampledDpEvent(GaussianDpEvent)`,
//! `NonPrivateDpEvent`, `SelfComposedDpEvent` and `ComposedDpEvent`.
//!
//! As JSON:
//! ```json
//! {"type": "gaussian", "noise_multiplier": 4.2}
//! {"type": "poisson_gaussian", "noise_multiplier": 1.1, "sampling_probability": 0.01}
//! {"type": "laplace", "scale_over_sensitivity": 10}
//! {"type": "discrete_laplace", "parameter": 0.1, "integer_sensitivity": 2}
//! {"type": "truncated_poisson_gaussian", "dataset_size": 10000, "sampling_probability": 0.01,
//!  "truncated_batch_size": 150, "noise_multiplier": 1.1}
//! {"type": "fixed_size_gaussian", "dataset_size": 10000, "sample_size": 100, "noise_multiplier": 4}
//! {"type": "tree_aggregation", "noise_multiplier": 10, "step_count": 100}
//! {"type": "banded_toeplitz", "noise_multiplier": 8, "rounds": 64, "bands": 16,
//!  "min_separation": 16, "max_participations": 4}
//! {"type": "non_private"}
//! {"type": "self_composed", "event": {...}, "count": 20}
//! {"type": "composed", "events": [{...}, {...}]}
//! ```
//! A single mechanism may also carry `"count"`, and reads as self-composed; an unsampled
//! Gaussian may carry `"sampling_probability": 1`.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::poisson::SamplingRate;

/// The noise multiplier σ: the noise's standard deviation divided by the clipping norm
/// C (whatever the adjacency). Finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct NoiseMultiplier(f64);

/// A number that can't be a noise multiplier.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} isn't a noise multiplier; use a finite number above 0, e.g. 1.0")]
pub struct InvalidNoiseMultiplier(pub f64);

impl NoiseMultiplier {
    /// σ as a float.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for NoiseMultiplier {
    type Error = InvalidNoiseMultiplier;

    fn try_from(value: f64) -> Result<Self, InvalidNoiseMultiplier> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(InvalidNoiseMultiplier(value))
        }
    }
}

impl From<NoiseMultiplier> for f64 {
    fn from(sigma: NoiseMultiplier) -> f64 {
        sigma.0
    }
}

impl fmt::Display for NoiseMultiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A mechanism that ran on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenEvent", into = "WrittenEvent")]
pub enum MechanismEvent {
    /// A sum over all units, each clipped to C, plus N(0, (σ C)²).
    Gaussian {
        /// σ.
        noise_multiplier: NoiseMultiplier,
    },
    /// The same over a Poisson sample of the units.
    PoissonSampledGaussian {
        /// q.
        sampling_probability: SamplingRate,
        /// σ.
        noise_multiplier: NoiseMultiplier,
    },
    /// Laplace noise on a sum of L1 sensitivity 1, over a Poisson sample of the units.
    Laplace {
        /// The noise's scale over the sensitivity.
        scale_over_sensitivity: NoiseMultiplier,
        /// q; 1 for none.
        sampling_probability: SamplingRate,
    },
    /// Noise P(k) ∝ e^{-a |k|} on an integer of the given sensitivity.
    DiscreteLaplace {
        /// a.
        parameter: NoiseMultiplier,
        /// By how much one unit moves the integer, at least 1.
        integer_sensitivity: NonZeroU32,
    },
    /// The Gaussian mechanism over a Poisson sample of a data set of known size, cut to a
    /// largest batch by leaving out units at random.
    TruncatedPoissonGaussian {
        /// Units of the data set.
        dataset_size: NonZeroU64,
        /// q.
        sampling_probability: SamplingRate,
        /// The largest batch.
        truncated_batch_size: NonZeroU64,
        /// σ.
        noise_multiplier: NoiseMultiplier,
    },
    /// The Gaussian mechanism over a sample of fixed size without replacement.
    FixedSizeGaussian {
        /// Units of the data set.
        dataset_size: NonZeroU64,
        /// Units of the sample.
        sample_size: NonZeroU64,
        /// σ, the noise over the clipping norm (over half the sensitivity, that is).
        noise_multiplier: NoiseMultiplier,
    },
    /// Binary-tree aggregation of prefix sums in which each unit takes part once
    /// (Kairouz et al. 2021, "Practical and Private (Deep) Learning without Sampling").
    TreeAggregation {
        /// σ of every node of the tree.
        noise_multiplier: NoiseMultiplier,
        /// Steps of the tree.
        step_count: NonZeroU64,
    },
    /// Prefix sums through the banded Toeplitz square root (Choquette-Choo et al. 2023,
    /// "(Amplified) Banded Matrix Factorization"), without sampling.
    BandedToeplitz {
        /// σ of the correlated noise's source, over the clipping norm.
        noise_multiplier: NoiseMultiplier,
        /// Rounds.
        rounds: NonZeroU32,
        /// Bands that are kept.
        bands: NonZeroU32,
        /// Rounds between two participations of one unit, at least.
        min_separation: NonZeroU32,
        /// Participations of one unit, at most.
        max_participations: NonZeroU32,
    },
    /// Something that protects nobody: no finite epsilon bounds it.
    NonPrivate,
    /// One event, several times.
    SelfComposed {
        /// What was repeated.
        event: Box<MechanismEvent>,
        /// How often.
        count: u64,
    },
    /// Several events, one after the other.
    Composed {
        /// What happened.
        events: Vec<MechanismEvent>,
    },
}

impl MechanismEvent {
    /// A Gaussian mechanism over all units.
    pub fn gaussian(noise_multiplier: NoiseMultiplier) -> Self {
        Self::Gaussian { noise_multiplier }
    }

    /// A Gaussian mechanism over a Poisson sample; with rate 1, over all units.
    pub fn poisson_gaussian(
        sampling_probability: SamplingRate,
        noise_multiplier: NoiseMultiplier,
    ) -> Self {
        if sampling_probability.is_all() {
            Self::Gaussian { noise_multiplier }
        } else {
            Self::PoissonSampledGaussian {
                sampling_probability,
                noise_multiplier,
            }
        }
    }

    /// This event `count` times; the event itself where that is once.
    pub fn times(self, count: u64) -> Self {
        if count == 1 {
            self
        } else {
            Self::SelfComposed {
                event: Box::new(self),
                count,
            }
        }
    }

    /// Whether something that protects nobody happened here, so that no finite epsilon bounds
    /// it.
    pub fn protects_nobody(&self) -> bool {
        match self {
            Self::NonPrivate => true,
            Self::SelfComposed { event, count } => *count > 0 && event.protects_nobody(),
            Self::Composed { events } => events.iter().any(Self::protects_nobody),
            _ => false,
        }
    }

    /// The noise multiplier, where the event is one single Gaussian, sampled or not.
    pub fn single_noise_multiplier(&self) -> Option<NoiseMultiplier> {
        match self {
            Self::Gaussian { noise_multiplier }
            | Self::PoissonSampledGaussian {
                noise_multiplier, ..
            } => Some(*noise_multiplier),
            _ => None,
        }
    }
}

/// [`MechanismEvent`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum WrittenEvent {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sigma(value: f64) -> NoiseMultiplier {
        NoiseMultiplier::try_from(value).unwrap()
    }

    fn any_event() -> impl Strategy<Value = MechanismEvent> {
        let leaf = (1e-3f64..1e3, 1e-9f64..=1.0, any::<bool>()).prop_map(|(noise, q, sampled)| {
            if sampled {
                let sampling_probability = SamplingRate::try_from(q).unwrap();
                MechanismEvent::PoissonSampledGaussian {
                    sampling_probability,
                    noise_multiplier: sigma(noise),
                }
            } else {
                MechanismEvent::gaussian(sigma(noise))
            }
        });
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), any::<u64>()).prop_map(|(event, count)| {
                    MechanismEvent::SelfComposed {
                        event: Box::new(event),
                        count,
                    }
                }),
                proptest::collection::vec(inner, 0..3)
                    .prop_map(|events| MechanismEvent::Composed { events }),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_event_reads_back_as_it_was_written(event in any_event()) {
            let json = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<MechanismEvent>(&json).unwrap(), event);
        }
    }

    #[test]
    fn events_are_written_with_the_names_that_other_tools_use() {
        let rate = SamplingRate::try_from(0.25).unwrap();
        let event = MechanismEvent::poisson_gaussian(rate, sigma(1.5)).times(20);
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"type":"self_composed","event":{"type":"poisson_gaussian","noise_multiplier":1.5,"sampling_probability":0.25},"count":20}"#
        );
    }

    #[test]
    fn a_flat_list_with_counts_is_read() {
        let events: Vec<MechanismEvent> = serde_json::from_str(
            r#"[{"type":"poisson_gaussian","noise_multiplier":1,"sampling_probability":0.25,"count":3},
                {"type":"gaussian","noise_multiplier":2,"sampling_probability":1,"count":1}]"#,
        )
        .unwrap();
        let rate = SamplingRate::try_from(0.25).unwrap();
        assert_eq!(
            events,
            [
                MechanismEvent::poisson_gaussian(rate, sigma(1.0)).times(3),
                MechanismEvent::gaussian(sigma(2.0)),
            ]
        );
    }

    #[test]
    fn what_protects_nobody_is_found_wherever_it_stands() {
        let nobody = MechanismEvent::NonPrivate;
        let json = serde_json::to_string(&nobody).unwrap();
        assert_eq!(json, r#"{"type":"non_private"}"#);
        let inside = MechanismEvent::Composed {
            events: vec![
                MechanismEvent::gaussian(sigma(1.0)),
                nobody.clone().times(2),
            ],
        };
        assert!(nobody.protects_nobody() && inside.protects_nobody());
        assert!(!nobody.times(0).protects_nobody());
        assert!(!MechanismEvent::gaussian(sigma(1.0)).protects_nobody());
    }

    #[test]
    fn events_that_make_no_sense_are_refused() {
        for json in [
            r#"{"type":"gaussian","noise_multiplier":0}"#,
            r#"{"type":"gaussian","noise_multiplier":-1}"#,
            r#"{"type":"gaussian","noise_multiplier":1,"sampling_probability":0.5}"#,
            r#"{"type":"gaussian","noise_multiplier":1,"noise":1}"#,
            r#"{"type":"poisson_gaussian","noise_multiplier":1,"sampling_probability":1.5}"#,
            r#"{"type":"poisson_gaussian","noise_multiplier":1}"#,
            r#"{"type":"self_composed","event":{"type":"gaussian","noise_multiplier":1},"count":-1}"#,
            r#"{"type":"laplace","noise_multiplier":1}"#,
        ] {
            assert!(
                serde_json::from_str::<MechanismEvent>(json).is_err(),
                "{json}"
            );
        }
    }
}
