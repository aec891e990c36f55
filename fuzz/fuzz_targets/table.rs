#![no_main]

#[path = "../checks/table.rs"]
mod table;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| table::check(input));
