//! The RDP accountant: a count for each distinct mechanism, and its RDP curve.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::accountant::event::MechanismEvent;
use crate::accountant::mechanisms::{Known, Mechanism, NonPrivate, sensitivity};
use crate::accountant::{Accountant, AccountingError, Delta, Epsilon, conversion, gaussian, rdp};
use crate::unit::Adjacency;

/// Adds up mechanisms by Rényi differential privacy.
///
/// Where nothing was sampled its epsilon is the exact one of the closed form, which is
/// smaller. The order of composition makes no difference, to the last bit. A curve is
/// computed once for each distinct (q, σ), and clones share it: cloning, composing one
/// more round and asking for epsilon takes microseconds.
#[derive(Clone, Debug)]
pub struct RdpAccountant {
    adjacency: Adjacency,
    orders: Arc<[f64]>,
    mechanisms: BTreeMap<Mechanism, Runs>,
}

/// The runs of one mechanism.
#[derive(Clone, Debug)]
struct Runs {
    count: u64,
    /// RDP of one run at each order.
    curve: Arc<[f64]>,
}

/// Counts up to here are exact as floats.
const LARGEST_COUNT: u64 = 1 << 53;

impl RdpAccountant {
    /// An accountant that has seen nothing, over [`rdp::default_orders`].
    pub fn new(adjacency: Adjacency) -> Self {
        Self {
            adjacency,
            orders: rdp::default_orders().into(),
            mechanisms: BTreeMap::new(),
        }
    }

    /// Epsilon by RDP alone, even where the exact closed form is known; it is what other
    /// RDP accountants report, and never below [`Accountant::epsilon`].
    pub fn rdp_epsilon(&self, delta: Delta) -> Epsilon {
        if self.spent_nothing() {
            return Epsilon::ZERO;
        }
        if self.count_of(&Mechanism::NonPrivate(NonPrivate {})) > 0 {
            return Epsilon::INFINITE;
        }
        let total = |index: usize| -> f64 {
            let runs = self.mechanisms.values().filter(|m| m.count > 0);
            runs.map(|m| m.count as f64 * m.curve.get(index).copied().unwrap_or(f64::INFINITY))
                .sum()
        };
        let curve = self
            .orders
            .iter()
            .enumerate()
            .map(|(index, &order)| (order, total(index)));
        conversion::epsilon(curve, delta)
    }

    /// μ = √(Σ count · (sensitivity / (σ C))²) where everything was an unsampled Gaussian.
    fn gaussian_mu(&self) -> Option<f64> {
        let squares: Option<Vec<f64>> = self
            .mechanisms
            .iter()
            .filter(|(_, runs)| runs.count > 0)
            .map(|(mechanism, runs)| {
                let sigma = mechanism.unsampled_sigma()?;
                Some(runs.count as f64 / (sigma * sigma))
            })
            .collect();
        Some(sensitivity(self.adjacency) * squares?.iter().sum::<f64>().sqrt())
    }

    fn spent_nothing(&self) -> bool {
        self.mechanisms.values().all(|runs| runs.count == 0)
    }

    /// RDP of one run at each order.
    fn curve(&self, mechanism: &Mechanism) -> Result<Arc<[f64]>, AccountingError> {
        let renyi = mechanism.renyi(self.adjacency)?;
        Ok(self.orders.iter().map(|&order| renyi(order)).collect())
    }

    /// [`Accountant::compose`] of single mechanisms.
    pub(super) fn compose_mechanisms(
        &mut self,
        mechanisms: &[(Mechanism, u64)],
    ) -> Result<(), AccountingError> {
        let mut counts = BTreeMap::new();
        let mut curves = BTreeMap::new();
        for &(mechanism, count) in mechanisms {
            if !self.mechanisms.contains_key(&mechanism) && !curves.contains_key(&mechanism) {
                curves.insert(mechanism, self.curve(&mechanism)?);
            }
            let total = counts
                .entry(mechanism)
                .or_insert_with(|| self.count_of(&mechanism));
            *total = total
                .checked_add(count)
                .filter(|&total| total <= LARGEST_COUNT)
                .ok_or(AccountingError::TooMany)?;
        }
        for (mechanism, curve) in curves {
            self.mechanisms.insert(mechanism, Runs { count: 0, curve });
        }
        for (mechanism, count) in counts {
            if let Some(runs) = self.mechanisms.get_mut(&mechanism) {
                runs.count = count;
            }
        }
        Ok(())
    }

    fn count_of(&self, mechanism: &Mechanism) -> u64 {
        self.mechanisms.get(mechanism).map_or(0, |runs| runs.count)
    }
}

impl Accountant for RdpAccountant {
    fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    fn compose(&mut self, event: &MechanismEvent, count: u64) -> Result<(), AccountingError> {
        self.compose_mechanisms(&event.mechanisms(count)?)
    }

    fn epsilon(&self, delta: Delta) -> Epsilon {
        if self.spent_nothing() {
            return Epsilon::ZERO;
        }
        match self.gaussian_mu() {
            Some(mu) => gaussian::epsilon(mu, delta),
            None => self.rdp_epsilon(delta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::event::NoiseMultiplier;
    use crate::poisson::SamplingRate;

    fn event(q: f64, sigma: f64) -> MechanismEvent {
        MechanismEvent::poisson_gaussian(
            SamplingRate::try_from(q).unwrap(),
            NoiseMultiplier::try_from(sigma).unwrap(),
        )
    }

    fn delta() -> Delta {
        Delta::try_from(1e-5).unwrap()
    }

    #[test]
    fn nothing_composed_costs_nothing() {
        let mut accountant = RdpAccountant::new(Adjacency::AddOrRemove);
        assert_eq!(accountant.epsilon(delta()), Epsilon::ZERO);
        accountant.compose(&event(0.1, 1.0), 0).unwrap();
        assert_eq!(accountant.epsilon(delta()), Epsilon::ZERO);
        assert_eq!(accountant.rdp_epsilon(delta()), Epsilon::ZERO);
    }

    #[test]
    fn the_order_and_grouping_of_composition_make_no_difference() {
        let mut one_by_one = RdpAccountant::new(Adjacency::AddOrRemove);
        for _ in 0..30 {
            one_by_one.compose(&event(0.1, 2.0), 1).unwrap();
            one_by_one.compose(&event(0.2, 3.0), 2).unwrap();
            one_by_one.compose(&event(1.0, 30.0), 1).unwrap();
        }
        let mut at_once = RdpAccountant::new(Adjacency::AddOrRemove);
        let rest = MechanismEvent::Composed {
            events: vec![event(0.2, 3.0).times(60), event(0.1, 2.0).times(10)],
        };
        at_once.compose(&event(1.0, 30.0).times(15), 2).unwrap();
        at_once.compose(&rest, 1).unwrap();
        at_once.compose(&event(0.1, 2.0), 20).unwrap();
        assert_eq!(one_by_one.epsilon(delta()), at_once.epsilon(delta()));
    }

    #[test]
    fn a_clone_answers_what_one_more_round_would_cost_without_spending_it() {
        let mut accountant = RdpAccountant::new(Adjacency::AddOrRemove);
        accountant.compose(&event(0.1, 1.0), 10).unwrap();
        let before = accountant.epsilon(delta());
        let mut next = accountant.clone();
        next.compose(&event(0.1, 1.0), 1).unwrap();
        assert!(next.epsilon(delta()) > before);
        assert_eq!(accountant.epsilon(delta()), before);
    }

    #[test]
    fn replacing_one_unit_doubles_the_sensitivity_of_a_gaussian() {
        let mut replace = RdpAccountant::new(Adjacency::ReplaceOne);
        replace.compose(&event(1.0, 4.0), 3).unwrap();
        let mut add = RdpAccountant::new(Adjacency::AddOrRemove);
        add.compose(&event(1.0, 2.0), 3).unwrap();
        assert_eq!(replace.epsilon(delta()), add.epsilon(delta()));
        assert_eq!(replace.rdp_epsilon(delta()), add.rdp_epsilon(delta()));
    }

    #[test]
    fn a_sampled_gaussian_under_replace_one_is_refused_and_nothing_is_added() {
        let mut accountant = RdpAccountant::new(Adjacency::ReplaceOne);
        let both = MechanismEvent::Composed {
            events: vec![event(1.0, 1.0), event(0.5, 1.0)],
        };
        assert_eq!(
            accountant.compose(&both, 1),
            Err(AccountingError::SampledReplaceOne)
        );
        assert_eq!(accountant.epsilon(delta()), Epsilon::ZERO);
    }

    #[test]
    fn counts_that_overflow_are_refused() {
        let mut accountant = RdpAccountant::new(Adjacency::AddOrRemove);
        let many = event(1.0, 1.0).times(u64::MAX);
        assert_eq!(accountant.compose(&many, 2), Err(AccountingError::TooMany));
        assert_eq!(accountant.compose(&many, 1), Err(AccountingError::TooMany));
        accountant.compose(&event(1.0, 1.0), LARGEST_COUNT).unwrap();
        assert_eq!(
            accountant.compose(&event(1.0, 1.0), 1),
            Err(AccountingError::TooMany)
        );
    }

    #[test]
    fn the_closed_form_is_never_above_rdp() {
        for sigma in [0.3, 1.0, 5.0, 100.0] {
            let mut accountant = RdpAccountant::new(Adjacency::AddOrRemove);
            accountant.compose(&event(1.0, sigma), 7).unwrap();
            assert!(accountant.epsilon(delta()) <= accountant.rdp_epsilon(delta()));
        }
    }
}
