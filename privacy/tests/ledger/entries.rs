//! Entries to spend with, and ledgers of them.

use umbel_privacy::ledger::MemoryLedgerStorage;
use umbel_privacy::{
    Adjacency, ClippingNorm, Delta, EntryDraft, LatticeStep, Ledger, MechanismEvent,
    NoiseMultiplier, NoisePlacement, PrivacyUnit, SamplingRate, Sha256Digest,
};

/// A round of sampled rows.
pub fn sampled() -> MechanismEvent {
    MechanismEvent::poisson_gaussian(
        SamplingRate::try_from(0.1).unwrap(),
        NoiseMultiplier::try_from(1.1).unwrap(),
    )
}

/// A round of a run on this data set.
pub fn draft(data_set: &str, round: u64) -> EntryDraft {
    let clipping_norm = ClippingNorm::try_from(0.3).unwrap();
    EntryDraft {
        data_set: data_set.into(),
        run_id: "run \"1\"".into(),
        round,
        last_round: None,
        attempt: 0,
        filter_order: None,
        plan: Some(Sha256Digest::of(b"a plan")),
        unit: PrivacyUnit::Group,
        adjacency: Adjacency::AddOrRemove,
        placement: NoisePlacement::Central,
        event: sampled(),
        clipping_norm,
        lattice_step: LatticeStep::for_clipping_norm(clipping_norm),
        delta: Delta::try_from(1e-5).unwrap(),
        unix_time: 1_700_000_000,
        seeded: false,
    }
}

/// A ledger in memory.
pub fn memory() -> Ledger<MemoryLedgerStorage> {
    Ledger::open(MemoryLedgerStorage::default()).unwrap()
}

/// The bytes of a ledger with three entries on two data sets.
pub fn three_entries() -> Vec<u8> {
    let mut ledger = memory();
    for (data_set, round) in [("visits", 0), ("visits", 1), ("claims", 1)] {
        ledger.spend(draft(data_set, round)).unwrap();
    }
    ledger.into_storage().bytes().to_vec()
}

/// The lines of a ledger.
pub fn lines(bytes: &[u8]) -> Vec<String> {
    str::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(String::from)
        .collect()
}

/// The ledger of these lines.
pub fn joined(lines: &[String]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| format!("{line}\n").into_bytes())
        .collect()
}
