//! One line of the ledger.
//!
//! A line is compact JSON with the fields of [`LedgerEntry`] in their order, the last of
//! them `hash`: the SHA-256, in hexadecimal, of the line's own bytes without that field,
//! i.e. with `,"hash":"…"}` replaced by `}`. So it can be checked with any JSON-free tool:
//! no canonical form has to be recreated.

use serde::{Deserialize, Serialize};

use crate::accountant::Delta;
use crate::accountant::event::MechanismEvent;
use crate::clip::ClippingNorm;
use crate::digest::Sha256Digest;
use crate::filter::FilterOrder;
use crate::lattice::LatticeStep;
pub use crate::ledger::hash::{EntryHash, InvalidHash};
use crate::ledger::unprotected::UnprotectedDraft;
use crate::unit::{Adjacency, NoisePlacement, PrivacyUnit, ProtectedUnit};

/// The version of the format that this crate writes.
pub const FORMAT_VERSION: u32 = 1;

/// The longest data set key or run id, in bytes.
const LONGEST_NAME: usize = 256;

/// What is about to be spent; [`crate::Ledger::spend`] makes an entry of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryDraft {
    /// The data set that is spent on: 1 to 256 bytes without control characters.
    /// Spending adds up over all entries with the same key.
    pub data_set: String,
    /// The run that spends: 1 to 256 bytes without control characters.
    pub run_id: String,
    /// The round within the run; of an entry that pays for several, the first.
    pub round: u64,
    /// The last round that this pays for, where it pays for more than `round`: a site that
    /// can't see in which rounds it could be drawn pays for all of them ahead.
    pub last_round: Option<u64>,
    /// How often this run was charged for this round before, under this plan. One attempt pays
    /// for one update: the same bytes, however often they are sent.
    pub attempt: u64,
    /// The Rényi order at which runs on this data set are added up
    /// ([`crate::filter`]), fixed by the first entry that names one.
    pub filter_order: Option<FilterOrder>,
    /// SHA-256 of the plan that the run follows, in the very bytes that travelled; `None`
    /// where there is no plan.
    pub plan: Option<Sha256Digest>,
    /// Whom the event protects.
    pub unit: ProtectedUnit,
    /// The neighbouring relation that the run reports.
    pub adjacency: Adjacency,
    /// Where the noise is added.
    pub placement: NoisePlacement,
    /// The mechanism.
    pub event: MechanismEvent,
    /// C.
    pub clipping_norm: ClippingNorm,
    /// γ.
    pub lattice_step: LatticeStep,
    /// The delta that the run reports epsilon at.
    pub delta: Delta,
    /// Seconds since 1970, by the caller's clock.
    pub unix_time: u64,
    /// Whether the noise comes from a seed that somebody knows, and protects nobody.
    pub seeded: bool,
}

/// One entry, as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// [`FORMAT_VERSION`] at the time of writing.
    pub version: u32,
    /// The entry's place in the ledger, from 0.
    pub index: u64,
    /// `hash` of the entry before; zeros in the first.
    pub previous_hash: EntryHash,
    /// See [`EntryDraft::data_set`].
    pub data_set: String,
    /// See [`EntryDraft::run_id`].
    pub run_id: String,
    /// See [`EntryDraft::round`].
    pub round: u64,
    /// See [`EntryDraft::last_round`].
    #[serde(default)]
    pub last_round: Option<u64>,
    /// See [`EntryDraft::attempt`].
    #[serde(default)]
    pub attempt: u64,
    /// See [`EntryDraft::filter_order`].
    #[serde(default)]
    pub filter_order: Option<FilterOrder>,
    /// See [`EntryDraft::plan`].
    #[serde(default)]
    pub plan: Option<Sha256Digest>,
    /// See [`EntryDraft::unit`].
    pub unit: PrivacyUnit,
    /// See [`EntryDraft::adjacency`].
    pub adjacency: Adjacency,
    /// See [`EntryDraft::placement`].
    pub placement: NoisePlacement,
    /// See [`EntryDraft::event`].
    pub event: MechanismEvent,
    /// See [`EntryDraft::clipping_norm`]; `None` for a use without protection, as for the two
    /// that follow.
    #[serde(default)]
    pub clipping_norm: Option<ClippingNorm>,
    /// See [`EntryDraft::lattice_step`].
    #[serde(default)]
    pub lattice_step: Option<LatticeStep>,
    /// See [`EntryDraft::delta`].
    #[serde(default)]
    pub delta: Option<Delta>,
    /// See [`EntryDraft::unix_time`].
    pub unix_time: u64,
    /// See [`EntryDraft::seeded`].
    pub seeded: bool,
    /// SHA-256 of everything before.
    pub hash: EntryHash,
}

/// The hashed part of an entry, in the order in which it is written.
#[derive(Serialize)]
struct HashedPart<'a> {
    version: u32,
    index: u64,
    previous_hash: EntryHash,
    data_set: &'a str,
    run_id: &'a str,
    round: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_round: Option<u64>,
    #[serde(skip_serializing_if = "is_first")]
    attempt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_order: Option<FilterOrder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Sha256Digest>,
    unit: PrivacyUnit,
    adjacency: Adjacency,
    placement: NoisePlacement,
    event: &'a MechanismEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    clipping_norm: Option<ClippingNorm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lattice_step: Option<LatticeStep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Delta>,
    unix_time: u64,
    seeded: bool,
}

/// A first attempt is written as it was before there were attempts: without the field.
fn is_first(attempt: &u64) -> bool {
    *attempt == 0
}

/// A draft that can't become an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDraft {
    /// A name is empty, too long or unprintable.
    #[error("{field} is {given:?}; it must have 1 to 256 bytes and no control characters")]
    Name {
        /// `data_set` or `run_id`.
        field: &'static str,
        /// What was given.
        given: String,
    },
    /// Unit none pays for no noise, and what protects nobody is none.
    #[error(
        "what protects nobody pays for no noise; mark the data set as used without protection, \
         and release the sum without noise"
    )]
    NoUnit,
    /// The entry couldn't be written as JSON.
    #[error("the entry can't be written as JSON: {0}")]
    Unwritable(String),
}

/// Why a line isn't an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// Not UTF-8.
    #[error("it isn't UTF-8")]
    NotUtf8,
    /// Not JSON with exactly the fields of an entry.
    #[error("it doesn't read as an entry ({0})")]
    Json(String),
    /// A format of the future.
    #[error(
        "it has format version {0}, and this program knows version {FORMAT_VERSION}; update it"
    )]
    Version(u32),
    /// A use without protection with what belongs to noise, or the other way round.
    #[error(
        "it contradicts itself: what protects nobody has unit none and no clipping norm, lattice \
         step or delta, and every other entry has all of them"
    )]
    Contradiction,
    /// The bytes aren't those that were hashed.
    #[error("its hash doesn't match its content: the line was changed after it was written")]
    Hash,
}

impl EntryDraft {
    /// Makes the entry at `index` after one with `previous_hash`, and its line without
    /// the line break.
    pub(crate) fn into_entry(
        self,
        index: u64,
        previous_hash: EntryHash,
    ) -> Result<(LedgerEntry, String), InvalidDraft> {
        if self.event.protects_nobody() {
            return Err(InvalidDraft::NoUnit);
        }
        seal(LedgerEntry {
            version: FORMAT_VERSION,
            index,
            previous_hash,
            data_set: self.data_set,
            run_id: self.run_id,
            round: self.round,
            last_round: self.last_round,
            attempt: self.attempt,
            filter_order: self.filter_order,
            plan: self.plan,
            unit: self.unit.into(),
            adjacency: self.adjacency,
            placement: self.placement,
            event: self.event,
            clipping_norm: Some(self.clipping_norm),
            lattice_step: Some(self.lattice_step),
            delta: Some(self.delta),
            unix_time: self.unix_time,
            seeded: self.seeded,
            hash: EntryHash::START,
        })
    }
}

impl UnprotectedDraft {
    /// Makes the entry at `index` after one with `previous_hash`, and its line without
    /// the line break.
    pub(crate) fn into_entry(
        self,
        index: u64,
        previous_hash: EntryHash,
    ) -> Result<(LedgerEntry, String), InvalidDraft> {
        seal(LedgerEntry {
            version: FORMAT_VERSION,
            index,
            previous_hash,
            data_set: self.data_set,
            run_id: self.run_id,
            round: 0,
            last_round: None,
            attempt: 0,
            filter_order: None,
            plan: Some(self.plan),
            unit: PrivacyUnit::None,
            adjacency: self.adjacency,
            placement: self.placement,
            event: MechanismEvent::NON_PRIVATE,
            clipping_norm: None,
            lattice_step: None,
            delta: None,
            unix_time: self.unix_time,
            seeded: self.seeded,
            hash: EntryHash::START,
        })
    }
}

/// Writes an entry's line, and fills in the hash.
fn seal(mut entry: LedgerEntry) -> Result<(LedgerEntry, String), InvalidDraft> {
    check_name("data_set", &entry.data_set)?;
    check_name("run_id", &entry.run_id)?;
    let hashed_part = HashedPart {
        version: entry.version,
        index: entry.index,
        previous_hash: entry.previous_hash,
        data_set: &entry.data_set,
        run_id: &entry.run_id,
        round: entry.round,
        last_round: entry.last_round,
        attempt: entry.attempt,
        filter_order: entry.filter_order,
        plan: entry.plan,
        unit: entry.unit,
        adjacency: entry.adjacency,
        placement: entry.placement,
        event: &entry.event,
        clipping_norm: entry.clipping_norm,
        lattice_step: entry.lattice_step,
        delta: entry.delta,
        unix_time: entry.unix_time,
        seeded: entry.seeded,
    };
    let content = serde_json::to_string(&hashed_part)
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
        let entry: Self = serde_json::from_str(text).map_err(json_error)?;
        if !entry.is_consistent() {
            return Err(InvalidEntry::Contradiction);
        }
        let content = text
            .strip_suffix(&format!(",\"hash\":\"{}\"}}", entry.hash))
            .ok_or(InvalidEntry::Hash)?;
        if EntryHash::of(format!("{content}}}").as_bytes()) == entry.hash {
            Ok(entry)
        } else {
            Err(InvalidEntry::Hash)
        }
    }

    /// Whether unit, event and what belongs to noise go together.
    fn is_consistent(&self) -> bool {
        let noise = [
            self.clipping_norm.is_some(),
            self.lattice_step.is_some(),
            self.delta.is_some(),
        ];
        match self.unit {
            PrivacyUnit::None => {
                self.event == MechanismEvent::NON_PRIVATE && noise.iter().all(|there| !there)
            }
            _ => !self.event.protects_nobody() && noise.iter().all(|there| *there),
        }
    }
}
