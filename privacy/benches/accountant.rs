//! What the accountant's questions cost, at the eight settings for which other accountants'
//! times are known: `cargo bench -p umbel-privacy --bench accountant`.

use std::sync::atomic::{AtomicU32, Ordering};

use divan::{Bencher, black_box};
use umbel_privacy::accountant::{PldAccountant, calibrate};
use umbel_privacy::{
    Accountant, Adjacency, Budget, Delta, MechanismEvent, NoiseMultiplier, SamplingRate,
};

fn main() {
    divan::main();
}

/// (σ, q, rounds, δ).
const SETTINGS: [(f64, f64, u64, f64); 8] = [
    (1.0, 0.01, 1000, 1e-5),
    (1.1, 0.00427, 14063, 1e-5),
    (0.7, 0.004, 5000, 1e-6),
    (2.0, 0.01, 20000, 1e-7),
    (4.0, 0.1, 5000, 1e-7),
    (1.0, 0.05, 500, 1e-6),
    (10.0, 0.5, 2000, 1e-7),
    (0.5, 0.001, 20000, 1e-6),
];

fn event(sigma: f64, q: f64) -> MechanismEvent {
    MechanismEvent::poisson_gaussian(
        SamplingRate::try_from(q).expect("a sampling rate"),
        NoiseMultiplier::try_from(sigma).expect("a noise multiplier"),
    )
}

/// A noise multiplier that was never asked about before: answers are remembered, and an answer
/// from memory says nothing of what it costs to compute.
fn unheard_of(sigma: f64) -> f64 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    sigma + 1e-9 * f64::from(ASKED.fetch_add(1, Ordering::Relaxed))
}

fn composed(sigma: f64, q: f64, rounds: u64) -> PldAccountant {
    let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
    accountant
        .compose(&event(sigma, q), rounds)
        .expect("an event that is known");
    accountant
}

/// One epsilon from nothing, certified to a relative 10⁻⁹.
#[divan::bench(args = 0..SETTINGS.len())]
fn one_epsilon(bencher: Bencher<'_, '_>, index: usize) {
    let (sigma, q, rounds, delta) = SETTINGS[index];
    let delta = Delta::try_from(delta).expect("a delta");
    bencher.bench(|| composed(unheard_of(sigma), q, rounds).interval(delta));
}

/// Twenty further rounds, epsilon asked after each.
#[divan::bench]
fn twenty_rounds(bencher: Bencher<'_, '_>) {
    let delta = Delta::try_from(1e-5).expect("a delta");
    bencher.bench(|| {
        let sigma = unheard_of(1.0);
        let mut accountant = composed(sigma, 0.01, 1000);
        (0..20)
            .map(|_| {
                let event = event(sigma, 0.01);
                accountant.compose(&event, 1).expect("a known event");
                accountant.epsilon(delta).get()
            })
            .sum::<f64>()
    });
}

/// Twenty different mechanisms together.
#[divan::bench]
fn twenty_different_mechanisms(bencher: Bencher<'_, '_>) {
    let delta = Delta::try_from(1e-5).expect("a delta");
    bencher.bench(|| {
        let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
        for index in 0..20 {
            let event = event(unheard_of(1.0 + 0.05 * f64::from(index)), 0.01);
            accountant.compose(&event, 50).expect("a known event");
        }
        accountant.epsilon(black_box(delta))
    });
}

/// Would one more round still fit?
#[divan::bench]
fn one_more_round(bencher: Bencher<'_, '_>) {
    let delta = Delta::try_from(1e-5).expect("a delta");
    let questions = || {
        let sigma = unheard_of(1.0);
        (composed(sigma, 0.01, 1000), event(sigma, 0.01))
    };
    bencher
        .with_inputs(questions)
        .bench_refs(|(accountant, event)| {
            accountant.compose(event, 1).expect("a known event");
            accountant.epsilon(delta)
        });
}

/// The noise for epsilon 8 over 1,000 rounds at a rate of 0.01.
#[divan::bench]
fn one_calibration(bencher: Bencher<'_, '_>) {
    let rate = SamplingRate::try_from(0.01).expect("a sampling rate");
    bencher.bench(|| {
        let budget = Budget::new(unheard_of(8.0), 1e-5).expect("a budget");
        calibrate::noise_multiplier(&budget, rate, 1000, Adjacency::AddOrRemove)
    });
}
