//! Entries to spend with.

use umbel_privacy::{
    Adjacency, ClippingNorm, Delta, EntryDraft, LatticeStep, MechanismEvent, NoiseMultiplier,
    NoisePlacement, PrivacyUnit, SamplingRate, Sha256Digest,
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
