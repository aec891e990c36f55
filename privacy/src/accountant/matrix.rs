//! Sensitivities of correlated-noise mechanisms: each is one Gaussian release of C x with
//! μ = (sensitivity of C) / σ.

use crate::accountant::AccountingError;

/// Rounds of a matrix mechanism, at most: its sensitivity is summed column by column.
const MOST_ROUNDS: u32 = 1 << 20;

/// √depth of a binary tree over `steps` >= 1 leaves in which a unit is one leaf: it is in
/// every node on the path to the root, ⌈log₂(steps + 1)⌉ of them, as trees are completed
/// level by level (Kairouz et al. 2021, §B).
pub(super) fn tree_sensitivity(steps: u64) -> f64 {
    let depth = u64::BITS - steps.leading_zeros();
    f64::from(depth).sqrt()
}

/// The sensitivity of the square root of the prefix-sum matrix, a lower-triangular Toeplitz
/// matrix with c₀ = 1, c_k = c_{k-1} (2k - 1)/(2k), cut to its first `bands` diagonals, when
/// a unit takes part at most `participations` times, at least `separation` rounds apart.
///
/// Coefficients are positive and fall, so the worst participations are the earliest ones,
/// `separation` apart (Kalinin & Lampert 2024, Theorem 2): ‖Σⱼ C[:, j · separation]‖₂.
///
/// Rounded up by more than its sums may lose.
///
/// # Errors
/// [`AccountingError::TooLarge`] above a million rounds.
pub(super) fn toeplitz_sensitivity(
    rounds: u32,
    bands: u32,
    separation: u32,
    participations: u32,
) -> Result<f64, AccountingError> {
    if rounds > MOST_ROUNDS {
        return Err(AccountingError::TooLarge {
            mechanism: "banded_toeplitz",
            parameter: "rounds",
            limit: MOST_ROUNDS.into(),
        });
    }
    let mut coefficients = Vec::new();
    let mut coefficient = 1.0;
    for k in 1..=bands.min(rounds) {
        coefficients.push(coefficient);
        coefficient *= f64::from(2 * k - 1) / f64::from(2 * k);
    }
    // The column of a unit that takes part in rounds 0, s, 2 s, … is, in round t, the sum of the
    // coefficients t, t - s, t - 2 s, …: that of s rounds before, one added, and one gone once the unit has
    // taken part as often as it may.
    let (separation, participations) = (separation as usize, participations as usize);
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
