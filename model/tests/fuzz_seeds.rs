//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes, and so does
//! what its mutators make of them.

#[path = "../../fuzz/src/chance.rs"]
#[allow(dead_code, reason = "it has what every mutator needs")]
mod chance;
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

use std::time::{Duration, Instant};

use chance::Chance;

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

/// Checks what becomes of each seed by chance: `UMBEL_MUTATIONS` inputs of each, by default a few. It
/// needs no nightly compiler, and doesn't know what it hasn't seen yet, as libFuzzer does.
fn changed(
    target: &str,
    change: impl Fn(&[u8], &mut Chance) -> Option<Vec<u8>>,
    check: impl Fn(&[u8]),
) {
    /// However slow the machine is, a few kilobytes take less.
    const LONGEST: Duration = Duration::from_secs(20);
    let count = std::env::var("UMBEL_MUTATIONS").ok();
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(10);
    seeds::each(target, |seed| {
        for number in 0..count {
            let mut chance = Chance::new(number);
            let mut input = seed.to_vec();
            for _ in 0..=chance.below(4) {
                input = change(&input, &mut chance).unwrap_or(input);
            }
            // Shown where it fails.
            println!("change {number}");
            let begin = Instant::now();
            check(&input);
            assert!(begin.elapsed() < LONGEST, "{:?}", begin.elapsed());
        }
    });
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
