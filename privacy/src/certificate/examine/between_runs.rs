//! The data set's budget over several runs, which no sum of their epsilons bounds.

use super::Check;
use crate::accountant::{Accountant, PldAccountant};
use crate::budget::Budget;
use crate::certificate::content::{Certificate, Guarantee};
use crate::filter::{FilterOrder, RenyiFilter};
use crate::ledger::LedgerEntry;

/// The name of the check. Where it is made, several runs used the rows, and what they spent so far
/// is no guarantee: the budget is.
pub const BETWEEN_RUNS: &str = "between runs";

/// Checks the filter between runs; `None` where the certificate's run is the only one on its rows.
pub(super) fn check(
    certificate: &Certificate,
    guarantee: &Guarantee,
    entries: &[LedgerEntry],
) -> Option<Check> {
    let stated = &certificate.ledger;
    let of_data_set = || entries.iter().filter(|e| e.data_set == stated.data_set);
    let own = of_data_set().find(|entry| entry.index >= stated.first_of_run);
    let own = own.map(|entry| (&entry.run_id, entry.plan));
    // A run that was begun again under the same plan is one run.
    let others = of_data_set().any(|entry| Some((&entry.run_id, entry.plan)) != own);
    let inherited = guarantee.total.events != guarantee.data_set.events;
    if !others && !inherited {
        return None;
    }
    if guarantee.seeded {
        let says = "noise from a known seed is no protection, however runs are added up";
        return Some(Check::open(BETWEEN_RUNS, says));
    }
    Some(match divergence(guarantee, of_data_set()) {
        Ok(says) => Check::holds(BETWEEN_RUNS, says),
        Err(why) => Check::fails(BETWEEN_RUNS, why),
    })
}

fn divergence<'a>(
    guarantee: &Guarantee,
    mut entries: impl Iterator<Item = &'a LedgerEntry>,
) -> Result<String, String> {
    let budget = Budget::new(guarantee.budget_epsilon, guarantee.delta.get())
        .map_err(|error| error.to_string())?;
    let fixed = entries.find_map(|entry| entry.filter_order);
    let order = fixed.unwrap_or_else(|| FilterOrder::for_budget(&budget));
    let filter = RenyiFilter::new(&budget, order);
    let mut spent = PldAccountant::new(guarantee.adjacency);
    for event in &guarantee.total.events {
        spent.compose(event, 1).map_err(|error| error.to_string())?;
    }
    match filter.check(&spent, &budget) {
        Ok(()) => Ok(format!(
            "the runs' Rényi divergence of order {:.2} is {:.4} of {:.4}: {budget} holds over all of \
             them, whatever later ones learnt from earlier ones",
            order.get(),
            spent.renyi(order.get()),
            filter.capacity()
        )),
        Err(why) => Err(why.to_string()),
    }
}
