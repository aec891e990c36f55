//! The budget between runs.
//!
//! Within a run every parameter is fixed beforehand, and privacy-loss distributions compose
//! ([`crate::accountant::pld`]). The parameters of a *later* run may depend on what earlier ones
//! released: whoever chooses them has seen it. Then the sum of the runs' distributions is no bound,
//! even where it stays within the budget on every path (arXiv 2602.06756). What is one is the sum of
//! Rényi divergences at one order that was fixed beforehand (Feldman & Zrnic 2021, "Individual Privacy
//! Accounting via a Rényi Filter", Theorem 4.3). `privacy/proofs/filter.md` has the argument.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::accountant::PldAccountant;
use crate::budget::Budget;

/// The Rényi order α > 1 at which runs on one data set are added up.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FilterOrder(f64);

/// A number that can't be an order.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} isn't the order of a filter; it must be above 1 and at most {LARGEST_ORDER}")]
pub struct InvalidOrder(pub f64);

/// No budget is best held at an order above this.
const LARGEST_ORDER: f64 = 1e6;

impl FilterOrder {
    /// α.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The order at which the budget allows most Gaussian noise mechanisms, whose divergence is
    /// proportional to α: that which makes [`RenyiFilter::capacity`] / α largest.
    pub fn for_budget(budget: &Budget) -> Self {
        // The sites of a simulation have one budget, and there may be thousands of them.
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, order)) if of == budget => *order,
            _ => {
                let order = Self::best_for(budget);
                *last = Some((*budget, order));
                order
            }
        }
    }

    fn best_for(budget: &Budget) -> Self {
        let orders = (0..4000).map(|step| 1.0 + 0.01 * (f64::from(step) * 0.0045).exp());
        let worth = |order: f64| capacity(order, budget) / order;
        let best = orders.max_by(|a, b| worth(*a).total_cmp(&worth(*b)));
        Self(best.unwrap_or(2.0))
    }
}

/// The last budget for which an order was looked for, and the order.
static LAST: Mutex<Option<(Budget, FilterOrder)>> = Mutex::new(None);

impl TryFrom<f64> for FilterOrder {
    type Error = InvalidOrder;

    fn try_from(value: f64) -> Result<Self, InvalidOrder> {
        if value > 1.0 && value <= LARGEST_ORDER {
            Ok(Self(value))
        } else {
            Err(InvalidOrder(value))
        }
    }
}

impl From<FilterOrder> for f64 {
    fn from(order: FilterOrder) -> f64 {
        order.0
    }
}

/// The largest Rényi divergence of order α that implies (ε, δ): by Canonne, Kamath & Steinke 2020,
/// Proposition 12, ε = RDP + ln((α-1)/α) - (ln δ + ln α)/(α-1). Rounded down.
fn capacity(order: f64, budget: &Budget) -> f64 {
    let ln_delta = budget.delta().get().ln();
    let terms = (-1.0 / order).ln_1p() - (ln_delta + order.ln()) / (order - 1.0);
    budget.epsilon() - terms - 1e-12 * (1.0 + terms.abs() + budget.epsilon())
}

/// A budget, held between runs at one order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RenyiFilter {
    order: FilterOrder,
    capacity: f64,
}

/// The next run isn't allowed, whatever single runs would cost.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the data set's budget between runs is exhausted: the next round would make the runs' Rényi divergence of \
     order {order} {next}, and {budget} allows {capacity}; runs whose settings may depend on earlier results \
     are added up so, and not by the smaller figure of a single run"
)]
pub struct FilterExhausted {
    /// α.
    pub order: f64,
    /// The divergence with the next round; infinite where none is known.
    pub next: f64,
    /// What the budget allows.
    pub capacity: f64,
    /// The budget.
    pub budget: Budget,
}

impl RenyiFilter {
    /// `budget` held at `order`, which must have been fixed before anything was spent.
    pub fn new(budget: &Budget, order: FilterOrder) -> Self {
        Self {
            order,
            capacity: capacity(order.get(), budget),
        }
    }

    /// α.
    pub fn order(&self) -> FilterOrder {
        self.order
    }

    /// The largest divergence that the budget allows; negative where it allows none.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    /// Permits everything that `spent` has seen, by whichever runs, if its divergence is within the
    /// budget's.
    ///
    /// # Errors
    /// [`FilterExhausted`] if it isn't, or can't be bounded.
    pub fn check(&self, spent: &PldAccountant, budget: &Budget) -> Result<(), FilterExhausted> {
        let next = spent.renyi(self.order.get());
        if next <= self.capacity {
            Ok(())
        } else {
            Err(FilterExhausted {
                order: self.order.get(),
                next,
                capacity: self.capacity,
                budget: *budget,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::Accountant;
    use crate::accountant::event::{MechanismEvent, NoiseMultiplier};
    use crate::poisson::SamplingRate;
    use crate::unit::Adjacency;
    use proptest::prelude::*;

    fn sampled(sigma: f64, q: f64, rounds: u64) -> MechanismEvent {
        MechanismEvent::poisson_gaussian(
            SamplingRate::try_from(q).unwrap(),
            NoiseMultiplier::try_from(sigma).unwrap(),
        )
        .times(rounds)
    }

    fn accountant(events: &[MechanismEvent], adjacency: Adjacency) -> PldAccountant {
        let mut accountant = PldAccountant::new(adjacency);
        for event in events {
            accountant.compose(event, 1).unwrap();
        }
        accountant
    }

    #[test]
    fn the_divergence_of_a_gaussian_is_its_closed_form() {
        for order in [1.3, 2.0, 17.5] {
            let add = accountant(&[sampled(2.0, 1.0, 3)], Adjacency::AddOrRemove);
            assert!((add.renyi(order) / (3.0 * order / 8.0) - 1.0).abs() < 1e-8);
            let replace = accountant(&[sampled(2.0, 1.0, 3)], Adjacency::ReplaceOne);
            assert!((replace.renyi(order) / (3.0 * order / 2.0) - 1.0).abs() < 1e-8);
        }
    }

    #[test]
    fn what_cannot_be_bounded_is_refused() {
        let budget = Budget::new(8.0, 1e-5).unwrap();
        let filter = RenyiFilter::new(&budget, FilterOrder::for_budget(&budget));
        let loud = accountant(&[sampled(1e-4, 0.5, 1)], Adjacency::AddOrRemove);
        assert!(filter.check(&loud, &budget).is_err());
        let none = accountant(&[], Adjacency::AddOrRemove);
        assert_eq!(filter.check(&none, &budget), Ok(()));
        for order in [1.0, 0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert!(FilterOrder::try_from(order).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_permitted_sum_is_within_the_budget_and_not_far_below_it(
            epsilon in 0.5f64..10.0, ln_delta in -25f64..-7.0,
        ) {
            let budget = Budget::new(epsilon, ln_delta.exp()).unwrap();
            let filter = RenyiFilter::new(&budget, FilterOrder::for_budget(&budget));
            let order = filter.order().get();
            // The Gaussian that just fits.
            let sigma = (order / (2.0 * filter.capacity())).sqrt() * (1.0 + 1e-7);
            let spent = accountant(&[sampled(sigma, 1.0, 1)], Adjacency::AddOrRemove);
            prop_assert!(filter.check(&spent, &budget).is_ok());
            let exact = spent.epsilon(budget.delta()).get();
            prop_assert!(exact <= epsilon && exact > 0.8 * epsilon, "{exact} of {epsilon}");
        }

        #[test]
        fn divergences_of_sampled_gaussians_are_those_of_the_renyi_accountant(
            ln_sigma in -0.7f64..2.0, ln_q in -8f64..-0.1, order in 2u32..40,
        ) {
            let (sigma, q) = (ln_sigma.exp(), ln_q.exp());
            let found = accountant(&[sampled(sigma, q, 10)], Adjacency::AddOrRemove)
                .renyi(f64::from(order));
            let expected = 10.0 * crate::accountant::rdp::sampled_gaussian(
                SamplingRate::try_from(q).unwrap(),
                NoiseMultiplier::try_from(sigma).unwrap(),
                f64::from(order),
            );
            prop_assert!((found - expected).abs() <= 1e-6 * expected + 1e-11, "{found} {expected}");
        }
    }
}
