//! The sum: one vector, however many clients.
//!
//! Sums of integers don't depend on the order of arrival, so nothing else need be kept.

use umbel_privacy::lattice::{LatticeError, LatticeVector};

use super::{Aggregate, AggregateKind, Reading, Unfit};

/// The sum of all updates.
pub(super) const KIND: AggregateKind = AggregateKind {
    name: "sum",
    bounds_units: true,
    keys: &[],
    divisor: |divisor, _| divisor,
    make: |_, numbers, may_overflow| {
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
    fn may_refuse(&self) -> bool {
        self.may_overflow
    }

    fn check(&self, update: &mut Reading<'_>) -> Result<(), Unfit> {
        while let Some((at, values)) = update.next_block()? {
            let own = self.total.values().iter().skip(at);
            let mut pairs = own.zip(values);
            if let Some(index) = pairs.position(|(own, &added)| own.checked_add(added).is_none()) {
                let index = at + index;
                return Err(LatticeError::SumOverflow { index }.into());
            }
        }
        Ok(())
    }

    fn accept(&mut self, update: &mut Reading<'_>) -> Result<(), Unfit> {
        while let Some((at, values)) = update.next_block()? {
            self.total.checked_add_at(at, values)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> LatticeVector {
        self.total
    }
}
