//! From guesses to a lower bound on epsilon: Steinke, Nasr and Jagielski 2023, "Privacy
//! Auditing with One (1) Training Run", Theorem 3.1.
//!
//! Of m canaries, each included by a fair coin, r are guessed and v guesses are right. If the
//! mechanism is (ε, δ)-private, then
//!
//! P[correct ≥ v] ≤ β + 2 m δ α, with β = P[Bin(r, e^ε/(1+e^ε)) ≥ v] and
//! α = max over i of P[v - i ≤ Bin < v] / i.
//!
//! The theorem needs no independence of the canaries, so that one run is enough. Each ε of
//! which this p-value is below 1 - confidence is rejected, and the largest of them is a lower
//! bound. It isn't tight: with m canaries it stays below about ln(m/3) whatever happens.

use serde::Serialize;

use crate::accountant::Delta;

/// Covers the rounding of log-gamma functions, of which 10^6 guesses lose 10^-8.
const ROUNDING_GUARD: f64 = 1e-6;
/// No bound is ever reported above this. A million guesses, all right, reach 13.
const LARGEST_EPSILON: f64 = 60.0;
/// In which steps the first epsilon is looked for that isn't rejected.
const SCAN: f64 = 0.25;

/// What was guessed: `correct` ≤ `made` ≤ `canaries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Guesses {
    canaries: u64,
    made: u64,
    correct: u64,
}

/// Counts that don't go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{correct} right guesses of {made} about {canaries} canaries aren't possible")]
pub struct ImpossibleGuesses {
    canaries: u64,
    made: u64,
    correct: u64,
}

impl Guesses {
    /// `correct` right ones of `made` guesses about `canaries` canaries.
    ///
    /// # Errors
    /// [`ImpossibleGuesses`] unless `correct` ≤ `made` ≤ `canaries` ≤ 2^32.
    pub fn new(canaries: u64, made: u64, correct: u64) -> Result<Self, ImpossibleGuesses> {
        if correct <= made && made <= canaries && canaries <= 1 << 32 {
            Ok(Self {
                canaries,
                made,
                correct,
            })
        } else {
            Err(ImpossibleGuesses {
                canaries,
                made,
                correct,
            })
        }
    }

    /// The same for counts that go together by construction.
    pub(super) fn of(canaries: usize, made: usize, correct: usize) -> Self {
        let made = made.min(canaries);
        Self {
            canaries: canaries as u64,
            made: made as u64,
            correct: correct.min(made) as u64,
        }
    }

    /// m: canaries that a coin was tossed for.
    pub fn canaries(self) -> u64 {
        self.canaries
    }

    /// r: guesses that were made.
    pub fn made(self) -> u64 {
        self.made
    }

    /// v: guesses that were right.
    pub fn correct(self) -> u64 {
        self.correct
    }
}

/// The probability with which a lower bound holds, from 0.75 to below 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(into = "f64")]
pub struct Confidence(f64);

/// A number that can't be a confidence.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} isn't a confidence; use a number from 0.75 to below 1, e.g. 0.95")]
pub struct InvalidConfidence(pub f64);

impl Confidence {
    /// The confidence as a float.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Confidence {
    type Error = InvalidConfidence;

    fn try_from(value: f64) -> Result<Self, InvalidConfidence> {
        if (0.75..1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidConfidence(value))
        }
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> f64 {
        confidence.0
    }
}

impl std::fmt::Display for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An upper bound on the probability of so many right guesses or more, if the mechanism is
/// (`epsilon`, `delta`)-private. 1, which rejects nothing, where it can't be computed.
pub fn p_value(guesses: Guesses, epsilon: f64, delta: Delta) -> f64 {
    if !(0.0..=LARGEST_EPSILON).contains(&epsilon) {
        return 1.0;
    }
    let (made, correct) = (guesses.made as f64, guesses.correct as f64);
    let ln_right = -(-epsilon).exp().ln_1p();
    // No more than such guesses are expected to be right: nothing is said, and a p-value
    // above 1/4 isn't worth computing.
    if correct <= made * ln_right.exp() {
        return 1.0;
    }
    let ln_at_correct = ln_choose(made, correct) + correct * ln_right
        // ln(1 - p) = ln p - ε for p = e^ε/(1+e^ε).
        + (made - correct) * (ln_right - epsilon);
    let beta = at_least(made, correct, epsilon, ln_at_correct);
    let alpha = steepest(made, correct, epsilon, ln_at_correct);
    let p = beta + 2.0 * guesses.canaries as f64 * delta.get() * alpha;
    let p = p * (1.0 + ROUNDING_GUARD);
    if p.is_nan() { 1.0 } else { p.min(1.0) }
}

/// The largest epsilon that `guesses` reject at `delta`, rounded down; 0 where they reject
/// none. The truth is at least this with probability `confidence`.
pub fn lower_bound(guesses: Guesses, delta: Delta, confidence: Confidence) -> f64 {
    let level = 1.0 - confidence.get();
    let rejected = |epsilon: f64| p_value(guesses, epsilon, delta) < level;
    // Upwards from 0, so that nothing beyond the first that isn't rejected can count.
    let mut low = 0.0;
    if !rejected(low) {
        return 0.0;
    }
    let mut high = SCAN;
    while rejected(high) {
        low = high;
        high += SCAN;
    }
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if rejected(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn ln_choose(n: f64, k: f64) -> f64 {
    libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
}

/// P[Bin ≥ `correct`] for `correct` above the mean, where the terms fall.
fn at_least(made: f64, correct: f64, epsilon: f64, ln_first: f64) -> f64 {
    let odds = epsilon.exp();
    let (mut term, mut sum, mut k) = (ln_first.exp(), 0.0, correct);
    while term > sum * 1e-18 {
        sum += term;
        term *= (made - k) / (k + 1.0) * odds;
        k += 1.0;
    }
    sum
}

/// max over i of P[`correct` - i ≤ Bin < `correct`] / i. In logarithms, since the first terms
/// may underflow where the last don't.
fn steepest(made: f64, correct: f64, epsilon: f64, ln_at_correct: f64) -> f64 {
    let (mut ln_term, mut sum, mut steepest) = (ln_at_correct, 0.0, 0.0f64);
    let (mut k, mut i) = (correct, 0.0);
    while k >= 1.0 {
        ln_term += (k / (made - k + 1.0)).ln() - epsilon;
        sum += ln_term.exp();
        (k, i) = (k - 1.0, i + 1.0);
        steepest = steepest.max(sum / i);
        // A probability over i can't be more than this any more.
        if steepest * (i + 1.0) >= 1.0 {
            break;
        }
    }
    steepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guesses(canaries: u64, made: u64, correct: u64) -> Guesses {
        Guesses::new(canaries, made, correct).unwrap()
    }

    fn delta(delta: f64) -> Delta {
        Delta::try_from(delta).unwrap()
    }

    fn confidence(confidence: f64) -> Confidence {
        Confidence::try_from(confidence).unwrap()
    }

    #[test]
    fn the_bounds_are_those_of_the_reference() {
        // jax_privacy's one-run audit, confidence 0.95.
        for (made, correct, expected) in [(200, 150, 0.821), (100, 100, 3.493)] {
            let found = lower_bound(guesses(1000, made, correct), delta(1e-12), confidence(0.95));
            assert!((found - expected).abs() < 1e-3, "{found} for {expected}");
        }
    }

    #[test]
    fn small_cases_match_the_formula_term_by_term() {
        // r = 3, v = 3, p = 3/4: β = 27/64; P[2 ≤ Bin < 3] = 27/64 = the steepest (27/64,
        // 36/128, 37/192).
        let p = p_value(guesses(10, 3, 3), 3f64.ln(), delta(0.01));
        let expected = 27.0 / 64.0 + 2.0 * 10.0 * 0.01 * 27.0 / 64.0;
        assert!((p / expected - 1.0).abs() < 2e-6, "{p} {expected}");
    }

    #[test]
    fn nothing_is_concluded_from_chance_from_nothing_or_at_a_large_delta() {
        let (tiny, sure) = (delta(1e-9), confidence(0.95));
        assert_eq!(lower_bound(guesses(1000, 0, 0), tiny, sure), 0.0);
        assert_eq!(lower_bound(guesses(1000, 1000, 500), tiny, sure), 0.0);
        assert_eq!(lower_bound(guesses(1000, 1000, 0), tiny, sure), 0.0);
        assert_eq!(lower_bound(guesses(1000, 100, 100), delta(0.9), sure), 0.0);
    }

    #[test]
    fn a_million_right_guesses_have_a_finite_bound() {
        let million = guesses(1_000_000, 1_000_000, 1_000_000);
        let bound = lower_bound(million, delta(1e-12), confidence(0.95));
        assert!((12.0..13.0).contains(&bound), "{bound}");
    }

    #[test]
    fn impossible_counts_and_confidences_are_refused() {
        assert!(Guesses::new(10, 11, 0).is_err());
        assert!(Guesses::new(10, 5, 6).is_err());
        assert!(Guesses::new(1 << 33, 1, 1).is_err());
        for value in [0.0, 0.74, 1.0, f64::NAN, f64::INFINITY, -1.0] {
            assert!(Confidence::try_from(value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn the_p_value_rises_with_epsilon_wherever_it_can_reject(
            made in 1u64..3000, part in 0.5f64..1.0, epsilon in 0f64..8.0, more in 0f64..1.0,
            ln_delta in -25f64..-3.0,
        ) {
            let correct = (made as f64 * part).ceil() as u64;
            let some = guesses(2 * made, made, correct);
            let delta = delta(ln_delta.exp());
            let (less, greater) =
                (p_value(some, epsilon, delta), p_value(some, epsilon + more, delta));
            prop_assert!((0.0..=1.0).contains(&less));
            if less < 0.25 {
                prop_assert!(greater >= less * (1.0 - 1e-9), "{less} {greater}");
            }
        }

        #[test]
        fn fewer_right_guesses_and_more_confidence_never_give_a_higher_bound(
            made in 1u64..2000, part in 0.5f64..1.0,
        ) {
            let correct = (made as f64 * part).ceil() as u64;
            let bound = |correct, sure| {
                lower_bound(guesses(5000, made, correct), delta(1e-6), confidence(sure))
            };
            let found = bound(correct, 0.95);
            prop_assert!(found.is_finite() && found >= 0.0);
            prop_assert!(bound(correct - 1, 0.95) <= found + 1e-6);
            prop_assert!(bound(correct, 0.999) <= found + 1e-6);
        }
    }
}
