//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes.

#[path = "../../fuzz/checks/costs.rs"]
mod costs;
#[path = "../../fuzz/checks/effort.rs"]
mod effort;
#[path = "../../fuzz/checks/events.rs"]
mod events;
#[path = "../../fuzz/checks/ledger.rs"]
mod ledger;
#[path = "../../fuzz/checks/seeds.rs"]
mod seeds;

#[test]
fn every_kept_events_file_is_read_or_refused_and_costs_what_it_may() {
    seeds::each("events", events::check);
}

#[test]
fn every_kept_ledger_is_opened_and_spent_on_or_refused() {
    seeds::each("ledger", ledger::check);
}
