//! The terms of a run: what its plan, its ledger entries and its certificate must all say the
//! same of.
//!
//! They are derived from the plan by whoever can read plans, by the code that sites use, and
//! compared with the other two documents here. `Differences` names the field, both values
//! and both files.

use serde::Serialize;

use crate::accountant::Delta;
use crate::accountant::event::{MechanismEvent, NoiseMultiplier};
use crate::certificate::lineage::BaseStatement;
use crate::clip::ClippingNorm;
use crate::lattice::LatticeStep;
use crate::poisson::SamplingRate;
use crate::unit::{Adjacency, NoisePlacement, PrivacyUnit};

/// What a plan says of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The run's name.
    pub run: String,
    /// Rounds that are planned.
    pub rounds: u32,
    /// Whether the noise comes from a seed.
    pub seeded: bool,
    /// The model that training starts from.
    pub base: BaseStatement,
    /// What is promised; `None` for unit none.
    pub promise: Option<Promise>,
}

/// What a plan promises, and how it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// What one neighbouring data set may add or remove.
    pub unit: PrivacyUnit,
    /// Which data sets are neighbours.
    pub adjacency: Adjacency,
    /// Where the noise is added.
    pub placement: NoisePlacement,
    /// σ.
    pub noise_multiplier: NoiseMultiplier,
    /// q, 1 where no amplification is claimed.
    pub sampling_rate: SamplingRate,
    /// Drawings of noise in one round.
    pub draws_per_round: u32,
    /// What one drawing is to an accountant.
    pub mechanism: MechanismEvent,
    /// C.
    pub clipping_norm: ClippingNorm,
    /// γ.
    pub lattice_step: LatticeStep,
    /// The budget's delta.
    pub delta: Delta,
    /// The budget's epsilon.
    pub budget_epsilon: f64,
}

/// The fields in which two documents differ, each as a part of a sentence.
#[derive(Debug)]
pub(super) struct Differences {
    /// The document that is held against the plan.
    document: String,
    found: Vec<String>,
}

impl Differences {
    /// Nothing yet. `document` is named in what is found.
    pub(super) fn of(document: impl Into<String>) -> Self {
        Self {
            document: document.into(),
            found: Vec::new(),
        }
    }

    /// Compares one field of the document with what `plan.json` says.
    pub(super) fn field<T: Serialize + PartialEq>(&mut self, name: &str, found: &T, planned: &T) {
        self.field_from(name, found, "plan.json", planned);
    }

    /// Compares one field of the document with what `other` says.
    pub(super) fn field_from<T: Serialize + PartialEq>(
        &mut self,
        name: &str,
        found: &T,
        other: &str,
        expected: &T,
    ) {
        if found != expected {
            self.found.push(format!(
                "{name} is {} in {}, and {} by {other}",
                shown(found),
                self.document,
                shown(expected)
            ));
        }
    }

    /// The first few as a sentence, if there are any.
    pub(super) fn into_result(self) -> Result<(), String> {
        const MOST: usize = 4;
        let more = self.found.len().saturating_sub(MOST);
        let listed: Vec<String> = self.found.into_iter().take(MOST).collect();
        match (listed.is_empty(), more) {
            (true, _) => Ok(()),
            (false, 0) => Err(listed.join("; ")),
            (false, more) => Err(format!("{}; and {more} more", listed.join("; "))),
        }
    }
}

/// A value as the documents write it.
fn shown(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "unwritable".into())
}
