#![no_main]

#[path = "../checks/folder.rs"]
mod folder;
#[path = "../checks/table_folder.rs"]
mod table_folder;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use umbel_fuzz::{files, memory};

fuzz_target!(|input: &[u8]| memory::bounded(|| table_folder::check(input)));

const NAMES: &[&str] = &["dataset_info.json", "state.json", "dataset_dict.json", "data-00000-of-00002.arrow", "cache-1.arrow", "part-0.json", "a.csv", "_SUCCESS"];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, |input, chance| {
        files::mutate(input, chance, NAMES)
    })
});
