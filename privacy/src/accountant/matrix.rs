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
/// # Errors
/// [`AccountingError::TooMany`] above a million rounds.
pub(super) fn toeplitz_sensitivity(
    rounds: u32,
    bands: u32,
    separation: u32,
    participations: u32,
) -> Result<f64, AccountingError> {
    if rounds > MOST_ROUNDS {
        return Err(AccountingError::TooMany);
    }
    let mut coefficients = Vec::new();
    let mut coefficient = 1.0;
    for k in 1..=bands.min(rounds) {
        coefficients.push(coefficient);
        coefficient *= f64::from(2 * k - 1) / f64::from(2 * k);
    }
    let mut column_sum = vec![0.0; rounds as usize];
    let starts = (0..rounds)
        .step_by(separation as usize)
        .take(participations as usize);
    for start in starts {
        for (total, coefficient) in column_sum
            .iter_mut()
            .skip(start as usize)
            .zip(&coefficients)
        {
            *total += coefficient;
        }
    }
    Ok(column_sum
        .iter()
        .map(|value: &f64| value * value)
        .sum::<f64>()
        .sqrt())
}
