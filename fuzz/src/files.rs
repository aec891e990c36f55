//! Folders of files, one of which is changed in a way that its kind survives.

use serde_json::{Map, Value};

use crate::chance::Chance;
use crate::folder::{self, Folder};
use crate::json;

/// Changes, removes, renames or doubles a file of a folder. `names` are those that mean something.
pub fn mutate(input: &[u8], chance: &mut Chance, names: &[&str]) -> Option<Vec<u8>> {
    let mut folder = folder::read(input);
    if folder.is_empty() {
        return None;
    }
    let at = chance.below(folder.len());
    match chance.below(20) {
        0 => drop(folder.remove(at)),
        1 => folder[at].0 = chance.pick(names).into(),
        2 => {
            let content = folder[at].1.clone();
            folder.push((chance.pick(names).into(), content));
        }
        _ => {
            let (name, content) = &folder[at];
            folder[at].1 = changed(name, content, chance);
        }
    }
    Some(written(&folder))
}

/// The folder as an input, with a line break behind each file.
pub fn written(folder: &Folder) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, content) in folder {
        all.extend(format!("== {name}\n").into_bytes());
        all.extend(content);
        let is_text = !is_binary(name) && content.ends_with(b"\n");
        if !content.is_empty() && !is_text {
            all.push(b'\n');
        }
    }
    all
}

fn is_binary(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".bin") || name.ends_with(".arrow")
}

fn changed(name: &str, content: &[u8], chance: &mut Chance) -> Vec<u8> {
    if chance.one_in(10) {
        return bytes_changed(content, chance);
    }
    let structured = if name.ends_with(".safetensors") {
        header_changed(content, chance)
    } else if name.ends_with(".json") {
        document_changed(content, chance)
    } else if name.ends_with(".jsonl") {
        line_changed(content, chance)
    } else {
        None
    };
    structured.unwrap_or_else(|| bytes_changed(content, chance))
}

fn document_changed(content: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(content).ok()?;
    json::mutate(&mut document, chance);
    Some(format!("{document}\n").into_bytes())
}

fn line_changed(content: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = content
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let at = chance.below(lines.len());
    lines[at] = document_changed(&lines[at], chance)?;
    lines[at].pop();
    Some(lines.join(&b'\n'))
}

/// Safetensors whose header says something else, in its own length.
fn header_changed(content: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let (length, rest) = content.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, data) = rest.split_at_checked(length)?;
    let mut header: Map<String, Value> = serde_json::from_slice(header).ok()?;
    let names: Vec<String> = header.keys().cloned().collect();
    let name = chance.pick(&names);
    match chance.below(4) {
        0 => {
            let moved = header.remove(&name)?;
            header.insert(format!("x.{name}"), moved);
        }
        1 => {
            let other = chance.pick(&names);
            let copied = header.get(&other)?.clone();
            header.insert(name, copied);
        }
        _ => json::mutate(header.get_mut(&name)?, chance),
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    Some([&length, header.as_bytes(), data].concat())
}

/// Flips a bit, or takes out, doubles or puts in a few bytes.
pub fn bytes_changed(content: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = content.to_vec();
    for _ in 0..1 + chance.below(3) {
        let at = chance.below(bytes.len());
        let to = (at + 1 + chance.below(16)).min(bytes.len());
        match (chance.below(6), bytes.is_empty()) {
            (0 | 1, false) => bytes[at] ^= 1 << chance.below(8),
            (2, false) => drop(bytes.drain(at..to)),
            (3, false) => {
                let copied = bytes[at..to].to_vec();
                let place = chance.below(bytes.len());
                bytes.splice(place..place, copied);
            }
            (4, false) => bytes.truncate(at),
            _ => {
                let new = chance.bits().to_le_bytes();
                bytes.splice(at..at, new[..chance.below(8)].iter().copied());
            }
        }
    }
    bytes
}
