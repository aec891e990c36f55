//! The plan of a run: everything that a site must know, and may refuse.
//!
//! It travels as JSON, so that the very bytes which a site agreed to can be hashed,
//! logged and shown to a person. Nothing in it is a secret and nothing in it was
//! derived from private data.
//!
//! [`WrittenPlan`] is what stands in that JSON, each number in its range. A [`Plan`] is one whose
//! settings go together ([`rules`]), with the mechanism that follows from them. A plan that exists
//! is right: it is made in one way, whoever makes it. An [`AgreedPlan`] is a plan with the bytes
//! that it came in.

mod agreed;
mod error;
pub mod mechanism;
pub mod rules;
pub mod terms;
mod written;

use std::ops::Deref;

pub use agreed::AgreedPlan;
pub use error::PlanError;
pub use mechanism::{LEAST_NOISE_MULTIPLIER, Mechanism};
use umbel_privacy::adaptive_clipping::AdaptiveClipping;
use umbel_privacy::lattice::LatticeStep;
pub use written::{
    AdaptiveClippingTerms, BasePlan, ClassifierPlan, LocalPlan, Protection, Quantile, Rehearsal,
    Rounds, ThresholdRate, WrittenPlan,
};

/// A plan that can be followed.
#[derive(Clone, Debug)]
pub struct Plan {
    written: WrittenPlan,
    mechanism: Option<Mechanism>,
    adaptive_clipping: Option<AdaptiveClipping>,
    submitted_step: LatticeStep,
}

impl TryFrom<WrittenPlan> for Plan {
    type Error = PlanError;

    fn try_from(written: WrittenPlan) -> Result<Self, PlanError> {
        rules::check(&written)?;
        Ok(Self {
            mechanism: mechanism::of(&written)?,
            adaptive_clipping: mechanism::adaptive_clipping(&written)?,
            submitted_step: mechanism::submitted_step(&written),
            written,
        })
    }
}

impl Deref for Plan {
    type Target = WrittenPlan;

    fn deref(&self) -> &WrittenPlan {
        &self.written
    }
}

/// What else a plan holds follows from what is written.
impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// [`PlanError`] for anything that isn't a plan that can be followed.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanError> {
        let written: WrittenPlan = serde_json::from_slice(bytes).map_err(PlanError::unreadable)?;
        Self::try_from(written)
    }

    /// The plan as the JSON bytes that travel and are hashed.
    pub fn to_json(&self) -> Vec<u8> {
        // A struct of numbers, strings and lists always has a JSON form.
        serde_json::to_vec_pretty(&self.written).unwrap_or_default()
    }

    /// The plan with something changed.
    ///
    /// # Errors
    /// [`PlanError`] where the result can't be followed.
    pub fn changed(&self, change: impl FnOnce(&mut WrittenPlan)) -> Result<Self, PlanError> {
        let mut written = self.written.clone();
        change(&mut written);
        Self::try_from(written)
    }

    /// The plan that this one rehearses; `None` if it is no rehearsal.
    ///
    /// # Errors
    /// [`PlanError`] where that plan can't be followed.
    pub fn rehearsed(&self) -> Result<Option<Self>, PlanError> {
        let Some(rehearsal) = self.rehearsal else {
            return Ok(None);
        };
        let real = self.changed(|plan| {
            plan.rounds = rehearsal.rounds;
            plan.rehearsal = None;
        });
        real.map(Some)
    }

    /// The mechanism of one noise draw, or `None` for a plan without privacy.
    pub fn mechanism(&self) -> Option<&Mechanism> {
        self.mechanism.as_ref()
    }

    /// The rule of adaptive clipping, where clipping adapts.
    pub fn adaptive_clipping(&self) -> Option<&AdaptiveClipping> {
        self.adaptive_clipping.as_ref()
    }

    /// The step of the lattice on which sites submit.
    pub fn submitted_step(&self) -> LatticeStep {
        self.submitted_step
    }
}
