//! Ledgers whose chain holds, whatever their entries say.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::{events, json};

/// Changes an entry, or the order of entries, and most often makes a sound chain of them again.
pub fn mutate(input: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let text = str::from_utf8(input).ok()?;
    let mut entries: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .ok()?;
    let at = chance.below(entries.len());
    match (chance.below(8), entries.len()) {
        (_, 0) => return None,
        (0, 1..12) => entries.insert(at, entries[at].clone()),
        (1, 2..) => drop(entries.remove(at)),
        (2, _) => {
            let to = chance.below(entries.len());
            entries.swap(at, to);
        }
        // A line may be any JSON by now; only an object has fields.
        (3..=5, _) if !entries[at].is_object() => json::mutate(&mut entries[at], chance),
        (3 | 4, _) => entries[at]["event"] = events::event(chance),
        (5, _) => {
            let field = chance.pick(&["last_round", "attempt", "filter_order", "plan", "seeded"]);
            entries[at][field] = match field {
                "filter_order" => json!(1.0 + chance.log_uniform(1e-3, 1e7)),
                "plan" => json!(hex::encode(Sha256::digest(chance.bits().to_le_bytes()))),
                "seeded" => json!(chance.one_in(2)),
                _ => json!(chance.below(30)),
            };
        }
        _ => json::mutate(&mut entries[at], chance),
    }
    let mut written = if chance.one_in(10) {
        entries
            .iter()
            .flat_map(|entry| format!("{entry}\n").into_bytes())
            .collect()
    } else {
        chained(&mut entries)
    };
    if chance.one_in(12) {
        written.truncate(chance.below(written.len()));
    }
    Some(written)
}

/// The lines of entries, each in its place and linked to the one before.
pub fn chained(entries: &mut [Value]) -> Vec<u8> {
    let mut previous = "0".repeat(64);
    let mut lines = Vec::new();
    for (index, entry) in entries.iter_mut().enumerate() {
        if let Some(fields) = entry.as_object_mut() {
            fields.shift_remove("hash");
            fields.insert("index".into(), index.into());
            fields.insert("previous_hash".into(), previous.into());
        }
        let content = entry.to_string();
        previous = hex::encode(Sha256::digest(content.as_bytes()));
        let open = content.strip_suffix('}').unwrap_or(&content);
        lines.extend(format!("{open},\"hash\":\"{previous}\"}}\n").into_bytes());
    }
    lines
}
