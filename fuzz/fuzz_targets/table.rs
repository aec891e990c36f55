#![no_main]

#[path = "../checks/table.rs"]
mod table;

use libfuzzer_sys::fuzz_target;
use umbel_fuzz::memory;

fuzz_target!(|input: &[u8]| memory::bounded(|| table::check(input)));
