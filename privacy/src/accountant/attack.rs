//! How well an attacker can do: hits against false alarms.
//!
//! An attacker sees everything that was released, knows all units but one, and guesses whether that
//! one was there. Let α be the share of guesses "it was" among those where it wasn't (false
//! positives), and β the share of misses where it was (false negatives). A mechanism that is
//! (ε, δ)-private has β ≥ max(0, 1 - δ - e^ε α, e^{-ε}(1 - δ - α)) (Wasserman & Zhou 2010; Dong, Roth
//! & Su 2022, "Gaussian differential privacy", Section 2), for each of its pairs. The greatest of these
//! bounds over all pairs is the mechanism's own trade-off function, the best that any attacker can do;
//! over some pairs, as here, it is a bound that no attacker beats.

use std::f64::consts::SQRT_2;

use crate::accountant::{Accountant, Delta};

/// Deltas in a factor of ten at which epsilon is asked for.
const PER_DECADE: i32 = 24;
/// The least of them is 10 to the minus this. A false positive rate as small as that is beyond what
/// any attack measures.
const DECADES: i32 = 10;

/// A bound on every attacker, by pairs of epsilon and delta that a mechanism satisfies.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackBound {
    pairs: Vec<(f64, f64)>,
}

impl AttackBound {
    /// The bound by everything that an accountant has composed, close to the mechanism's own
    /// trade-off function: epsilon is asked for at many deltas.
    pub fn of(accountant: &impl Accountant) -> Self {
        let steps = 1..=DECADES * PER_DECADE;
        let deltas = steps.map(|step| 10_f64.powf(f64::from(-step) / f64::from(PER_DECADE)));
        let pair = |delta: f64| {
            let epsilon = accountant.epsilon(Delta::try_from(delta).ok()?).get();
            epsilon.is_finite().then_some((epsilon, delta))
        };
        Self {
            pairs: deltas.filter_map(pair).collect(),
        }
    }

    /// The bound by one pair, where no more is known.
    pub fn of_pair(epsilon: f64, delta: f64) -> Self {
        let known = epsilon >= 0.0 && epsilon.is_finite() && (0.0..1.0).contains(&delta);
        Self {
            pairs: known.then_some((epsilon, delta)).into_iter().collect(),
        }
    }

    /// The least share of misses at this rate of false positives, in [0, 1]; 0 where nothing is
    /// known.
    pub fn false_negatives(&self, false_positives: f64) -> f64 {
        let bound = |(epsilon, delta): &(f64, f64)| {
            let by_alarms = 1.0 - delta - epsilon.exp() * false_positives;
            let by_misses = (-epsilon).exp() * (1.0 - delta - false_positives);
            by_alarms.max(by_misses)
        };
        self.pairs.iter().map(bound).fold(0.0, f64::max)
    }

    /// The largest share of hits at this rate of false positives, in [0, 1].
    pub fn true_positives(&self, false_positives: f64) -> f64 {
        1.0 - self.false_negatives(false_positives)
    }

    /// μ of the least Gaussian mechanism that is as easy to attack at each of these rates of false
    /// positives, all in (0, 1): its misses are Φ(Φ⁻¹(1 - α) - μ) (Dong, Roth & Su 2022, Section
    /// 2.2). `None` where an attacker may miss nothing.
    pub fn gaussian_mu(&self, rates: &[f64]) -> Option<f64> {
        let mu = |rate: &f64| {
            let misses = self.false_negatives(*rate);
            (misses > 0.0).then(|| (-normal_quantile(*rate) - normal_quantile(misses)).max(0.0))
        };
        let all: Option<Vec<f64>> = rates.iter().map(mu).collect();
        Some(all?.into_iter().fold(0.0, f64::max))
    }
}

/// Φ⁻¹(`p`), by halving; -40 and 40 stand for all that is beyond.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if 0.5 * libm::erfc(-middle / SQRT_2) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::PldAccountant;
    use crate::accountant::event::{MechanismEvent, NoiseMultiplier};
    use crate::poisson::SamplingRate;
    use crate::unit::Adjacency;

    const RATES: [f64; 5] = [0.0001, 0.001, 0.01, 0.1, 0.5];

    fn composed(sigma: f64, rate: f64, rounds: u64) -> AttackBound {
        let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
        let sigma = NoiseMultiplier::try_from(sigma).unwrap();
        let rate = SamplingRate::try_from(rate).unwrap();
        let event = MechanismEvent::poisson_gaussian(rate, sigma);
        accountant.compose(&event, rounds).unwrap();
        AttackBound::of(&accountant)
    }

    fn upper_tail(t: f64) -> f64 {
        0.5 * libm::erfc(t / SQRT_2)
    }

    #[test]
    fn a_gaussian_mechanism_is_as_hard_to_attack_as_its_trade_off_function_says() {
        for (sigma, rounds) in [(10.0, 1), (1.0, 1), (2.0, 9), (1.0, 16)] {
            let bound = composed(sigma, 1.0, rounds);
            let mu = (rounds as f64).sqrt() / sigma;
            for rate in RATES {
                let exact = upper_tail(-normal_quantile(rate) - mu);
                let found = bound.true_positives(rate);
                // Never below, and above by no more than what lies between two deltas.
                assert!(found >= exact - 1e-9, "{mu} {rate}: {found} {exact}");
                assert!(found <= exact + 0.006, "{mu} {rate}: {found} {exact}");
            }
            let found = bound.gaussian_mu(&RATES).unwrap();
            assert!(
                found >= mu - 1e-6 && found <= mu * 1.05 + 0.02,
                "{mu}: {found}"
            );
        }
    }

    #[test]
    fn the_best_attack_on_one_sampled_round_is_within_the_bound_and_near_it() {
        let (sigma, q) = (0.5, 0.1);
        let bound = composed(sigma, q, 1);
        for rate in [0.001, 0.01, 0.1] {
            // Likelihood rises with what is seen, so that the best attack is a threshold.
            let threshold = -normal_quantile(rate);
            let hits = (1.0 - q) * rate + q * upper_tail(threshold - 1.0 / sigma);
            let found = bound.true_positives(rate);
            assert!(
                found >= hits - 1e-9 && found < hits + 0.08,
                "{rate}: {found} {hits}"
            );
        }
    }

    #[test]
    fn many_pairs_bound_an_attacker_closer_than_one() {
        let (sigma, q, rounds) = (0.85, 0.066, 160);
        let (many, delta) = (composed(sigma, q, rounds), 1e-5);
        let one = AttackBound::of_pair(8.0, delta);
        assert!(one.true_positives(0.01) > 0.99);
        assert!(
            many.true_positives(0.01) < 0.6,
            "{}",
            many.true_positives(0.01)
        );
    }

    #[test]
    fn nothing_released_is_a_guess_and_nothing_known_is_no_bound() {
        let nothing = AttackBound::of(&PldAccountant::new(Adjacency::AddOrRemove));
        for rate in RATES {
            assert!((nothing.true_positives(rate) - rate).abs() < 2e-10);
        }
        assert!(nothing.gaussian_mu(&RATES).unwrap() < 1e-5);
        let mut open = PldAccountant::new(Adjacency::AddOrRemove);
        open.compose(&MechanismEvent::NON_PRIVATE, 1).unwrap();
        for bound in [
            AttackBound::of(&open),
            AttackBound::of_pair(f64::INFINITY, 1e-5),
            AttackBound::of_pair(f64::NAN, 1e-5),
            AttackBound::of_pair(1.0, 1.0),
        ] {
            assert_eq!(bound.true_positives(0.01), 1.0);
            assert_eq!(bound.gaussian_mu(&RATES), None);
        }
    }
}
