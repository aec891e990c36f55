//! Journals of runs whose lines follow each other, whatever they say.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::json;

/// Changes, moves or doubles a line, and most often makes a sound chain of them again.
pub fn mutate(input: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let text = str::from_utf8(input).ok()?;
    let lines = text.lines().map(serde_json::from_str);
    let mut lines: Vec<Value> = lines.collect::<Result<_, _>>().ok()?;
    let at = chance.below(lines.len());
    match (chance.below(6), lines.len()) {
        (_, 0) => return None,
        (0, 1..20) => lines.insert(at, lines[at].clone()),
        (1, 2..) => drop(lines.remove(at)),
        (2, _) => {
            let to = chance.below(lines.len());
            lines.swap(at, to);
        }
        _ => match lines[at].get_mut("record") {
            Some(record) => json::mutate(record, chance),
            None => json::mutate(&mut lines[at], chance),
        },
    }
    let mut written = match chance.one_in(10) {
        true => lines
            .iter()
            .flat_map(|line| format!("{line}\n").into_bytes())
            .collect(),
        false => chained(&mut lines),
    };
    if chance.one_in(12) {
        written.truncate(chance.below(written.len()));
    }
    Some(written)
}

/// The lines, each in its place and linked to the one before.
pub fn chained(lines: &mut [Value]) -> Vec<u8> {
    let mut previous = "0".repeat(64);
    let mut all = Vec::new();
    for (index, line) in lines.iter_mut().enumerate() {
        if let Some(fields) = line.as_object_mut() {
            fields.shift_remove("hash");
            fields.insert("index".into(), json!(index));
            fields.insert("previous".into(), json!(previous));
        }
        let content = line.to_string();
        previous = hex::encode(Sha256::digest(content.as_bytes()));
        let open = content.strip_suffix('}').unwrap_or(&content);
        all.extend(format!("{open},\"hash\":\"{previous}\"}}\n").into_bytes());
    }
    all
}
