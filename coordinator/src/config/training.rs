//! `[training]`: how sites train.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::combination::Summed;
use umbel_proto::method::{Divisor, LocalOptimisation, MaxUnits, Method, MicroBatch};
use umbel_proto::plan::rules;
use umbel_proto::task::ClassWeight;
use umbel_proto::{bounded, schema};

use super::{ConfigError, refuse, require};

bounded! {
    /// What the sampling rate is expected to draw over all sites.
    ExpectedBatch(f64): "expected_batch", Included(1.0), Excluded(1e15);
}

/// `[training]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingSection {
    /// `gradients` (one server step on the summed gradients) or `deltas` (local steps first). Needed
    /// without `privacy.units`.
    #[schemars(schema_with = "schema::summed")]
    pub method: Summed,
    /// The public number that a sum of gradients is divided by: the units that the sampling rate is
    /// expected to draw over all sites. Needed for `gradients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_batch: Option<ExpectedBatch>,
    /// Rows that pass through the model at a time. It changes memory and speed, and results in the
    /// last bits only.
    #[serde(default)]
    pub micro_batch: MicroBatch,
    /// Public cap on a site's units, and so on what it adds up in one round. A site with more
    /// refuses the run.
    #[serde(default)]
    pub max_units: MaxUnits,
    /// What the loss of a row counts, by its label: `urgent = 3.0`. Labels that aren't here count 1. The
    /// numbers are published: don't compute them from private rows. A row's gradient is clipped after it was
    /// multiplied, so the weights change no guarantee, and a weight beyond what clipping leaves changes
    /// nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_weights: BTreeMap<String, ClassWeight>,
    /// The local steps of `deltas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalOptimisation>,
}

impl TrainingSection {
    /// How sites train.
    ///
    /// # Errors
    /// [`ConfigError::Check`] for local steps that are missing, or that nobody takes.
    pub fn method(&self) -> Result<Method, ConfigError> {
        let method = match self.method {
            Summed::Gradients => {
                require(
                    self.local.is_none(),
                    "training.local",
                    "only goes with method = \"deltas\"; remove the section",
                )?;
                self.gradients_divisor()?;
                Method::Gradients
            }
            Summed::Deltas => Method::Deltas(self.local.ok_or_else(|| {
                refuse(
                    "training.local",
                    "is missing; `deltas` takes local steps: set optimiser, steps, batch and \
                     learning_rate",
                )
            })?),
        };
        rules::check_method(&method)?;
        Ok(method)
    }

    /// What rows of each label count, in the order of the labels; `None` where all count alike.
    ///
    /// # Errors
    /// [`ConfigError::Check`] for a weight of a label that there isn't.
    pub fn class_weights(
        &self,
        labels: &[String],
    ) -> Result<Option<Vec<ClassWeight>>, ConfigError> {
        if let Some(unknown) = self
            .class_weights
            .keys()
            .find(|name| !labels.contains(name))
        {
            return Err(refuse(
                "training.class_weights",
                format!(
                    "has {unknown:?}, which is none of the labels ({}); correct or remove it",
                    labels.join(", ")
                ),
            ));
        }
        let of = |label: &String| self.class_weights.get(label).copied().unwrap_or_default();
        let given = !self.class_weights.is_empty();
        Ok(given.then(|| labels.iter().map(of).collect()))
    }

    fn gradients_divisor(&self) -> Result<f64, ConfigError> {
        let batch = self.expected_batch.ok_or_else(|| {
            refuse(
                "training.expected_batch",
                "is missing; `gradients` divides by it: set the number of units that the \
                 sampling rate is expected to draw over all sites",
            )
        })?;
        Ok(batch.get())
    }

    /// The public number by which a round's sum is divided, where so many clients are expected
    /// in a round.
    ///
    /// # Errors
    /// [`ConfigError::Check`] where it isn't known.
    pub(super) fn divisor(&self, clients: f64) -> Result<Divisor, ConfigError> {
        let number = match self.method {
            Summed::Gradients => self.gradients_divisor()?,
            Summed::Deltas => clients,
        };
        Divisor::try_from(number).map_err(|e| refuse("training.expected_batch", e.to_string()))
    }
}
