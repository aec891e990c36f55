//! What a plan says of a run, as certificates and ledgers are compared with it.
//!
//! Derived by the code that every site uses ([`crate::mechanism`]), so that whoever verifies a
//! run believes neither its ledger nor its certificate.

use umbel_privacy::Sha256Digest;
use umbel_privacy::accountant::Delta;
use umbel_privacy::accountant::event::NoiseMultiplier;
use umbel_privacy::certificate::{BaseStatement, Promise, Terms};
use umbel_privacy::poisson::SamplingRate;

use crate::mechanism::MechanismError;
use crate::message::BlobDigest;
use crate::plan::{Plan, PlanError};

/// A plan that no terms follow from.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// It isn't a valid plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Its numbers make no mechanism.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    /// Its delta isn't one.
    #[error(transparent)]
    Delta(#[from] umbel_privacy::accountant::InvalidDelta),
}

impl Plan {
    /// The terms of a run under this plan.
    ///
    /// # Errors
    /// [`TermsError`] for a plan that can't be followed.
    pub fn terms(&self) -> Result<Terms, TermsError> {
        self.check()?;
        let privacy = &self.privacy;
        let promise = match self.mechanism()? {
            None => None,
            Some(mechanism) => Some(Promise {
                unit: privacy.unit,
                adjacency: privacy.adjacency,
                placement: privacy.placement,
                noise_multiplier: NoiseMultiplier::try_from(privacy.noise_multiplier)
                    .map_err(MechanismError::from)?,
                sampling_rate: SamplingRate::try_from(self.accounted_sampling_rate())
                    .map_err(MechanismError::from)?,
                draws_per_round: self.events_per_round(),
                mechanism: mechanism.event,
                clipping_norm: mechanism.clipping_norm,
                lattice_step: mechanism.step,
                delta: Delta::try_from(privacy.delta)?,
                budget_epsilon: privacy.epsilon,
            }),
        };
        Ok(Terms {
            run: self.run.clone(),
            rounds: self.rounds,
            seeded: self.seed.is_some(),
            base: BaseStatement {
                weights: sha256(self.classifier.base.weights),
                certificate: self.classifier.base.certificate.map(sha256),
            },
            promise,
        })
    }
}

fn sha256(digest: BlobDigest) -> Sha256Digest {
    Sha256Digest::from(*digest.as_bytes())
}
