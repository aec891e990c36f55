#![no_main]

#[path = "../checks/settings.rs"]
mod settings;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use umbel_fuzz::memory;

fuzz_target!(|input: &[u8]| memory::bounded(|| settings::check(input)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, umbel_fuzz::settings::mutate)
});
