//! Poisson sampling: every unit takes part with probability q, independently of all
//! others. Amplification by sampling is claimed for nothing else, neither for
//! shuffled batches nor for samples of fixed size (Chua et al. 2024; Lebeda et al. 2024).

use std::cmp::Ordering;
use std::fmt;

use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::dyadic::Dyadic;

/// The sampling rate q, 0 < q <= 1: the probability with which each unit takes part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct SamplingRate(f64);

/// A number that can't be a sampling rate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} isn't a sampling rate; use a number above 0 and at most 1")]
pub struct InvalidSamplingRate(pub f64);

impl SamplingRate {
    /// Everybody takes part.
    pub const ALL: Self = Self(1.0);

    /// q as a float.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether everybody takes part.
    pub fn is_all(self) -> bool {
        self.0 == 1.0
    }
}

/// Never NaN, so that it equals itself.
impl Eq for SamplingRate {}

impl Ord for SamplingRate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for SamplingRate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<f64> for SamplingRate {
    type Error = InvalidSamplingRate;

    fn try_from(value: f64) -> Result<Self, InvalidSamplingRate> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(InvalidSamplingRate(value))
        }
    }
}

impl From<SamplingRate> for f64 {
    fn from(rate: SamplingRate) -> f64 {
        rate.0
    }
}

impl fmt::Display for SamplingRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Draws which of the units 0 to `n` - 1 take part, in ascending order; each is in with
/// probability exactly q. With q = 1 all are, and no randomness is used.
pub fn poisson_sample<R: CryptoRng + ?Sized>(
    n: usize,
    rate: SamplingRate,
    rng: &mut R,
) -> Vec<usize> {
    match Dyadic::of_positive(rate.0) {
        Some(q) if !rate.is_all() => (0..n).filter(|_| bernoulli(q, rng)).collect(),
        _ => (0..n).collect(),
    }
}

/// True with probability exactly q < 1.
fn bernoulli<R: CryptoRng + ?Sized>(q: Dyadic, rng: &mut R) -> bool {
    // q = numerator · 2^-bits; its 64-bit digits are compared with those of a uniform
    // deviate until one differs.
    let mut numerator = u128::from(q.mantissa);
    let mut bits = q.exponent.unsigned_abs();
    while bits > 64 {
        let rest = bits - 64;
        let digit = numerator.checked_shr(rest).unwrap_or(0) as u64;
        let drawn = rng.next_u64();
        if drawn != digit {
            return drawn < digit;
        }
        numerator -= u128::from(digit).checked_shl(rest).unwrap_or(0);
        bits = rest;
    }
    u128::from(rng.next_u64()) < numerator << (64 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{TryCryptoRng, TryRng};
    use std::convert::Infallible;

    fn rate(q: f64) -> SamplingRate {
        SamplingRate::try_from(q).unwrap()
    }

    #[test]
    fn a_rate_is_above_zero_and_at_most_one() {
        for q in [0.0, -0.1, 1.0 + 1e-15, f64::NAN, f64::INFINITY] {
            assert!(SamplingRate::try_from(q).is_err(), "{q}");
        }
        assert!(rate(1.0).is_all());
    }

    #[test]
    fn everybody_takes_part_at_rate_one() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        assert_eq!(poisson_sample(4, rate(1.0), rng), [0, 1, 2, 3]);
        assert!(poisson_sample(0, rate(0.5), rng).is_empty());
    }

    #[test]
    fn sizes_and_members_fit_independent_trials() {
        let (n, rounds) = (2_000usize, 2_000usize);
        for (seed, q) in [(2, 0.01), (3, 0.3), (4, 0.95), (5, 1e-4)] {
            let rng = &mut ChaCha20Rng::seed_from_u64(seed);
            let mut sizes = Vec::new();
            let mut first_half = 0.0;
            for _ in 0..rounds {
                let sample = poisson_sample(n, rate(q), rng);
                assert!(sample.is_sorted() && sample.iter().all(|&unit| unit < n));
                first_half += sample.iter().filter(|&&unit| unit < n / 2).count() as f64;
                sizes.push(sample.len() as f64);
            }
            let total: f64 = sizes.iter().sum();
            let expected = (n * rounds) as f64 * q;
            // Five standard deviations: one seed in about two million.
            assert!(
                (total - expected).abs() < 5.0 * (expected * (1.0 - q)).sqrt(),
                "q = {q}"
            );
            assert!((2.0 * first_half - expected).abs() < 5.0 * (2.0 * expected).sqrt());
            // A sample of fixed size would have no variance, a Poisson one n q (1 - q).
            let mean = total / rounds as f64;
            let variance =
                sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / rounds as f64;
            let ratio = variance / (n as f64 * q * (1.0 - q));
            // Kurtosis of a count is at most 3 + 1/(n q), here 8: sd of the ratio <= 0.06.
            assert!((ratio - 1.0).abs() < 0.3, "q = {q}: {ratio}");
        }
    }

    /// Gives the listed words, then zeros.
    struct Script(Vec<u64>);

    impl TryRng for Script {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            self.try_next_u64().map(|word| word as u32)
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(if self.0.is_empty() {
                0
            } else {
                self.0.remove(0)
            })
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(0);
            Ok(())
        }
    }
    impl TryCryptoRng for Script {}

    #[test]
    fn the_comparison_with_q_is_exact_to_its_last_bit() {
        let takes_part =
            |q, words: &[u64]| !poisson_sample(1, rate(q), &mut Script(words.to_vec())).is_empty();
        // 1/2 is the digit 2^63.
        assert!(takes_part(0.5, &[(1 << 63) - 1]));
        assert!(!takes_part(0.5, &[1 << 63]));
        // 3 · 2^-70 is the digits 0 and 3 · 2^58.
        let q = 3.0 * 2f64.powi(-70);
        assert!(takes_part(q, &[0, (3 << 58) - 1]));
        assert!(!takes_part(q, &[0, 3 << 58]));
        assert!(!takes_part(q, &[1, 0]));
        // The smallest float, 2^-1074, is sixteen zeros and then 2^14.
        let mut words = vec![0; 16];
        words.push((1 << 14) - 1);
        assert!(!takes_part(
            f64::from_bits(1),
            &[&words[..16], &[1 << 14]].concat()
        ));
        assert!(takes_part(f64::from_bits(1), &words));
    }
}
