//! A ledger's line.
//!
//! It is compact JSON with the fields of [`Written`] in their order, the last of them `hash`:
//! the SHA-256, in hexadecimal, of the line's own bytes without that field, i.e. with
//! `,"hash":"…"}` replaced by `}`. So it can be checked with any JSON-free tool: no canonical
//! form has to be recreated.

use serde::{Deserialize, Serialize};

use crate::accountant::Delta;
use crate::accountant::event::MechanismEvent;
use crate::clip::ClippingNorm;
use crate::digest::Sha256Digest;
use crate::filter::FilterOrder;
use crate::lattice::LatticeStep;
use crate::ledger::entry::{
    EntryProtection, FORMAT_VERSION, InvalidDraft, InvalidEntry, LedgerEntry,
};
use crate::ledger::hash::EntryHash;
use crate::unit::{Adjacency, NoisePlacement, PrivacyUnit};

/// The longest data set key or run id, in bytes.
const LONGEST_NAME: usize = 256;

/// An entry as its line has it. What isn't there for every entry is left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    index: u64,
    previous_hash: EntryHash,
    data_set: String,
    run_id: String,
    round: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_round: Option<u64>,
    /// A first attempt is written as it was before there were attempts: without the field.
    #[serde(default, skip_serializing_if = "is_first")]
    attempt: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter_order: Option<FilterOrder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Sha256Digest>,
    #[serde(with = "crate::unit_word")]
    unit: Option<PrivacyUnit>,
    adjacency: Adjacency,
    placement: NoisePlacement,
    event: MechanismEvent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clipping_norm: Option<ClippingNorm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lattice_step: Option<LatticeStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delta: Option<Delta>,
    unix_time: u64,
    seeded: bool,
    /// Appended to what is hashed.
    #[serde(skip_serializing)]
    hash: EntryHash,
}

fn is_first(attempt: &u64) -> bool {
    *attempt == 0
}

/// Writes an entry's line, without its line break, and fills in the hash.
pub(super) fn seal(mut entry: LedgerEntry) -> Result<(LedgerEntry, String), InvalidDraft> {
    check_name("data_set", &entry.data_set)?;
    check_name("run_id", &entry.run_id)?;
    let content = serde_json::to_string(&Written::of(&entry))
        .map_err(|error| InvalidDraft::Unwritable(error.to_string()))?;
    let hash = EntryHash::of(content.as_bytes());
    let open = content.strip_suffix('}').unwrap_or(&content);
    let line = format!("{open},\"hash\":\"{hash}\"}}");
    entry.hash = hash;
    Ok((entry, line))
}

fn check_name(field: &'static str, name: &str) -> Result<(), InvalidDraft> {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(InvalidDraft::Name {
            field,
            given: name.into(),
        })
    }
}

impl LedgerEntry {
    /// Reads a line (without its line break) and checks its hash; its place in the chain
    /// is [`super::chain::verify`]'s to check.
    ///
    /// # Errors
    /// [`InvalidEntry`] for anything but a sound entry.
    pub fn from_line(line: &[u8]) -> Result<Self, InvalidEntry> {
        let text = str::from_utf8(line).map_err(|_| InvalidEntry::NotUtf8)?;
        // Looked at first, as a later version may have fields unknown here.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let json_error = |error: serde_json::Error| InvalidEntry::Json(error.to_string());
        let Version { version } = serde_json::from_str(text).map_err(json_error)?;
        if version != FORMAT_VERSION {
            return Err(InvalidEntry::Version(version));
        }
        let written: Written = serde_json::from_str(text).map_err(json_error)?;
        let entry = written.entry()?;
        let content = text
            .strip_suffix(&format!(",\"hash\":\"{}\"}}", entry.hash))
            .ok_or(InvalidEntry::Hash)?;
        if EntryHash::of(format!("{content}}}").as_bytes()) == entry.hash {
            Ok(entry)
        } else {
            Err(InvalidEntry::Hash)
        }
    }
}

impl Written {
    fn of(entry: &LedgerEntry) -> Self {
        let protection = entry.protection;
        Self {
            version: entry.version,
            index: entry.index,
            previous_hash: entry.previous_hash,
            data_set: entry.data_set.clone(),
            run_id: entry.run_id.clone(),
            round: entry.round,
            last_round: entry.last_round,
            attempt: entry.attempt,
            filter_order: entry.filter_order,
            plan: entry.plan,
            unit: protection.map(|protection| protection.unit),
            adjacency: entry.adjacency,
            placement: entry.placement,
            event: entry.event.clone(),
            clipping_norm: protection.map(|protection| protection.clipping_norm),
            lattice_step: protection.map(|protection| protection.lattice_step),
            delta: protection.map(|protection| protection.delta),
            unix_time: entry.unix_time,
            seeded: entry.seeded,
            hash: entry.hash,
        }
    }

    /// What the line says, unless it contradicts itself.
    fn entry(self) -> Result<LedgerEntry, InvalidEntry> {
        Ok(LedgerEntry {
            version: self.version,
            index: self.index,
            previous_hash: self.previous_hash,
            protection: self.protection()?,
            data_set: self.data_set,
            run_id: self.run_id,
            round: self.round,
            last_round: self.last_round,
            attempt: self.attempt,
            filter_order: self.filter_order,
            plan: self.plan,
            adjacency: self.adjacency,
            placement: self.placement,
            event: self.event,
            unix_time: self.unix_time,
            seeded: self.seeded,
            hash: self.hash,
        })
    }

    /// Whether unit, event and what belongs to noise go together, and what they are.
    fn protection(&self) -> Result<Option<EntryProtection>, InvalidEntry> {
        match (self.unit, self.clipping_norm, self.lattice_step, self.delta) {
            (None, None, None, None) if self.event == MechanismEvent::NON_PRIVATE => Ok(None),
            (Some(unit), Some(clipping_norm), Some(lattice_step), Some(delta))
                if !self.event.protects_nobody() =>
            {
                Ok(Some(EntryProtection {
                    unit,
                    clipping_norm,
                    lattice_step,
                    delta,
                }))
            }
            _ => Err(InvalidEntry::Contradiction),
        }
    }
}
