//! Releasing a sum: only for recorded spending, with the noise that was paid for.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use umbel_privacy::ledger::MemoryLedgerStorage;
use umbel_privacy::release::ReleaseError;
use umbel_privacy::{
    Adjacency, ClippingNorm, Delta, EntryDraft, LatticeStep, LatticeVector, Ledger, MechanismEvent,
    NoPrivacy, NoiseMultiplier, NoisePlacement, Noised, PrivacyUnit, RoundedGaussian, Spent,
    add_noise, release,
};

fn sigma() -> NoiseMultiplier {
    NoiseMultiplier::try_from(1.5).unwrap()
}

fn clipping_norm() -> ClippingNorm {
    ClippingNorm::try_from(0.7).unwrap()
}

fn step() -> LatticeStep {
    LatticeStep::for_clipping_norm(clipping_norm())
}

fn spent(event: MechanismEvent) -> Spent {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    let draft = EntryDraft {
        data_set: "visits".into(),
        run_id: "1".into(),
        round: 0,
        last_round: None,
        attempt: 0,
        filter_order: None,
        plan: None,
        unit: PrivacyUnit::Record,
        adjacency: Adjacency::AddOrRemove,
        placement: NoisePlacement::Local,
        event,
        clipping_norm: clipping_norm(),
        lattice_step: step(),
        delta: Delta::try_from(1e-5).unwrap(),
        unix_time: 0,
        seeded: true,
    };
    ledger.spend(draft).unwrap()
}

fn noise() -> RoundedGaussian {
    RoundedGaussian::for_mechanism(sigma(), clipping_norm(), step()).unwrap()
}

#[test]
fn a_released_sum_carries_its_noise_and_its_cost() {
    let event = MechanismEvent::gaussian(sigma());
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let len = 100_000;
    let released = release(
        LatticeVector::zeros(len),
        &noise(),
        spent(event.clone()),
        rng,
    )
    .unwrap();
    assert_eq!(released.event(), Some(&event));
    let variance = released
        .to_f64(step())
        .iter()
        .map(|value| value * value)
        .sum::<f64>()
        / len as f64;
    // Five standard deviations of a variance estimate, √(2/n).
    let ratio = variance / (1.5f64 * 0.7).powi(2);
    assert!(
        (ratio - 1.0).abs() < 5.0 * (2.0 / len as f64).sqrt(),
        "{ratio}"
    );
}

#[test]
fn less_noise_than_was_paid_for_is_refused() {
    let weaker = RoundedGaussian::new(noise().standard_deviation() * 0.999_999).unwrap();
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let token = spent(MechanismEvent::gaussian(sigma()));
    let refused = release(LatticeVector::zeros(1), &weaker, token, rng);
    assert!(matches!(refused, Err(ReleaseError::TooLittleNoise { .. })));
}

#[test]
fn an_entry_of_several_steps_pays_for_each_of_them_and_no_more() {
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let event = MechanismEvent::gaussian(sigma());
    let whole = spent(event.clone().times(3));
    let refused = release(LatticeVector::zeros(1), &noise(), whole, rng);
    assert_eq!(refused, Err(ReleaseError::SeveralSteps));

    let mut steps = spent(event.clone().times(3)).into_steps();
    assert_eq!(steps.left(), 3);
    for token in steps.by_ref() {
        let released = release(LatticeVector::zeros(1), &noise(), token, rng).unwrap();
        assert_eq!(released.event(), Some(&event));
    }
    assert!(steps.next().is_none());
    assert_eq!(spent(event).into_steps().count(), 1);
}

#[test]
fn a_sum_that_overflows_is_not_released() {
    let rng = &mut ChaCha20Rng::seed_from_u64(4);
    let sum = LatticeVector::from_values(vec![i64::MAX; 64]);
    let refused = release(sum, &noise(), spent(MechanismEvent::gaussian(sigma())), rng);
    assert!(matches!(refused, Err(ReleaseError::Overflow { .. })));
}

#[test]
fn without_privacy_a_sum_is_released_as_it_is() {
    let sum = LatticeVector::from_values(vec![3, -4]);
    let released = Noised::unnoised(sum.clone(), NoPrivacy).release();
    assert_eq!((released.sum(), released.event()), (&sum, None));
}

#[test]
fn what_cannot_be_stored_is_not_released_and_what_is_stored_is_what_is_released() {
    let rng = &mut ChaCha20Rng::seed_from_u64(5);
    let event = MechanismEvent::gaussian(sigma());
    let mut noised = || {
        let sum = LatticeVector::zeros(8);
        add_noise(sum, &noise(), spent(event.clone()), rng)
            .unwrap()
            .post_process(|sum| sum.to_f64(step()))
    };
    let refused = noised().store(|_| Err("the disk is full"));
    assert_eq!(refused, Err("the disk is full"));
    let mut stored = Vec::new();
    let released = noised()
        .store(|values| {
            stored.clone_from(values);
            Ok::<(), ()>(())
        })
        .unwrap();
    assert_eq!(
        (released.value(), released.event()),
        (&stored, Some(&event))
    );
}
