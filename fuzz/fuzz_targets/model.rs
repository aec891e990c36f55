#![no_main]

#[path = "../checks/folder.rs"]
mod folder;
#[path = "../checks/model.rs"]
mod model;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use umbel_fuzz::{files, memory};

fuzz_target!(|input: &[u8]| memory::bounded(|| model::check(input)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, |input, chance| {
        files::mutate(input, chance, model::NAMES)
    })
});
