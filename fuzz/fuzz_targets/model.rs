#![no_main]

#[path = "../checks/folder.rs"]
mod folder;
#[path = "../checks/model.rs"]
mod model;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use umbel_fuzz::{files, memory};

fuzz_target!(|input: &[u8]| memory::bounded(|| model::check(input)));

const NAMES: &[&str] = &["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "modules.json", "base/config.json", "base/model.safetensors", "spiece.model"];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    umbel_fuzz::mutated(data, size, max_size, seed, |input, chance| {
        files::mutate(input, chance, NAMES)
    })
});
