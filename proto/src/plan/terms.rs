//! What a plan says of a run, as certificates and ledgers are compared with it.
//!
//! Derived by the code that every site uses ([`super::mechanism`]), so that whoever verifies a
//! run believes neither its ledger nor its certificate.

use umbel_privacy::certificate::{BaseStatement, Promise, Terms};

use super::Plan;

impl Plan {
    /// The terms of a run under this plan.
    pub fn terms(&self) -> Terms {
        let promise = self.mechanism().map(|mechanism| {
            let protection = &mechanism.protection;
            Promise {
                unit: protection.unit,
                adjacency: protection.adjacency,
                placement: protection.placement,
                noise_multiplier: protection.noise_multiplier,
                sampling_rate: self.accounted_sampling_rate(),
                draws_per_round: self.events_per_round(),
                mechanism: mechanism.event.clone(),
                clipping_norm: mechanism.clipping_norm,
                lattice_step: mechanism.step,
                delta: protection.budget.delta(),
                budget_epsilon: protection.budget.epsilon(),
            }
        });
        Terms {
            run: self.run.to_string(),
            rounds: self.rounds.get(),
            seeded: self.seed.is_some(),
            base: BaseStatement {
                weights: self.classifier.base.weights,
                certificate: self.classifier.base.certificate,
            },
            promise,
        }
    }
}
