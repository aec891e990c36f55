//! An entry of the ledger, and what one is made of. `line.rs` has how it is written.

use crate::accountant::Delta;
use crate::accountant::event::MechanismEvent;
use crate::clip::ClippingNorm;
use crate::digest::Sha256Digest;
use crate::filter::FilterOrder;
use crate::lattice::LatticeStep;
pub use crate::ledger::hash::{EntryHash, InvalidHash};
use crate::ledger::line::seal;
use crate::ledger::unprotected::UnprotectedDraft;
use crate::unit::{Adjacency, NoisePlacement, PrivacyUnit};

/// The version of the format that this crate writes.
pub const FORMAT_VERSION: u32 = 1;

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
    pub unit: PrivacyUnit,
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
#[derive(Clone, Debug, PartialEq)]
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
    pub last_round: Option<u64>,
    /// See [`EntryDraft::attempt`].
    pub attempt: u64,
    /// See [`EntryDraft::filter_order`].
    pub filter_order: Option<FilterOrder>,
    /// See [`EntryDraft::plan`].
    pub plan: Option<Sha256Digest>,
    /// Whom it protects and how; `None` for a use without protection.
    pub protection: Option<EntryProtection>,
    /// See [`EntryDraft::adjacency`].
    pub adjacency: Adjacency,
    /// See [`EntryDraft::placement`].
    pub placement: NoisePlacement,
    /// See [`EntryDraft::event`].
    pub event: MechanismEvent,
    /// See [`EntryDraft::unix_time`].
    pub unix_time: u64,
    /// See [`EntryDraft::seeded`].
    pub seeded: bool,
    /// SHA-256 of everything before.
    pub hash: EntryHash,
}

/// What an entry says of its noise and of whom that protects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EntryProtection {
    /// See [`EntryDraft::unit`].
    pub unit: PrivacyUnit,
    /// See [`EntryDraft::clipping_norm`].
    pub clipping_norm: ClippingNorm,
    /// See [`EntryDraft::lattice_step`].
    pub lattice_step: LatticeStep,
    /// See [`EntryDraft::delta`].
    pub delta: Delta,
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
            protection: Some(EntryProtection {
                unit: self.unit,
                clipping_norm: self.clipping_norm,
                lattice_step: self.lattice_step,
                delta: self.delta,
            }),
            adjacency: self.adjacency,
            placement: self.placement,
            event: self.event,
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
            protection: None,
            adjacency: self.adjacency,
            placement: self.placement,
            event: MechanismEvent::NON_PRIVATE,
            unix_time: self.unix_time,
            seeded: self.seeded,
            hash: EntryHash::START,
        })
    }
}

impl LedgerEntry {
    /// Whom it protects, if anybody.
    pub fn unit(&self) -> Option<PrivacyUnit> {
        self.protection.map(|protection| protection.unit)
    }
}
