//! Folders of runs whose documents agree with each other as far as chance wants.

use serde_json::{Value, json};
use umbel_privacy::Sha256Digest;
use umbel_privacy::certificate::{FileStatement, SignedCertificate};
use umbel_privacy::ledger::chain;

use crate::chance::Chance;
use crate::folder::{self, Folder};
use crate::{json, ledger, run};

/// Changes one document of a folder, and most often the others as a liar would.
pub fn mutate(input: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut folder = folder::read(input);
    if folder.is_empty() {
        return None;
    }
    match chance.below(8) {
        0 | 1 => change(&mut folder, "plan.json", chance, json_changed),
        2 | 3 => change(&mut folder, "ledger.jsonl", chance, ledger::mutate),
        4 => change(
            &mut folder,
            "base_certificate.json",
            chance,
            |old, chance| resigned(old, chance, |content, chance| json::mutate(content, chance)),
        ),
        5 => {
            let at = chance.below(folder.len());
            folder.remove(at);
        }
        _ => {}
    }
    // Most of what was changed is covered up.
    if !chance.one_in(6) {
        entries_follow_the_plan(&mut folder);
    }
    if chance.one_in(3) {
        certify_again(&mut folder);
    }
    let cover = !chance.one_in(6);
    let lie = chance.one_in(2);
    let (plan, ledger, base) = (
        folder::document(&folder, "plan.json").map(<[u8]>::to_vec),
        folder::document(&folder, "ledger.jsonl").map(<[u8]>::to_vec),
        folder::document(&folder, "base_certificate.json").map(<[u8]>::to_vec),
    );
    change(&mut folder, "certificate.json", chance, |old, chance| {
        resigned(old, chance, |content, chance| {
            if lie {
                json::mutate(content, chance);
            }
            if cover {
                agree(content, plan.as_deref(), ledger.as_deref(), base.as_deref());
            }
        })
    });
    Some(written(&folder))
}

/// The folder as an input.
pub fn written(folder: &Folder) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, content) in folder {
        all.extend(format!("== {name}\n").into_bytes());
        all.extend(content);
        if !content.is_empty() && !content.ends_with(b"\n") {
            all.push(b'\n');
        }
    }
    all
}

fn change(
    folder: &mut Folder,
    name: &str,
    chance: &mut Chance,
    how: impl Fn(&[u8], &mut Chance) -> Option<Vec<u8>>,
) {
    if let Some((_, content)) = folder.iter_mut().find(|(found, _)| found == name)
        && let Some(changed) = how(content, chance)
    {
        *content = changed;
    }
}

fn json_changed(old: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(old).ok()?;
    json::mutate(&mut document, chance);
    Some(format!("{document:#}\n").into_bytes())
}

/// A certificate with other content and a sound signature of that.
fn resigned(
    old: &[u8],
    chance: &mut Chance,
    how: impl Fn(&mut Value, &mut Chance),
) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(old).ok()?;
    let fields = document.as_object_mut()?;
    fields.shift_remove("signature");
    how(&mut document, chance);
    let key = run::key();
    if !chance.one_in(20)
        && let Some(fields) = document.as_object_mut()
    {
        fields.insert("public_key".into(), json!(key.public_key().to_string()));
    }
    let content = document.to_string();
    let message = [b"umbel certificate 3\n", content.as_bytes()].concat();
    let signature = key.sign(&message);
    let open = content.strip_suffix('}')?;
    Some(format!("{open},\"signature\":\"{signature}\"}}\n").into_bytes())
}

/// The digests in a certificate become those of the documents beside it.
fn agree(content: &mut Value, plan: Option<&[u8]>, ledger: Option<&[u8]>, base: Option<&[u8]>) {
    let Some(fields) = content.as_object_mut() else {
        return;
    };
    let digest = |bytes: &[u8]| json!(Sha256Digest::of(bytes).to_string());
    let mut set = |part: &str, field: &str, value: Value| {
        if let Some(part) = fields.get_mut(part).and_then(Value::as_object_mut) {
            part.insert(field.into(), value);
        }
    };
    if let Some(plan) = plan {
        set("run", "plan_sha256", digest(plan));
    }
    if let Some(ledger) = ledger {
        set("ledger", "bytes", json!(ledger.len()));
        set("ledger", "sha256", digest(ledger));
        if let Ok(chain) = chain::verify(ledger) {
            set("ledger", "entries", json!(chain.entries.len()));
            set("ledger", "head", json!(chain.head().to_string()));
        }
    }
    if let Some(base) = base {
        set("base", "certificate", digest(base));
    }
}

/// The ledger's last three entries name the plan that lies beside it.
fn entries_follow_the_plan(folder: &mut Folder) {
    let Some(plan) = folder::document(folder, "plan.json") else {
        return;
    };
    let digest = Sha256Digest::of(plan).to_string();
    let Some((_, ledger)) = folder.iter_mut().find(|(name, _)| name == "ledger.jsonl") else {
        return;
    };
    let lines = str::from_utf8(ledger).unwrap_or_default().lines();
    let Ok(mut entries) = lines
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()
    else {
        return;
    };
    let first = entries.len().saturating_sub(3);
    for entry in &mut entries[first..] {
        if let Some(fields) = entry.as_object_mut() {
            fields.insert("plan".into(), json!(digest));
        }
    }
    *ledger = ledger::chained(&mut entries);
}

/// A new certificate, by the code that runs use, if there can be one.
fn certify_again(folder: &mut Folder) {
    let (Some(plan), Some(ledger)) = (
        folder::document(folder, "plan.json"),
        folder::document(folder, "ledger.jsonl"),
    ) else {
        return;
    };
    let entries = ledger.iter().filter(|byte| **byte == b'\n').count() as u64;
    if entries > 12 {
        return;
    }
    let files = folder.iter().filter(|(name, _)| name.contains('/'));
    let files = files
        .map(|(name, content)| FileStatement::of(name.as_str(), content))
        .collect();
    let base = folder::document(folder, "base_certificate.json");
    let new = run::certificate(plan, ledger, entries.saturating_sub(3), base, files);
    let signed = new.and_then(|new| SignedCertificate::sign(new, &run::key()).ok());
    if let (Some(signed), Some((_, content))) = (
        signed,
        folder
            .iter_mut()
            .find(|(name, _)| name == "certificate.json"),
    ) {
        *content = signed.bytes().to_vec();
    }
}
