//! Cells of a standard normal deviate's magnitude: a table from which one of them is drawn,
//! and the exact trial that decides whether a place in it is kept.
//!
//! Cell i is [i w, (i + 1) w), w = 1/64. It is drawn with probability proportional to
//! exp(-(i w)²/2), then a place x = (i + t) w in it, t uniform, is kept with probability
//! exp(-x²/2) / exp(-(i w)²/2), which is near 1. That rejection sampling (von Neumann 1951)
//! needs one look into a table (alias method: Walker 1977, Vose 1991) and one comparison of
//! integers for nearly every draw. How far the law of what is kept is from the normal
//! one, less than 2^-100, is shown in `privacy/proofs/rounded_gaussian.md`.

use std::sync::LazyLock;

use rand::CryptoRng;

use crate::fixed_point::{exp_minus_power_of_half, multiply_high};
use crate::lazy_uniform::LazyUniform;

/// w = 2^-6: cells to a standard deviation, as a power of two.
pub(crate) const CELLS_PER_DEVIATION_LOG2: u32 = 6;

/// A column for each cell, and one more that means "draw again".
const COLUMNS: usize = 1 << COLUMN_BITS;
const COLUMN_BITS: u32 = 10;
const AGAIN: u32 = COLUMNS as u32 - 1;

/// Weights add up to 2^127, and so to 2^117 a column.
const CAPACITY_BITS: u32 = 127 - COLUMN_BITS;
/// So many bits of a threshold are compared at first; the others with probability 2^-40.
const FIRST_BITS: u32 = 40;
const REST_BITS: u32 = CAPACITY_BITS - FIRST_BITS;
/// In a column's entry, the other cell stands above the threshold's first bits.
const OTHER_SHIFT: u32 = 48;

/// w²/2 = 2^-13, so that the trial's chances are 13 bits.
const TRIAL_BITS: u32 = 2 * CELLS_PER_DEVIATION_LOG2 + 1;

/// A place in a cell that was kept: the magnitude of a standard normal deviate is
/// (`cell` + `fraction`) w.
#[derive(Debug)]
pub(crate) struct NormalPlace {
    pub(crate) negative: bool,
    /// Below 1023.
    pub(crate) cell: u32,
    pub(crate) fraction: LazyUniform,
}

/// The table.
pub(crate) struct NormalCells {
    /// In bits 0 to 40 the first bits of the column's threshold (2^40 where it is the whole
    /// column), from bit 48 the cell that is drawn at the threshold or above it.
    columns: Box<[u64; COLUMNS]>,
    /// Below it, of 2^117, the column's own cell is drawn.
    thresholds: Vec<u128>,
}

impl NormalCells {
    /// The table, made when it is first asked for; it holds no secret and no state.
    pub(crate) fn shared() -> &'static Self {
        static CELLS: LazyLock<NormalCells> = LazyLock::new(|| NormalCells::of(&weights()));
        &CELLS
    }

    /// Draws a place and a sign.
    #[inline]
    pub(crate) fn draw<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> NormalPlace {
        loop {
            // From the top: 10 bits for the column, one for the sign, 13 for the trial's first
            // chance, 40 for the column's threshold.
            let word = rng.next_u64();
            let mut fraction = LazyUniform::draw(rng);
            let cell = self.cell(word, rng);
            let chance = (word >> FIRST_BITS) as u32 & ((1 << TRIAL_BITS) - 1);
            let surely_kept = chance > 2 * cell;
            if cell != AGAIN && (surely_kept || is_kept(cell, chance, &mut fraction, rng)) {
                let negative = (word >> (FIRST_BITS + TRIAL_BITS)) & 1 == 1;
                return NormalPlace {
                    negative,
                    cell,
                    fraction,
                };
            }
        }
    }

    /// The cell that the word's first ten and last 40 bits choose.
    #[inline]
    fn cell<R: CryptoRng + ?Sized>(&self, word: u64, rng: &mut R) -> u32 {
        let column = (word >> (u64::BITS - COLUMN_BITS)) as usize;
        let entry = self.columns[column];
        let first = entry & ((1 << OTHER_SHIFT) - 1);
        let drawn = word & ((1 << FIRST_BITS) - 1);
        let other = (entry >> OTHER_SHIFT) as u32;
        if drawn == first {
            return self.settle(column, other, rng);
        }
        if drawn < first { column as u32 } else { other }
    }

    /// Compares the rest of a threshold whose first bits were drawn.
    #[cold]
    fn settle<R: CryptoRng + ?Sized>(&self, column: usize, other: u32, rng: &mut R) -> u32 {
        let bits = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
        let drawn = bits >> (u128::BITS - REST_BITS);
        let rest = self.thresholds[column] & ((1 << REST_BITS) - 1);
        if drawn < rest { column as u32 } else { other }
    }

    /// The alias table of weights that add up to 2^127 (Vose 1991), in integers, so that each
    /// weight is met exactly.
    fn of(weights: &[u128; COLUMNS]) -> Self {
        const CAPACITY: u128 = 1 << CAPACITY_BITS;
        let mut left = *weights;
        let mut thresholds = vec![CAPACITY; COLUMNS];
        let mut others = [0; COLUMNS];
        let (mut small, mut large): (Vec<_>, Vec<_>) =
            (0..COLUMNS).partition(|&cell| left[cell] < CAPACITY);
        while let (Some(&from), Some(column)) = (large.last(), small.pop()) {
            thresholds[column] = left[column];
            others[column] = from as u64;
            left[from] -= CAPACITY - left[column];
            if left[from] < CAPACITY {
                large.pop();
                small.push(from);
            }
        }
        let mut columns = Box::new([0; COLUMNS]);
        for (column, entry) in columns.iter_mut().enumerate() {
            let first = (thresholds[column] >> REST_BITS) as u64;
            *entry = first | (others[column] << OTHER_SHIFT);
        }
        Self {
            columns,
            thresholds,
        }
    }
}

/// exp(-(i w)²/2) for each cell i, times a constant just below what makes them add up to
/// 2^127; what is missing is the weight of drawing again, which changes nothing but time.
fn weights() -> [u128; COLUMNS] {
    let mut weights = densities();
    // Rounded up, so that the constant is rounded down: Σ densities <= 2^70 total.
    let total: u128 = weights.iter().map(|density| (density >> 7) + 1).sum();
    let constant = ((1 << 127) / ((total >> 63) + 1)) << 58;
    for weight in &mut weights {
        *weight = multiply_high(*weight, constant);
    }
    weights[COLUMNS - 1] = 0;
    weights[COLUMNS - 1] = (1 << 127) - weights.iter().sum::<u128>();
    weights
}

/// exp(-(i w)²/2) 2^127, to within 2^18 units: each is the one before times
/// exp(-(2i + 1) w²/2), and each of these factors the one before times exp(-w²).
fn densities() -> [u128; COLUMNS] {
    const FIRST_FACTOR: u128 = exp_minus_power_of_half(TRIAL_BITS);
    const FACTOR_OF_FACTORS: u128 = exp_minus_power_of_half(TRIAL_BITS - 1);
    let mut density = 1 << 127;
    let mut factor = FIRST_FACTOR;
    std::array::from_fn(|_| {
        let this = density;
        density = multiply_high(density, factor);
        factor = multiply_high(factor, FACTOR_OF_FACTORS);
        this
    })
}

/// True with probability exp(-t (2i + t) 2^-13) for t the fraction `x` and i the cell
/// (Algorithm B of Karney 2016): in a run t > U₁ > U₂ > … whose members must each pass a
/// trial of probability p = (2i + t) 2^-13 as well, at least n members have probability
/// (p t)^n / n!, an even number exp(-p t). Of a trial's 2^13 equal chances 2i are true, one
/// asks whether a new uniform is below t, the rest are false. The first trial's `chance`
/// was drawn before.
#[cold]
fn is_kept<R: CryptoRng + ?Sized>(
    cell: u32,
    mut chance: u32,
    x: &mut LazyUniform,
    rng: &mut R,
) -> bool {
    let mut even = true;
    let mut last: Option<LazyUniform> = None;
    loop {
        let passes =
            chance < 2 * cell || (chance == 2 * cell && LazyUniform::draw(rng).is_below(x, rng));
        if !passes {
            return even;
        }
        let mut next = LazyUniform::draw(rng);
        if !next.is_below(last.as_mut().unwrap_or(x), rng) {
            return even;
        }
        last = Some(next);
        even = !even;
        chance = rng.next_u32() >> (u32::BITS - TRIAL_BITS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    #[test]
    fn densities_have_their_digits() {
        // exp(-i² 2^-13) 2^127 by arithmetic of 80 decimal places.
        for (cell, exact) in [
            (0, 1 << 127),
            (1, 170_120_415_540_634_113_388_516_090_070_739_110_908),
            (64, 103_195_844_248_566_597_636_880_352_756_141_321_139),
            (256, 57_076_008_518_092_391_473_538_986_661_606_287),
            (500, 9_488_414_938_294_555_974_788_247),
        ] {
            assert!(densities()[cell].abs_diff(exact) < 1 << 17, "cell {cell}");
        }
    }

    #[test]
    fn weights_are_proportional_to_the_densities_and_hardly_anything_is_drawn_again() {
        let (weights, densities) = (weights(), densities());
        assert_eq!(weights.iter().sum::<u128>(), 1 << 127);
        assert!(weights[COLUMNS - 1] < 1 << 68);
        // w_i d_0 and w_0 d_i, to the 128 bits above: both are below 2^127 2^121.
        for cell in 0..COLUMNS - 1 {
            let one = multiply_high(weights[cell], densities[0]);
            let other = multiply_high(weights[0], densities[cell]);
            assert!(one.abs_diff(other) <= 2, "cell {cell}");
        }
    }

    #[test]
    fn the_table_meets_every_weight_exactly() {
        let weights = weights();
        let table = NormalCells::of(&weights);
        let mut met = [0u128; COLUMNS];
        for column in 0..COLUMNS {
            let other = (table.columns[column] >> OTHER_SHIFT) as usize;
            met[column] += table.thresholds[column];
            met[other] += (1 << CAPACITY_BITS) - table.thresholds[column];
        }
        assert_eq!(met, weights);
    }

    #[test]
    fn a_word_at_a_threshold_is_settled_by_further_bits() {
        let table = NormalCells::shared();
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        // Half of the rest of the first column's threshold, for a word that agrees with it.
        let column = 700;
        let first = table.columns[column] & ((1 << OTHER_SHIFT) - 1);
        let other = (table.columns[column] >> OTHER_SHIFT) as u32;
        let word = |drawn: u64| ((column as u64) << (u64::BITS - COLUMN_BITS)) | drawn;
        if first > 0 {
            assert_eq!(table.cell(word(first - 1), rng), column as u32);
        }
        assert_eq!(table.cell(word(first + 1), rng), other);
        let rest = table.thresholds[column] & ((1 << REST_BITS) - 1);
        let own = (0..DRAWS)
            .filter(|_| table.cell(word(first), rng) == column as u32)
            .count();
        assert!(fits(own as u32, rest as f64 / (1u128 << REST_BITS) as f64));
    }

    const DRAWS: u32 = 400_000;

    /// Whether `hits` of [`DRAWS`] fits probability `p`; five standard deviations, so
    /// that a right sampler fails for one seed in about two million.
    fn fits(hits: u32, p: f64) -> bool {
        let expected = f64::from(DRAWS) * p;
        (f64::from(hits) - expected).abs() <= 5.0 * (expected * (1.0 - p)).sqrt()
    }

    #[test]
    fn a_place_is_kept_with_its_probability() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        for (cell, t) in [(0u32, 0.9), (3, 0.25), (64, 0.5), (300, 0.75), (1022, 1.0)] {
            let kept = (0..DRAWS)
                .filter(|_| {
                    let first = (t * 2f64.powi(64)) as u64;
                    let mut x = LazyUniform::with_digits(first, vec![]);
                    let chance = rng.next_u32() >> (u32::BITS - TRIAL_BITS);
                    is_kept(cell, chance, &mut x, rng)
                })
                .count();
            let p = (-t * (2.0 * f64::from(cell) + t) / 8192.0).exp();
            assert!(fits(kept as u32, p), "cell {cell}, t {t}: {kept}");
        }
    }

    #[test]
    fn cells_are_drawn_as_often_as_the_normal_law_says() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        let mut counts = [0u32; 6];
        let mut negative = 0;
        for _ in 0..DRAWS {
            let place = NormalCells::shared().draw(rng);
            negative += u32::from(place.negative);
            let deviations = place.cell >> CELLS_PER_DEVIATION_LOG2;
            counts[deviations.min(5) as usize] += 1;
        }
        assert!(fits(negative, 0.5));
        let tail = |x: f64| libm::erfc(x / std::f64::consts::SQRT_2);
        for (k, &count) in counts.iter().enumerate().take(5) {
            let p = tail(k as f64) - tail(k as f64 + 1.0);
            assert!(
                fits(count, p),
                "between {k} and {} deviations: {count}",
                k + 1
            );
        }
    }
}
