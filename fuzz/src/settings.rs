//! Configurations that are mostly readable.

use serde_json::Value;

use crate::chance::Chance;
use crate::json;

/// Changes a few keys of a configuration.
pub fn mutate(input: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let text = str::from_utf8(input).ok()?;
    let mut keys: Value = toml::from_str(text).ok()?;
    json::mutate(&mut keys, chance);
    toml::to_string(&keys).ok().map(String::into_bytes)
}
