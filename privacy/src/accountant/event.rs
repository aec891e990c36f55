//! What happened, in a form that users of Google's `dp_accounting` recognise: its `SelfComposedDpEvent` and
//! `ComposedDpEvent`, of single [`mechanisms`](crate::accountant::mechanisms).
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

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize, Serializer};

use crate::accountant::AccountingError;
use crate::accountant::mechanisms::{
    Gaussian, Known, Mechanism, NonPrivate, PoissonSampledGaussian, Written,
};
use crate::poisson::SamplingRate;

pub use crate::accountant::noise_multiplier::{InvalidNoiseMultiplier, NoiseMultiplier};

/// What ran on a data set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Written")]
pub enum MechanismEvent {
    /// One mechanism, once.
    Single(Mechanism),
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

impl<M: Into<Mechanism>> From<M> for MechanismEvent {
    fn from(mechanism: M) -> Self {
        Self::Single(mechanism.into())
    }
}

impl Serialize for MechanismEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Composition<'a> {
            SelfComposed {
                event: &'a MechanismEvent,
                count: u64,
            },
            Composed {
                events: &'a [MechanismEvent],
            },
        }
        match self {
            Self::Single(mechanism) => mechanism.serialize(serializer),
            Self::SelfComposed { event, count } => Composition::SelfComposed {
                event,
                count: *count,
            }
            .serialize(serializer),
            Self::Composed { events } => Composition::Composed { events }.serialize(serializer),
        }
    }
}

impl MechanismEvent {
    /// What protects nobody.
    pub const NON_PRIVATE: Self = Self::Single(Mechanism::NonPrivate(NonPrivate {}));

    /// A Gaussian mechanism over all units.
    pub fn gaussian(noise_multiplier: NoiseMultiplier) -> Self {
        Gaussian { noise_multiplier }.into()
    }

    /// A Gaussian mechanism over a Poisson sample; with rate 1, over all units.
    pub fn poisson_gaussian(
        sampling_probability: SamplingRate,
        noise_multiplier: NoiseMultiplier,
    ) -> Self {
        if sampling_probability.is_all() {
            Self::gaussian(noise_multiplier)
        } else {
            PoissonSampledGaussian {
                noise_multiplier,
                sampling_probability,
            }
            .into()
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
            Self::Single(mechanism) => matches!(mechanism, Mechanism::NonPrivate(_)),
            Self::SelfComposed { event, count } => *count > 0 && event.protects_nobody(),
            Self::Composed { events } => events.iter().any(Self::protects_nobody),
        }
    }

    /// The noise multiplier, where the event is one single Gaussian, sampled or not.
    pub fn single_noise_multiplier(&self) -> Option<NoiseMultiplier> {
        match self {
            Self::Single(Mechanism::Gaussian(gaussian)) => Some(gaussian.noise_multiplier),
            Self::Single(Mechanism::PoissonSampledGaussian(sampled)) => {
                Some(sampled.noise_multiplier)
            }
            _ => None,
        }
    }

    /// `count` runs of this event taken apart: single mechanisms as they are accounted for, and how often each ran.
    ///
    /// # Errors
    /// [`AccountingError`] where a parameter is too large, or the runs are more than can be counted.
    pub(super) fn mechanisms(&self, count: u64) -> Result<Vec<(Mechanism, u64)>, AccountingError> {
        let mut mechanisms = Vec::new();
        self.take_apart(count, &mut mechanisms)?;
        Ok(mechanisms)
    }

    fn take_apart(
        &self,
        count: u64,
        mechanisms: &mut Vec<(Mechanism, u64)>,
    ) -> Result<(), AccountingError> {
        match self {
            Self::Single(mechanism) => mechanisms.push((mechanism.canonical()?, count)),
            Self::SelfComposed {
                event,
                count: inner,
            } => {
                let count = count.checked_mul(*inner).ok_or(AccountingError::TooMany)?;
                event.take_apart(count, mechanisms)?;
            }
            Self::Composed { events } => {
                for event in events {
                    event.take_apart(count, mechanisms)?;
                }
            }
        }
        Ok(())
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
                MechanismEvent::from(PoissonSampledGaussian {
                    sampling_probability,
                    noise_multiplier: sigma(noise),
                })
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
        let nobody = MechanismEvent::NON_PRIVATE;
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
            r#"{"type":"non_private","noise_multiplier":1}"#,
            r#"{"type":"gaussian","noise_multiplier":8,"noise_multiplier":1}"#,
            r#"{"type":"gaussian","noise_multiplier":8,"count":1,"count":2}"#,
            r#"{"type":"gaussian","type":"non_private"}"#,
            r#"{"noise_multiplier":8}"#,
            r#"{"type":"composed","events":[],"count":2}"#,
            r#"{"type":"poisson_gaussian","noise_multiplier":8,"sampling_probability":0.5,"rate":1}"#,
            r#"{"type":"fixed_size_gaussian","dataset_size":9,"sample_size":10,"noise_multiplier":4}"#,
            r#"{"type":"laplace","scale_over_sensitivity":1,"sampling_probability":0}"#,
            r#"{"type":"tree_aggregation","noise_multiplier":1,"step_count":0}"#,
        ] {
            assert!(
                serde_json::from_str::<MechanismEvent>(json).is_err(),
                "{json}"
            );
        }
    }
}
