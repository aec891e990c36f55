#![no_main]

#[path = "../checks/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wire::check(input));
