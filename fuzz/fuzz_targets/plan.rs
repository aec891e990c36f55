#![no_main]

#[path = "../checks/plan.rs"]
mod plan;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|input: &[u8]| plan::check(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, umbel_fuzz::plan::mutate)
});
