#![no_main]

#[path = "../checks/costs.rs"]
mod costs;
#[path = "../checks/effort.rs"]
mod effort;
#[path = "../checks/events.rs"]
mod events;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|input: &[u8]| events::check(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, umbel_fuzz::events::mutate)
});
