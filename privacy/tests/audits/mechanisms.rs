//! An audit of the mechanism from outside: runs it with and without a canary, and infers from
//! what is released how much privacy is left at most.
//!
//! The canary's unit is long and points along the first axis, the others' sum points the other
//! way. A trial's score is the released mean along that axis. With FPR the share of scores
//! above a threshold without the canary and FNR the share below it with the canary, a μ-GDP
//! mechanism has μ >= Φ⁻¹(1 - FPR) - Φ⁻¹(FNR) (Dong, Roth and Su 2022; Nasr et al. 2023).
//! Upper bounds on both shares that fail with probability 10⁻⁷ (Chernoff's) make that a
//! lower bound on μ, and so on ε, that fails with 2 · 10⁻⁷. There are four such bounds in the
//! tests that ask for one below the claim, so a right mechanism fails this file for fewer than
//! one choice of seeds in 10⁶.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use umbel_privacy::accountant::gaussian;
use umbel_privacy::ledger::MemoryLedgerStorage;
use umbel_privacy::{
    Accountant, Adjacency, ClippingNorm, Delta, EntryDraft, LatticeStep, LatticeVector, Ledger,
    MechanismEvent, NoiseMultiplier, NoisePlacement, PldAccountant, PrivacyUnit, RawUpdate,
    RoundedGaussian, SamplingRate, Spent, poisson_sample, release,
};

const TRIALS: u32 = 100_000;
const SIGMA: f64 = 1.0;
const NORM: f64 = 0.75;
const OTHERS: usize = 5;
const DIMENSION: usize = 4;
/// The public number that sums are divided by.
const EXPECTED: f64 = OTHERS as f64;
/// ln of the probability with which one bound on a share may fail.
const LN_FAILURE: f64 = -16.2;

/// What a mechanism does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Planted {
    Nothing,
    HalvedNoise,
    NoClipping,
    DivisorThatCounts,
}

fn norm() -> ClippingNorm {
    ClippingNorm::try_from(NORM).unwrap()
}

fn sigma() -> NoiseMultiplier {
    NoiseMultiplier::try_from(SIGMA).unwrap()
}

fn delta() -> Delta {
    Delta::try_from(1e-5).unwrap()
}

fn step() -> LatticeStep {
    LatticeStep::for_clipping_norm(norm())
}

/// Recorded spending for as many runs of `event` as an audit takes, one token each.
fn tokens(event: &MechanismEvent) -> impl Iterator<Item = Spent> + use<> {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    let draft = EntryDraft {
        data_set: "audit".into(),
        run_id: "1".into(),
        round: 0,
        last_round: None,
        attempt: 0,
        filter_order: None,
        plan: None,
        unit: PrivacyUnit::Client,
        adjacency: Adjacency::AddOrRemove,
        placement: NoisePlacement::Central,
        event: event.clone().times(2 * u64::from(TRIALS)),
        clipping_norm: norm(),
        lattice_step: step(),
        delta: delta(),
        unix_time: 0,
        seeded: true,
    };
    ledger.spend(draft).unwrap().into_steps()
}

/// One unit's update, by the types that every update goes through.
fn contribution(along: f32, planted: Planted) -> LatticeVector {
    let mut values = vec![0.0; DIMENSION];
    values[0] = along;
    let raw = RawUpdate::new(values.clone());
    if planted == Planted::NoClipping {
        return LatticeVector::quantize(&values, step()).unwrap();
    }
    raw.clip(norm()).unwrap().quantize(step()).unwrap()
}

/// The canary is half again as long as allowed, the others are as long as they may be.
fn units(with_canary: bool, planted: Planted) -> Vec<LatticeVector> {
    let mut units = vec![contribution(-NORM as f32, planted); OTHERS];
    if with_canary {
        units.push(contribution(1.5 * NORM as f32, planted));
    }
    units
}

fn sum<'a>(units: impl IntoIterator<Item = &'a LatticeVector>) -> LatticeVector {
    let mut sum = LatticeVector::zeros(DIMENSION);
    for unit in units {
        sum.checked_add_assign(unit).unwrap();
    }
    sum
}

/// The released mean along the canary.
fn score(units: &[LatticeVector], planted: Planted, token: Spent, rng: &mut ChaCha20Rng) -> f64 {
    let noise = RoundedGaussian::for_mechanism(sigma(), norm(), step()).unwrap();
    let sum = sum(units);
    let along = if planted == Planted::HalvedNoise {
        // `release` refuses it.
        let weaker = RoundedGaussian::new(noise.standard_deviation() / 2.0).unwrap();
        let mut values = sum.into_values();
        weaker.add_to(&mut values, rng).unwrap();
        LatticeVector::from_values(values).to_f64(step())[0]
    } else {
        let released = release(sum, &noise, token, rng).unwrap();
        released.to_f64(step())[0]
    };
    let divisor = match planted {
        Planted::DivisorThatCounts => units.len() as f64,
        _ => EXPECTED,
    };
    along / divisor
}

/// An upper bound on a probability after `hits` of [`TRIALS`]: the largest p with
/// n KL(hits/n ‖ p) <= ln(1/failure) (Chernoff).
fn at_most(hits: u32) -> f64 {
    let share = f64::from(hits) / f64::from(TRIALS);
    let term = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
    let divergence = |p: f64| term(share, p) + term(1.0 - share, 1.0 - p);
    let (mut low, mut high) = (share, 1.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if f64::from(TRIALS) * divergence(middle) <= -LN_FAILURE {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Φ⁻¹(1 - p), by bisection.
fn upper_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if 0.5 * libm::erfc(middle / std::f64::consts::SQRT_2) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Bounds on the share of scores above `threshold` without the canary, and of those not above
/// it with the canary.
fn errors(threshold: f64, mut score: impl FnMut(bool) -> f64) -> [f64; 2] {
    let mut hits = [0, 0];
    for _ in 0..TRIALS {
        hits[0] += u32::from(score(false) > threshold);
        hits[1] += u32::from(score(true) <= threshold);
    }
    hits.map(at_most)
}

/// A lower bound on ε at [`delta`], over the claimed one.
fn audited_over_claimed(planted: Planted, seed: u64) -> f64 {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let (without, with) = (units(false, planted), units(true, planted));
    // Halfway between the two means, which anybody who knows the others can compute.
    let mean = |units: &[LatticeVector]| {
        let divisor = match planted {
            Planted::DivisorThatCounts => units.len() as f64,
            _ => EXPECTED,
        };
        sum(units).to_f64(step())[0] / divisor
    };
    let threshold = 0.5 * (mean(&without) + mean(&with));
    let mut tokens = tokens(&MechanismEvent::gaussian(sigma()));
    let [false_positive, false_negative] = errors(threshold, |canary| {
        let units = if canary { &with } else { &without };
        score(units, planted, tokens.next().unwrap(), rng)
    });
    let mu = upper_quantile(false_positive) + upper_quantile(false_negative);
    let bound = gaussian::epsilon(mu.max(0.0), delta()).get();
    bound / gaussian::epsilon(1.0 / SIGMA, delta()).get()
}

#[test]
fn the_audit_finds_nearly_what_is_claimed_and_no_more() {
    for seed in [1, 2] {
        let ratio = audited_over_claimed(Planted::Nothing, seed);
        println!("as built: {ratio:.3} of the claimed epsilon");
        assert!((0.9..=1.0).contains(&ratio), "{ratio}");
    }
}

#[test]
fn the_audit_notices_halved_noise() {
    let ratio = audited_over_claimed(Planted::HalvedNoise, 3);
    println!("noise halved: {ratio:.3} of the claimed epsilon");
    assert!(ratio > 1.0, "{ratio}");
}

#[test]
fn the_audit_notices_that_nothing_is_clipped() {
    let ratio = audited_over_claimed(Planted::NoClipping, 4);
    println!("not clipped: {ratio:.3} of the claimed epsilon");
    assert!(ratio > 1.0, "{ratio}");
}

#[test]
fn the_audit_notices_a_divisor_that_counts_who_came() {
    let ratio = audited_over_claimed(Planted::DivisorThatCounts, 5);
    println!("divisor counted: {ratio:.3} of the claimed epsilon");
    assert!(ratio > 1.0, "{ratio}");
}

#[test]
fn with_sampling_the_audit_finds_less_than_the_accountant_claims_but_not_nothing() {
    let rate = SamplingRate::try_from(0.5).unwrap();
    let event = MechanismEvent::poisson_gaussian(rate, sigma());
    // A single threshold bounds ε well only where δ isn't tiny.
    let delta = Delta::try_from(0.01).unwrap();
    let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
    accountant.compose(&event, 1).unwrap();
    let claimed = accountant.epsilon(delta).get();
    let noise = RoundedGaussian::for_mechanism(sigma(), norm(), step()).unwrap();
    let rng = &mut ChaCha20Rng::seed_from_u64(6);
    let canary = contribution(1.5 * NORM as f32, Planted::Nothing);
    let mut tokens = tokens(&event);
    let [false_positive, false_negative] = errors(1.5 * NORM, |present| {
        // The canary is the only unit there may be: what others add is known.
        let mut sum = LatticeVector::zeros(DIMENSION);
        for _ in poisson_sample(usize::from(present), rate, rng) {
            sum.checked_add_assign(&canary).unwrap();
        }
        let released = release(sum, &noise, tokens.next().unwrap(), rng).unwrap();
        released.to_f64(step())[0]
    });
    // P(above | canary) <= e^ε P(above | none) + δ.
    let audited = ((1.0 - false_negative - delta.get()) / false_positive).ln();
    println!("sampled: at least {audited:.3}, claimed {claimed:.3}");
    assert!(audited <= claimed, "{audited} {claimed}");
    assert!(audited > 0.5 * claimed, "{audited} {claimed}");
}
