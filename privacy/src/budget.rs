//! The budget, and the gate that stands before every round: a round whose cost would
//! exceed the budget does not start.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accountant::event::MechanismEvent;
use crate::accountant::{Accountant, AccountingError, Delta, Epsilon, InvalidDelta};

/// An epsilon that may be spent: finite and above 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct BudgetEpsilon(f64);

impl BudgetEpsilon {
    /// Epsilon as a float.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for BudgetEpsilon {
    type Error = InvalidBudget;

    fn try_from(epsilon: f64) -> Result<Self, InvalidBudget> {
        if epsilon.is_finite() && epsilon > 0.0 {
            Ok(Self(epsilon))
        } else {
            Err(InvalidBudget::Epsilon(epsilon))
        }
    }
}

impl From<BudgetEpsilon> for f64 {
    fn from(epsilon: BudgetEpsilon) -> f64 {
        epsilon.0
    }
}

impl fmt::Display for BudgetEpsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The most that may be spent on one data set: epsilon at a delta.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenBudget", into = "WrittenBudget")]
pub struct Budget {
    epsilon: BudgetEpsilon,
    delta: Delta,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBudget {
    epsilon: f64,
    delta: f64,
}

/// Numbers that can't be a budget.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidBudget {
    /// Epsilon isn't finite and positive.
    #[error("{0} isn't an epsilon; use a finite number above 0, e.g. 3")]
    Epsilon(f64),
    /// Delta isn't between 0 and 1.
    #[error(transparent)]
    Delta(#[from] InvalidDelta),
}

impl Budget {
    /// A budget of `epsilon` (finite, above 0) at `delta` (between 0 and 1).
    ///
    /// # Errors
    /// [`InvalidBudget`] outside those ranges.
    pub fn new(epsilon: f64, delta: f64) -> Result<Self, InvalidBudget> {
        let epsilon = BudgetEpsilon::try_from(epsilon)?;
        Ok(Self::of(epsilon, Delta::try_from(delta)?))
    }

    /// The same of numbers that are known to be in their ranges.
    pub fn of(epsilon: BudgetEpsilon, delta: Delta) -> Self {
        Self { epsilon, delta }
    }

    /// The largest epsilon allowed.
    pub fn epsilon(&self) -> f64 {
        self.epsilon.get()
    }

    /// The delta that it is taken at.
    pub fn delta(&self) -> Delta {
        self.delta
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epsilon {} at delta {}", self.epsilon, self.delta)
    }
}

impl TryFrom<WrittenBudget> for Budget {
    type Error = InvalidBudget;

    fn try_from(written: WrittenBudget) -> Result<Self, InvalidBudget> {
        Self::new(written.epsilon, written.delta)
    }
}

impl From<Budget> for WrittenBudget {
    fn from(budget: Budget) -> Self {
        Self {
            epsilon: budget.epsilon.get(),
            delta: budget.delta.get(),
        }
    }
}

/// The next event would cost more than is left. An ordinary ending of a run.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "privacy budget exhausted: {spent} of {budget} is spent, and the next round would make it {next_epsilon}"
)]
pub struct BudgetExhausted {
    /// Epsilon of everything so far, at the budget's delta.
    pub spent: Epsilon,
    /// Epsilon with the next event.
    pub next_epsilon: Epsilon,
    /// The budget.
    pub budget: Budget,
}

/// Why a round may not start.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GateError {
    /// The budget doesn't allow it.
    #[error(transparent)]
    Exhausted(#[from] BudgetExhausted),
    /// The event has no sound figure.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
}

/// That an event fits in the budget, and what will have been spent after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permit {
    epsilon_after: Epsilon,
}

impl Permit {
    /// Epsilon once the event has happened, at the budget's delta.
    pub fn epsilon_after(&self) -> Epsilon {
        self.epsilon_after
    }
}

/// Decides whether an event may happen.
#[derive(Debug, Clone, Copy)]
pub struct BudgetGate;

impl BudgetGate {
    /// Permits `next` if everything that `accountant` has seen and `next` together stay
    /// within `budget`. Changes nothing.
    ///
    /// # Errors
    /// [`GateError::Exhausted`] if they don't, [`GateError::Accounting`] if that can't be
    /// said.
    pub fn check<A: Accountant + Clone>(
        accountant: &A,
        next: &MechanismEvent,
        budget: &Budget,
    ) -> Result<Permit, GateError> {
        let mut trial = accountant.clone();
        trial.compose(next, 1)?;
        let next_epsilon = trial.epsilon(budget.delta);
        if next_epsilon.get() <= budget.epsilon() {
            Ok(Permit {
                epsilon_after: next_epsilon,
            })
        } else {
            let spent = accountant.epsilon(budget.delta);
            Err(BudgetExhausted {
                spent,
                next_epsilon,
                budget: *budget,
            }
            .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::calibrate::rounds_within;
    use crate::accountant::event::NoiseMultiplier;
    use crate::accountant::{PldAccountant, RdpAccountant};
    use crate::poisson::SamplingRate;
    use crate::unit::Adjacency;

    fn event() -> MechanismEvent {
        MechanismEvent::poisson_gaussian(
            SamplingRate::try_from(0.05).unwrap(),
            NoiseMultiplier::try_from(1.0).unwrap(),
        )
    }

    #[test]
    fn the_gate_opens_for_exactly_the_rounds_that_fit() {
        let budget = Budget::new(3.0, 1e-5).unwrap();
        let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
        let mut rounds = 0;
        let refusal = loop {
            match BudgetGate::check(&accountant, &event(), &budget) {
                Ok(permit) => {
                    accountant.compose(&event(), 1).unwrap();
                    assert_eq!(permit.epsilon_after(), accountant.epsilon(budget.delta()));
                    rounds += 1;
                }
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(
            rounds_within(&budget, &event(), Adjacency::AddOrRemove),
            Ok(rounds)
        );
        assert!(rounds > 10);
        let GateError::Exhausted(exhausted) = refusal else {
            panic!("{refusal}")
        };
        assert!(exhausted.spent.get() <= 3.0 && exhausted.next_epsilon.get() > 3.0);
    }

    #[test]
    fn an_event_without_a_sound_figure_is_not_let_through() {
        let budget = Budget::new(3.0, 1e-5).unwrap();
        let accountant = RdpAccountant::new(Adjacency::ReplaceOne);
        let refusal = BudgetGate::check(&accountant, &event(), &budget);
        assert_eq!(refusal, Err(AccountingError::SampledReplaceOne.into()));
    }

    #[test]
    fn budgets_are_finite_and_positive() {
        for (epsilon, delta) in [
            (0.0, 1e-5),
            (-1.0, 1e-5),
            (f64::NAN, 1e-5),
            (f64::INFINITY, 1e-5),
            (1.0, 0.0),
            (1.0, 1.0),
        ] {
            assert!(Budget::new(epsilon, delta).is_err(), "{epsilon} {delta}");
        }
        assert!(serde_json::from_str::<Budget>(r#"{"epsilon":1,"delta":2}"#).is_err());
        let budget: Budget = serde_json::from_str(r#"{"epsilon":8,"delta":1e-5}"#).unwrap();
        assert_eq!(budget, Budget::new(8.0, 1e-5).unwrap());
    }
}
