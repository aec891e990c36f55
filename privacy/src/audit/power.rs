//! The power of an audit: how many guesses to make, and which bounds to expect.
//!
//! Few guesses are mostly right but can't prove much, many could prove more but are often
//! wrong. The best number depends on the mechanism, and has to be fixed before anything is
//! released. So a few thousand canaries are played through in floating point, once with the
//! noise as it is claimed and once with half of it. Whoever knows the true mechanism and finds
//! a score of s is right with probability e^|s|/(1+e^|s|).
//!
//! What has to be noticed is noise that was halved. Of the numbers of guesses from which that
//! is to be expected, the one is taken that says most about a mechanism as it is claimed.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use rand::CryptoRng;

use super::AuditSettings;
use super::canaries::Score;
use super::one_run::{Guesses, lower_bound};
use crate::accountant::Epsilon;
use crate::unit::Adjacency;

/// Rounds times canaries that are played through at most.
const EFFORT: u64 = 10_000_000;
/// The fewest canaries that a share of them is estimated from.
const FEWEST: usize = 20;
/// Standard deviations by which luck may fall short.
const BAD_LUCK: f64 = 3.0;

/// How an audit guesses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuessingPlan {
    /// How many canaries are guessed.
    pub guesses: usize,
    /// The bound that a mechanism which loses all that it claims to is expected to give.
    pub expected_bound: f64,
    /// The bound that the same mechanism is expected to give with half of its noise.
    pub with_halved_noise: f64,
    /// Whether such noise would be noticed, even if three standard deviations fewer guesses are
    /// right than is to be expected: with probability 0.99 or more.
    pub notices_halved_noise: bool,
}

/// How sure one canary's guess is.
#[derive(Clone, Copy)]
struct Certainty {
    /// Of the score that the audit computes, and sorts by.
    scored: f64,
    /// Of somebody who knows the mechanism that was played through.
    known: f64,
}

/// The number of guesses from which most is to be expected against a claim of epsilon
/// `claimed`. What is drawn from `rng` has nothing to do with the audit's own canaries.
pub fn plan<R: CryptoRng + ?Sized>(
    settings: &AuditSettings,
    claimed: Epsilon,
    rng: &mut R,
) -> GuessingPlan {
    let as_claimed = play_through(settings, 1.0, rng);
    let halved = play_through(settings, 0.5, rng);
    let mut plans = Vec::new();
    let mut share = 1.0;
    loop {
        let seen = (share * as_claimed.len() as f64) as usize;
        let guesses = (share * settings.canaries as f64) as usize;
        if seen < FEWEST || guesses < FEWEST {
            break;
        }
        let bound =
            |played: &[Certainty], bad_luck| expected(settings, guesses, &played[..seen], bad_luck);
        plans.push(GuessingPlan {
            guesses,
            expected_bound: bound(&as_claimed, 0.0),
            with_halved_noise: bound(&halved, 0.0),
            notices_halved_noise: bound(&halved, BAD_LUCK) > claimed.get(),
        });
        share *= FRAC_1_SQRT_2;
    }
    // Noticed for sure, noticed with luck, or else what says most about the claim.
    let noticed = |plan: &GuessingPlan| {
        u8::from(plan.notices_halved_noise) + u8::from(plan.with_halved_noise > claimed.get())
    };
    let best = plans.into_iter().max_by(|a, b| {
        let bounds = a.expected_bound.total_cmp(&b.expected_bound);
        noticed(a).cmp(&noticed(b)).then(bounds)
    });
    best.unwrap_or(GuessingPlan {
        guesses: settings.canaries,
        expected_bound: 0.0,
        with_halved_noise: 0.0,
        notices_halved_noise: false,
    })
}

/// The bound if as many guesses are right as is to be expected, or `bad_luck` standard
/// deviations fewer.
fn expected(settings: &AuditSettings, guesses: usize, played: &[Certainty], bad_luck: f64) -> f64 {
    let right: f64 = played.iter().map(|c| 1.0 / (1.0 + (-c.known).exp())).sum();
    let share = right / played.len() as f64;
    let count = guesses as f64;
    let short = bad_luck * (count * share * (1.0 - share)).max(0.0).sqrt();
    // A float below 0 becomes 0.
    let correct = (share * count - short) as usize;
    let guesses = Guesses::of(settings.canaries, guesses, correct);
    lower_bound(guesses, settings.delta, settings.confidence)
}

/// Canaries under the mechanism as it is claimed, but with only a `share` of the noise; the
/// surest guesses first.
fn play_through<R: CryptoRng + ?Sized>(
    settings: &AuditSettings,
    share: f64,
    rng: &mut R,
) -> Vec<Certainty> {
    let mechanism = &settings.mechanism;
    let (rate, sigma) = (
        mechanism.sampling_rate.get(),
        mechanism.noise_multiplier.get() * share,
    );
    let (scored, known) = (Score::new(mechanism), Score::with_noise(mechanism, sigma));
    let mut one = || {
        let contribution = match (rng.next_u64() >> 63 == 1, mechanism.adjacency) {
            (true, _) => 1.0,
            (false, Adjacency::ReplaceOne) => -1.0,
            (false, Adjacency::AddOrRemove | Adjacency::ZeroOut) => 0.0,
        };
        let mut sums = (0.0, 0.0);
        for _ in 0..mechanism.rounds {
            let drawn = f64::from(u8::from(uniform(rng) < rate));
            let released = drawn * contribution + sigma * normal(rng);
            sums.0 += scored.of(released);
            sums.1 += known.of(released);
        }
        Certainty {
            scored: f64::abs(sums.0),
            known: f64::abs(sums.1),
        }
    };
    let pilots = (EFFORT / mechanism.rounds.max(1)).clamp(1_000, 20_000);
    let mut played: Vec<Certainty> = (0..pilots).map(|_| one()).collect();
    played.retain(|c| !c.scored.is_nan() && !c.known.is_nan());
    played.sort_unstable_by(|a, b| b.scored.total_cmp(&a.scored));
    played
}

/// Above 0 and at most 1.
fn uniform<R: CryptoRng + ?Sized>(rng: &mut R) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// A normal deviate, to the precision of floats: good enough to plan with, and nothing that
/// is released ever sees it (Box and Muller 1958).
pub(super) fn normal<R: CryptoRng + ?Sized>(rng: &mut R) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (TAU * uniform(rng)).cos()
}
