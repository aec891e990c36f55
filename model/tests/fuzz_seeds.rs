//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes.

#[path = "../../fuzz/checks/seeds.rs"]
mod seeds;
#[path = "../../fuzz/checks/table.rs"]
mod table;

#[test]
fn every_kept_table_is_read_or_refused() {
    seeds::each("table", table::check);
}
