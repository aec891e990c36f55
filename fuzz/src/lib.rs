//! What the fuzz targets share: mutators that keep an input readable, so that more than the first lines of
//! a parser is reached. What is asserted of an input is in `checks/`, which ordinary tests use, too.

pub mod certificate;
pub mod chance;
pub mod events;
pub mod files;
#[path = "../checks/folder.rs"]
pub mod folder;
pub mod journal;
pub mod json;
pub mod kept;
pub mod ledger;
pub mod memory;
pub mod models;
pub mod plan;
pub mod run;
pub mod settings;

use chance::Chance;

/// Changes an input by `structured` most of the time, and by libFuzzer's own means otherwise. The result
/// lies in the first bytes of `data`; this is its length.
pub fn mutated(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    structured: impl Fn(&[u8], &mut Chance) -> Option<Vec<u8>>,
) -> usize {
    let mut chance = Chance::new(seed);
    if !chance.one_in(8)
        && let Some(changed) = structured(&data[..size], &mut chance)
        && changed.len() <= max_size
    {
        data[..changed.len()].copy_from_slice(&changed);
        return changed.len();
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
}
