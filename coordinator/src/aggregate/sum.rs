//! The sum: one vector, however many clients.
//!
//! Sums of integers don't depend on the order of arrival, so nothing else need be kept.

use umbel_privacy::lattice::{LatticeError, LatticeVector};

use super::{Aggregate, AggregateKind};

/// The sum of all updates.
pub(super) const KIND: AggregateKind = AggregateKind {
    name: "sum",
    bounds_units: true,
    divisor: |divisor, _| divisor,
    make: |numbers, may_overflow| {
        Box::new(Sum {
            total: LatticeVector::zeros(numbers),
            may_overflow,
        })
    },
};

struct Sum {
    total: LatticeVector,
    /// Whether updates that keep to the rules might still overflow their sum.
    may_overflow: bool,
}

impl Aggregate for Sum {
    fn check(&self, update: &LatticeVector) -> Result<(), LatticeError> {
        if !self.may_overflow {
            return Ok(());
        }
        let mut pairs = self.total.values().iter().zip(update.values());
        match pairs.position(|(own, &added)| own.checked_add(added).is_none()) {
            Some(index) => Err(LatticeError::SumOverflow { index }),
            None => Ok(()),
        }
    }

    fn accept(&mut self, update: &LatticeVector) -> Result<(), LatticeError> {
        self.total.checked_add_assign(update)
    }

    fn finish(self: Box<Self>) -> LatticeVector {
        self.total
    }
}
