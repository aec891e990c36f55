#![no_main]

#[path = "../checks/certificate.rs"]
mod certificate;
#[path = "../checks/effort.rs"]
mod effort;
#[path = "../checks/folder.rs"]
mod folder;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|input: &[u8]| certificate::check(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, umbel_fuzz::certificate::mutate)
});
