#![no_main]

#[path = "../checks/folder.rs"]
mod folder;
#[path = "../checks/kept.rs"]
mod kept;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use umbel_fuzz::{files, journal, memory};

fuzz_target!(|input: &[u8]| memory::bounded(|| kept::check(input)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, |input, chance| {
        let mut found = folder::read(input);
        let chained = found
            .iter_mut()
            .find(|(name, _)| name == "run.journal" || name == "book");
        match chained {
            Some((name, lines)) if !chance.one_in(3) => {
                *lines = match name.as_str() {
                    "book" => umbel_fuzz::ledger::mutate(lines, chance)?,
                    _ => journal::mutate(lines, chance)?,
                };
                Some(files::written(&found))
            }
            _ => files::mutate(input, chance, kept::NAMES),
        }
    })
});
