//! How well anybody can attack what was released: an upper bound, from the accountant's
//! distributions of the very mechanism that ran.

use serde::{Deserialize, Serialize};
use umbel_privacy::accountant::attack::AttackBound;
use umbel_privacy::accountant::event::{MechanismEvent, NoiseMultiplier};
use umbel_privacy::accountant::{Accountant as _, Delta, PldAccountant};
use umbel_privacy::poisson::SamplingRate;

use super::run_summary::{PrivacySummary, PromiseSummary};

/// The rate of false positives at which an attacker is judged (Carlini et al. 2022, "Membership
/// inference attacks from first principles": few wrong accusations are what makes an attack).
pub(super) const FALSE_POSITIVES: f64 = 0.01;

/// From the least rate of false positives that is drawn: 1 in 10,000.
const DECADES: i32 = 4;
const PER_DECADE: i32 = 10;

/// What an attacker can do at most who knows everything but whether one unit was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Strength {
    /// Of what the bound is.
    pub basis: Basis,
    /// The largest share of hits, where 1 % of accusations of the innocent are allowed.
    pub true_positives: f64,
    /// μ of the Gaussian mechanism that is as easy to attack; `None` where an attacker may find
    /// everybody.
    pub mu: Option<f64>,
    /// Rate of false positives, and the largest share of hits there.
    pub curve: Vec<(f64, f64)>,
}

/// Of what a bound on attackers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The mechanism that ran, composed over its rounds.
    Mechanism,
    /// Epsilon and delta alone: other runs and other mechanisms count, too.
    EpsilonAndDelta,
}

impl Strength {
    /// The bound for what is guaranteed; `None` where nothing is.
    pub(crate) fn of(privacy: &PrivacySummary) -> Option<Self> {
        let promise = privacy.kept()?;
        let (epsilon, delta) = (promise.epsilon_guaranteed()?, promise.delta);
        let by_mechanism = match promise.spans_runs {
            true => None,
            false => mechanism(promise, epsilon),
        };
        let basis = match by_mechanism {
            Some(_) => Basis::Mechanism,
            None => Basis::EpsilonAndDelta,
        };
        let bound = by_mechanism.unwrap_or_else(|| AttackBound::of_pair(epsilon, delta));
        let rates: Vec<f64> = (-DECADES * PER_DECADE..=0)
            .map(|step| 10_f64.powf(f64::from(step) / f64::from(PER_DECADE)))
            .collect();
        let below_half: Vec<f64> = rates.iter().copied().filter(|rate| *rate <= 0.5).collect();
        Some(Self {
            basis,
            true_positives: bound.true_positives(FALSE_POSITIVES),
            mu: bound.gaussian_mu(&below_half),
            curve: rates
                .into_iter()
                .map(|rate| (rate, bound.true_positives(rate)))
                .collect(),
        })
    }
}

/// The bound by the run's own mechanism, if that is all that its epsilon was spent on.
fn mechanism(promise: &PromiseSummary, epsilon: f64) -> Option<AttackBound> {
    let noise = NoiseMultiplier::try_from(promise.noise_multiplier).ok()?;
    let rate = SamplingRate::try_from(promise.accounted_sampling_rate).ok()?;
    let delta = Delta::try_from(promise.delta).ok()?;
    let mut accountant = PldAccountant::new(promise.adjacency);
    let event = MechanismEvent::poisson_gaussian(rate, noise);
    accountant.compose(&event, promise.draws).ok()?;
    // Where the ledger says more, something else was spent, such as by the base model's lineage.
    let all = accountant.epsilon(delta).get() >= epsilon * (1.0 - 1e-6);
    all.then(|| AttackBound::of(&accountant))
}
