//! What happened, in a form that users of Google's `dp_accounting` recognise: the
//! variants are its `GaussianDpEvent`, `PoissonSampledDpEvent(GaussianDpEvent)`,
//! `SelfComposedDpEvent` and `ComposedDpEvent`.
//!
//! As JSON:
//! ```json
//! {"type": "gaussian", "noise_multiplier": 4.2}
//! {"type": "poisson_gaussian", "noise_multiplier": 1.1, "sampling_probability": 0.01}
//! {"type": "self_composed", "event": {...}, "count": 20}
//! {"type": "composed", "events": [{...}, {...}]}
//! ```
//! A Gaussian, sampled or not, may also carry `"count"`, and reads as self-composed; an
//! unsampled one may carry `"sampling_probability": 1`.

use std::fmt;

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

    /// The noise multiplier, where the event is one single Gaussian, sampled or not.
    pub fn single_noise_multiplier(&self) -> Option<NoiseMultiplier> {
        match self {
            Self::Gaussian { noise_multiplier }
            | Self::PoissonSampledGaussian {
                noise_multiplier, ..
            } => Some(*noise_multiplier),
            Self::SelfComposed { .. } | Self::Composed { .. } => None,
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
