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

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::accountant::written_event::WrittenEvent;
use crate::poisson::SamplingRate;

pub use crate::accountant::noise_multiplier::{InvalidNoiseMultiplier, NoiseMultiplier};
pub use crate::accountant::written_event::InvalidEvent;

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
