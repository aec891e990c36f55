//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes.

#[path = "../fuzz/src/chance.rs"]
#[allow(dead_code, reason = "it has what every mutator needs")]
mod chance;
#[path = "../fuzz/checks/changed.rs"]
mod changed;
#[path = "../fuzz/src/files.rs"]
mod files;
#[path = "../fuzz/checks/folder.rs"]
mod folder;
#[path = "../fuzz/src/json.rs"]
mod json;
#[path = "../fuzz/checks/kept.rs"]
mod kept;
#[path = "../fuzz/checks/seeds.rs"]
mod seeds;
#[path = "../fuzz/checks/settings.rs"]
mod settings;

use chance::Chance;
use changed::changed;

#[test]
fn every_kept_configuration_is_read_or_refused() {
    seeds::each("settings", settings::check);
}

#[test]
fn whatever_a_process_kept_is_read_or_refused() {
    seeds::each("kept", kept::check);
}

#[test]
fn changed_configurations_are_read_or_refused() {
    let change = |input: &[u8], chance: &mut Chance| Some(files::bytes_changed(input, chance));
    changed("settings", change, settings::check);
}

#[test]
fn whatever_is_changed_of_what_a_process_kept_is_read_or_refused() {
    let change = |input: &[u8], chance: &mut Chance| files::mutate(input, chance, kept::NAMES);
    changed("kept", change, kept::check);
}
