//! The rounded Gaussian: `round(N(0, s²))` on the integers, drawn exactly but for a distance
//! in total variation that is below 2^-100 a draw.
//!
//! For an integer z, z + round(N) = round(z + N), so adding it to a lattice vector is
//! post-processing of the continuous Gaussian mechanism and costs exactly what that
//! costs. Why that is so, and why what is drawn has that law, is in
//! `privacy/proofs/rounded_gaussian.md`. No decision is made in floating point.
//!
//! A draw takes a random time, which may depend on the draw: add noise to whole vectors
//! ([`RoundedGaussian::add_to`]), so that nobody can time single coordinates
//! (Jin et al. 2022).

use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

use crate::accountant::event::NoiseMultiplier;
use crate::clip::ClippingNorm;
use crate::dyadic::Dyadic;
use crate::lattice::{LatticeError, LatticeStep};
use crate::lazy_uniform::LazyUniform;
use crate::normal_cells::{CELLS_PER_DEVIATION_LOG2, NormalCells, NormalPlace};

/// Values that one generator gives their noise: some 25 ms of drawing.
const STRETCH: usize = 1 << 20;

/// An exact sampler of `round(N(0, s²))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundedGaussian {
    standard_deviation: f64,
    /// s w = `mantissa` · 2^(64 - `shift`), for the width w of the cells in which normal
    /// deviates are drawn.
    mantissa: u64,
    /// From 77 to 126.
    shift: u32,
}

/// A standard deviation that the sampler doesn't take.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the noise would have a standard deviation of {0} lattice steps; it must be from 2^-4 to 2^45: \
     choose a lattice step nearer to the clipping norm"
)]
pub struct InvalidStandardDeviation(pub f64);

impl RoundedGaussian {
    /// The sampler for standard deviation `s`, in lattice steps, 2^-4 <= s <= 2^45.
    ///
    /// # Errors
    /// [`InvalidStandardDeviation`] outside that range.
    pub fn new(s: f64) -> Result<Self, InvalidStandardDeviation> {
        const SMALLEST: f64 = 1.0 / (1 << 4) as f64;
        const LARGEST: f64 = (1u64 << 45) as f64;
        let dyadic = Dyadic::of_positive(s)
            .filter(|_| (SMALLEST..=LARGEST).contains(&s))
            .ok_or(InvalidStandardDeviation(s))?;
        // The exponent is from -56 (s = 2^-4) to -7 (s = 2^45).
        let shift = 64 + dyadic.exponent.unsigned_abs() + CELLS_PER_DEVIATION_LOG2;
        Ok(Self {
            standard_deviation: s,
            mantissa: dyadic.mantissa,
            shift,
        })
    }

    /// The sampler for the Gaussian mechanism with noise multiplier σ and clipping norm
    /// C on a lattice of step γ: s = σ C / γ, never rounded down.
    ///
    /// # Errors
    /// [`InvalidStandardDeviation`] if s isn't from 2^-4 to 2^45.
    pub fn for_mechanism(
        noise_multiplier: NoiseMultiplier,
        clipping_norm: ClippingNorm,
        step: LatticeStep,
    ) -> Result<Self, InvalidStandardDeviation> {
        Self::new(least_standard_deviation(
            noise_multiplier,
            clipping_norm,
            step,
        ))
    }

    /// s, in lattice steps.
    pub fn standard_deviation(&self) -> f64 {
        self.standard_deviation
    }

    /// Draws one integer.
    #[inline]
    pub fn sample<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> i64 {
        self.sample_from(NormalCells::shared(), rng)
    }

    /// Adds an independent draw to every value.
    ///
    /// A long vector's stretches of 2^20 values have generators of their own, each with 256 bits
    /// of `rng` as its seed, so that they can be drawn side by side. Where they begin depends on the vector's
    /// length alone: a seeded run has the same noise on any number of threads.
    ///
    /// # Errors
    /// [`LatticeError::SumOverflow`] where a value leaves 64 bits, the first one; the values are then
    /// noised in part and must be thrown away.
    pub fn add_to<R: CryptoRng + ?Sized>(
        &self,
        values: &mut [i64],
        rng: &mut R,
    ) -> Result<(), LatticeError> {
        if values.len() <= STRETCH {
            return self.add_from(0, values, rng);
        }
        let stretches: Vec<_> = values
            .chunks_mut(STRETCH)
            .map(|stretch| (stretch, ChaCha20Rng::from_rng(rng)))
            .collect();
        let noised: Vec<Result<(), LatticeError>> = stretches
            .into_par_iter()
            .enumerate()
            .map(|(index, (stretch, mut rng))| self.add_from(index * STRETCH, stretch, &mut rng))
            .collect();
        noised.into_iter().collect()
    }

    /// [`Self::add_to`] of the values of a vector from place `first` on, one after the other.
    fn add_from<R: CryptoRng + ?Sized>(
        &self,
        first: usize,
        values: &mut [i64],
        rng: &mut R,
    ) -> Result<(), LatticeError> {
        let cells = NormalCells::shared();
        for (index, value) in values.iter_mut().enumerate() {
            let noise = self.sample_from(cells, rng);
            *value = value.checked_add(noise).ok_or(LatticeError::SumOverflow {
                index: first + index,
            })?;
        }
        Ok(())
    }

    #[inline]
    fn sample_from<R: CryptoRng + ?Sized>(&self, cells: &NormalCells, rng: &mut R) -> i64 {
        let place = cells.draw(rng);
        let negative = place.negative;
        let magnitude = self.round_scaled(place, rng);
        if negative { -magnitude } else { magnitude }
    }

    /// floor(s (i + t) w + 1/2) for the magnitude (i + t) w of a deviate, exactly.
    ///
    /// With X the first 64 bits of t and θ the rest of it, s w (i + t) + 1/2 is
    /// (m (i 2^64 + X + θ) + 2^(shift-1)) / 2^shift, so that only whether θ brings the
    /// numerator past a multiple of 2^shift is open, and more digits decide that.
    #[inline]
    fn round_scaled<R: CryptoRng + ?Sized>(&self, place: NormalPlace, rng: &mut R) -> i64 {
        let m = u128::from(self.mantissa);
        // i < 2^10 and m < 2^53: below 2^127, and the half at most 2^125.
        let position = (u128::from(place.cell) << 64) | u128::from(place.fraction.first_digit());
        let lowest = m * position + (1 << (self.shift - 1));
        let floor = lowest >> self.shift;
        let highest_floor = (lowest + (m - 1)) >> self.shift;
        // At most 2^39 · 2^10.
        if floor == highest_floor {
            return floor as i64;
        }
        // Past the multiple ⟺ m θ >= missing, where 0 < missing < m.
        let missing = ((highest_floor << self.shift) - lowest) as u64;
        if self.stays_below(missing, place.fraction, rng) {
            floor as i64
        } else {
            highest_floor as i64
        }
    }

    /// Whether m θ < `missing` for the digits θ of `fraction` after its first.
    #[cold]
    fn stays_below<R: CryptoRng + ?Sized>(
        &self,
        missing: u64,
        fraction: LazyUniform,
        rng: &mut R,
    ) -> bool {
        let digits = fraction.into_later_digits();
        digits.are_below_fraction(missing, self.mantissa, rng)
    }
}

/// σ C / γ, rounded up: the least standard deviation, in lattice steps, that gives the
/// Gaussian mechanism its noise multiplier σ.
pub(crate) fn least_standard_deviation(
    noise_multiplier: NoiseMultiplier,
    clipping_norm: ClippingNorm,
    step: LatticeStep,
) -> f64 {
    // Dividing by a power of two is exact, so that only the product is rounded.
    (noise_multiplier.get() * clipping_norm.get()).next_up() * step.reciprocal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    fn round(s: f64, cell: u32, digits: [u64; 3]) -> i64 {
        let place = NormalPlace {
            negative: false,
            cell,
            fraction: LazyUniform::with_digits(digits[0], digits[1..].to_vec()),
        };
        let rng = &mut ChaCha20Rng::seed_from_u64(0);
        RoundedGaussian::new(s).unwrap().round_scaled(place, rng)
    }

    #[test]
    fn standard_deviations_out_of_range_are_refused() {
        for s in [
            0.0,
            -1.0,
            2f64.powi(-5),
            2f64.powi(46),
            f64::NAN,
            f64::INFINITY,
        ] {
            assert!(RoundedGaussian::new(s).is_err(), "{s}");
        }
        assert!(RoundedGaussian::new(2f64.powi(-4)).is_ok());
        assert!(RoundedGaussian::new(2f64.powi(45)).is_ok());
    }

    #[test]
    fn the_largest_deviate_and_deviation_stay_within_the_integers() {
        let largest = 2f64.powi(45);
        assert_eq!(round(largest, 1023, [u64::MAX; 3]), 1 << 49);
        let just_below = largest * (1.0 - 2f64.powi(-49));
        assert_eq!(round(just_below, 1023, [u64::MAX; 3]), (1 << 49) - 1);
        assert_eq!(round(2f64.powi(-4), 0, [0; 3]), 0);
    }

    #[test]
    fn noise_for_a_mechanism_is_never_less_than_its_multiplier_asks_for() {
        let sigma = NoiseMultiplier::try_from(1.1).unwrap();
        let c = ClippingNorm::try_from(0.3).unwrap();
        let step = LatticeStep::for_clipping_norm(c);
        let s = RoundedGaussian::for_mechanism(sigma, c, step)
            .unwrap()
            .standard_deviation();
        assert!(s * step.get() / c.get() >= 1.1);
        assert!(s * step.get() / c.get() < 1.1 + 1e-12);
    }

    fn noise_of(len: usize, threads: usize) -> Vec<i64> {
        let noise = RoundedGaussian::new(1e6).unwrap();
        let mut values = vec![0; len];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let rng = &mut ChaCha20Rng::seed_from_u64(11);
        let drawn = pool.unwrap().install(|| noise.add_to(&mut values, rng));
        drawn.unwrap();
        values
    }

    #[test]
    fn a_long_vectors_noise_is_the_same_on_any_number_of_threads() {
        let len = 3 * STRETCH + 5;
        let one = noise_of(len, 1);
        assert_eq!(noise_of(len, 3), one);
        // No two stretches have the same noise, nor that which the generator itself would give.
        let alone = noise_of(STRETCH, 1);
        let stretches: Vec<&[i64]> = one.chunks(STRETCH).chain([&alone[..]]).collect();
        for (i, a) in stretches.iter().enumerate() {
            for b in &stretches[i + 1..] {
                let equal = a.iter().zip(*b).filter(|(x, y)| x == y).count();
                // Two independent draws are equal once in about 3.5 million.
                assert!(equal < 20, "{i}: {equal} equal");
            }
        }
    }

    #[test]
    fn a_long_sum_that_overflows_says_where() {
        let wide = RoundedGaussian::new(2f64.powi(40)).unwrap();
        let rng = &mut ChaCha20Rng::seed_from_u64(5);
        let mut values = vec![0; 2 * STRETCH];
        values[STRETCH + 7..].fill(i64::MAX);
        let Err(LatticeError::SumOverflow { index }) = wide.add_to(&mut values, rng) else {
            panic!("nothing overflowed");
        };
        assert!((STRETCH + 7..STRETCH + 71).contains(&index), "{index}");
    }

    #[test]
    fn a_sum_that_overflows_is_an_error() {
        let noise = RoundedGaussian::new(2f64.powi(40)).unwrap();
        let rng = &mut ChaCha20Rng::seed_from_u64(5);
        let mut values = [i64::MAX; 64];
        assert!(matches!(
            noise.add_to(&mut values, rng),
            Err(LatticeError::SumOverflow { .. })
        ));
    }

    proptest! {
        /// Digits just below and just above a rounding boundary (j - 1/2) / (s w), found by
        /// long division, must round to j - 1 and j, though their first 128 bits agree.
        #[test]
        fn rounding_is_exact_beyond_the_first_bits(s in 1e9f64..3e13, cell in 0u32..1023, part: f64) {
            let dyadic = Dyadic::of_positive(s).unwrap();
            let m = u128::from(dyadic.mantissa);
            // 2^(6-e-1) (2j - 1) = m (cell + t)
            let unit = 1u128 << (6 - dyadic.exponent - 1);
            let inside = part.abs().fract();
            prop_assume!(inside.is_finite());
            let twice_j = 2 * ((f64::from(cell) + inside) * (s / 64.0)) as u128 + 3;
            let numerator = unit * twice_j;
            let mut remainder = numerator.wrapping_sub(m * u128::from(cell));
            prop_assume!(numerator > m * u128::from(cell) && remainder < m);
            let mut digits = [0u64; 3];
            for digit in &mut digits {
                *digit = ((remainder << 64) / m) as u64;
                remainder = (remainder << 64) % m;
            }
            prop_assume!(remainder > 0 && digits[2] < u64::MAX && digits[2] > 0);
            let j = twice_j.div_ceil(2) as i64;
            // The drawn digits after these could only matter at the very last of them.
            let [.., last] = digits;
            digits[2] = last + 1;
            prop_assert_eq!(round(s, cell, digits), j);
            digits[2] = last - 1;
            prop_assert_eq!(round(s, cell, digits), j - 1);
        }
    }
}
