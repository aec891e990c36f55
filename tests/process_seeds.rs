//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes.

#[path = "../fuzz/checks/folder.rs"]
mod folder;
#[path = "../fuzz/checks/kept.rs"]
mod kept;
#[path = "../fuzz/checks/seeds.rs"]
mod seeds;
#[path = "../fuzz/checks/settings.rs"]
mod settings;

#[test]
fn every_kept_configuration_is_read_or_refused() {
    seeds::each("settings", settings::check);
}

#[test]
fn whatever_a_process_kept_is_read_or_refused() {
    seeds::each("kept", kept::check);
}
