//! Prefix sums through the banded Toeplitz square root.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Known, Mechanism, scaled_gaussian};
use crate::accountant::AccountingError;
use crate::accountant::noise_multiplier::NoiseMultiplier;

/// Rounds of a matrix mechanism, at most: its sensitivity is summed column by column.
const MOST_ROUNDS: u32 = 1 << 20;

/// Prefix sums through the banded Toeplitz square root (Choquette-Choo et al. 2023, "(Amplified) Banded Matrix
/// Factorization"), without sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandedToeplitz {
    /// σ of the correlated noise's source, over the clipping norm.
    pub noise_multiplier: NoiseMultiplier,
    /// Rounds.
    pub rounds: NonZeroU32,
    /// Bands that are kept.
    pub bands: NonZeroU32,
    /// Rounds between two participations of one unit, at least.
    pub min_separation: NonZeroU32,
    /// Participations of one unit, at most.
    pub max_participations: NonZeroU32,
}

impl Known for BandedToeplitz {
    fn name(&self) -> &'static str {
        "the banded Toeplitz mechanism"
    }

    /// One Gaussian release of all rounds' correlated sums.
    fn canonical(self) -> Result<Mechanism, AccountingError> {
        Ok(scaled_gaussian(self.noise_multiplier, self.sensitivity()?))
    }
}

impl BandedToeplitz {
    /// The sensitivity of the square root of the prefix-sum matrix, a lower-triangular Toeplitz
    /// matrix with c₀ = 1, c_k = c_{k-1} (2k - 1)/(2k), cut to its first bands, when a unit takes part at most
    /// `max_participations` times, at least `min_separation` rounds apart.
    ///
    /// Coefficients are positive and fall, so the worst participations are the earliest ones,
    /// `min_separation` apart (Kalinin & Lampert 2024, Theorem 2): ‖Σⱼ C[:, j · separation]‖₂.
    ///
    /// Rounded up by more than its sums may lose.
    ///
    /// # Errors
    /// [`AccountingError::TooLarge`] above a million rounds.
    fn sensitivity(&self) -> Result<f64, AccountingError> {
        let rounds = self.rounds.get();
        if rounds > MOST_ROUNDS {
            return Err(AccountingError::TooLarge {
                mechanism: "banded_toeplitz",
                parameter: "rounds",
                limit: MOST_ROUNDS.into(),
            });
        }
        let mut coefficients = Vec::new();
        let mut coefficient = 1.0;
        for k in 1..=self.bands.get().min(rounds) {
            coefficients.push(coefficient);
            coefficient *= f64::from(2 * k - 1) / f64::from(2 * k);
        }
        // The column of a unit that takes part in rounds 0, s, 2 s, … is, in round t, the sum of the
        // coefficients t, t - s, t - 2 s, …: that of s rounds before, one added, and one gone once the unit has
        // taken part as often as it may.
        let separation = self.min_separation.get() as usize;
        let participations = self.max_participations.get() as usize;
        let coefficient = |at: usize| coefficients.get(at).copied().unwrap_or(0.0);
        let mut column = vec![0.0; rounds as usize];
        for round in 0..rounds as usize {
            let before = round
                .checked_sub(separation)
                .and_then(|earlier| column.get(earlier).copied());
            let gone = participations
                .checked_mul(separation)
                .and_then(|span| round.checked_sub(span))
                .map_or(0.0, coefficient);
            let value: f64 = before.unwrap_or(0.0) + coefficient(round) - gone;
            if let Some(entry) = column.get_mut(round) {
                *entry = value.max(0.0);
            }
        }
        let squares: f64 = column.iter().map(|value| value * value).sum();
        // Each of the sums loses at most half a unit in the last place a round.
        Ok(squares.sqrt() * (1.0 + 4.0 * f64::from(rounds) * f64::EPSILON))
    }
}
