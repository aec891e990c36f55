//! Plans that are mostly readable.

use serde_json::Value;

use crate::chance::Chance;
use crate::json;

/// Changes a few fields of a plan.
pub fn mutate(input: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut plan: Value = serde_json::from_slice(input).ok()?;
    json::mutate(&mut plan, chance);
    Some(format!("{plan:#}").into_bytes())
}
