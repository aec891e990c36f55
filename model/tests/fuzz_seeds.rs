//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes, and so does
//! what its mutators make of them.

#[path = "../../fuzz/src/chance.rs"]
#[allow(dead_code, reason = "it has what every mutator needs")]
mod chance;
#[path = "../../fuzz/checks/changed.rs"]
mod changed;
#[path = "../../fuzz/src/files.rs"]
mod files;
#[path = "../../fuzz/checks/folder.rs"]
mod folder;
#[path = "../../fuzz/src/json.rs"]
mod json;
#[path = "../../fuzz/checks/model.rs"]
mod model;
#[path = "../../fuzz/checks/seeds.rs"]
mod seeds;
#[path = "../../fuzz/checks/table.rs"]
mod table;
#[path = "../../fuzz/checks/table_folder.rs"]
mod table_folder;

use chance::Chance;
use changed::changed;

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

#[test]
fn changed_tables_are_read_or_refused() {
    let change = |input: &[u8], chance: &mut Chance| Some(files::bytes_changed(input, chance));
    changed("table", change, table::check);
}

#[test]
fn changed_folders_of_tables_are_read_or_refused() {
    let change =
        |input: &[u8], chance: &mut Chance| files::mutate(input, chance, table_folder::NAMES);
    changed("table_folder", change, table_folder::check);
}

#[test]
fn changed_models_are_read_or_refused() {
    let change = |input: &[u8], chance: &mut Chance| files::mutate(input, chance, model::NAMES);
    changed("model", change, model::check);
}
