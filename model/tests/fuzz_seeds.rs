//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes.

#[path = "../../fuzz/checks/folder.rs"]
mod folder;
#[path = "../../fuzz/checks/model.rs"]
mod model;
#[path = "../../fuzz/checks/seeds.rs"]
mod seeds;
#[path = "../../fuzz/checks/table.rs"]
mod table;
#[path = "../../fuzz/checks/table_folder.rs"]
mod table_folder;

#[test]
fn every_kept_table_is_read_or_refused() {
    seeds::each("table", table::check);
}

#[test]
fn every_kept_folder_of_tables_is_read_or_refused() {
    seeds::each("table_folder", table_folder::check);
}

#[test]
fn every_kept_model_is_read_or_refused() {
    seeds::each("model", model::check);
}
