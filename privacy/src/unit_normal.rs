//! Exact standard normal deviates: Algorithm N of C. F. F. Karney, "Sampling exactly
//! from the normal distribution", ACM Trans. Math. Softw. 42(1), 2016.
//!
//! Only integers are compared; the result ±(k + x) has its integer part k and as many
//! digits of x as were needed, and more can be drawn. Steps are named as in the paper.

use rand::CryptoRng;

use crate::lazy_uniform::LazyUniform;

/// A standard normal deviate ±(`whole` + `fraction`).
#[derive(Debug)]
pub(crate) struct UnitNormal {
    pub(crate) negative: bool,
    /// Below [`WHOLE_LIMIT`].
    pub(crate) whole: u32,
    pub(crate) fraction: LazyUniform,
}

/// Integer parts from here up are drawn again. Their probability is below exp(-2^19) =
/// 10^-227,000, which is all that the sampler differs from the exact distribution by.
pub(crate) const WHOLE_LIMIT: u32 = 1 << 10;

impl UnitNormal {
    /// Draws one deviate (Algorithm N).
    #[inline]
    pub(crate) fn draw<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            let whole = draw_whole(rng); // N1, N2
            let mut fraction = LazyUniform::draw(rng); // N3
            // N4: exp(-x (2k + x) / 2) as k + 1 trials of its (k+1)th root.
            if (0..=whole).all(|_| accept_fraction(whole, &mut fraction, rng)) {
                let negative = rng.next_u32() >> 31 == 1; // N6
                return Self {
                    negative,
                    whole,
                    fraction,
                };
            }
        }
    }
}

/// Steps N1 and N2: an integer k >= 0 with probability proportional to exp(-k²/2).
#[inline]
fn draw_whole<R: CryptoRng + ?Sized>(rng: &mut R) -> u32 {
    loop {
        let mut k = 0;
        while k < WHOLE_LIMIT && exp_minus_half(rng) {
            k += 1;
        }
        // exp(-k (k-1) / 2)
        if k < WHOLE_LIMIT && (0..k * k.saturating_sub(1)).all(|_| exp_minus_half(rng)) {
            return k;
        }
    }
}

/// Algorithm H: true with probability exp(-1/2). A run 1/2 > U₁ > U₂ > … has at least n
/// members with probability 2^-n / n!; it has an even number with Σ (-1/2)^n / n!.
///
/// Half of all the work is done here, so the first digits are compared as bare numbers.
#[inline]
fn exp_minus_half<R: CryptoRng + ?Sized>(rng: &mut R) -> bool {
    let mut last = rng.next_u32();
    if last >> 31 == 1 {
        return true;
    }
    let mut even = false;
    loop {
        let next = rng.next_u32();
        if next >= last {
            return if next > last {
                even
            } else {
                finish_tied_run(last, even, rng)
            };
        }
        last = next;
        even = !even;
    }
}

/// The rest of a run whose last member and the next deviate have the same first digit;
/// `even` says whether it has had an even number of members so far.
#[cold]
fn finish_tied_run<R: CryptoRng + ?Sized>(digit: u32, mut even: bool, rng: &mut R) -> bool {
    let mut last = LazyUniform::starting_with(digit);
    let mut next = LazyUniform::starting_with(digit);
    while next.is_below(&mut last, rng) {
        even = !even;
        last = next;
        next = LazyUniform::draw(rng);
    }
    even
}

/// Algorithm B: true with probability exp(-x (2k + x) / (2k + 2)), for the fraction x.
#[inline]
fn accept_fraction<R: CryptoRng + ?Sized>(k: u32, x: &mut LazyUniform, rng: &mut R) -> bool {
    let mut even = true;
    let mut last: Option<LazyUniform> = None;
    loop {
        let mut next = LazyUniform::draw(rng);
        if !next.is_below(last.as_mut().unwrap_or(x), rng) || !below_root(k, x, rng) {
            return even;
        }
        last = Some(next);
        even = !even;
    }
}

/// Algorithm C's use in step B2: true with probability (2k + x) / (2k + 2). Of 2k + 2
/// equal chances 2k are true, one is false and one asks whether a new uniform is below x.
#[inline]
fn below_root<R: CryptoRng + ?Sized>(k: u32, x: &mut LazyUniform, rng: &mut R) -> bool {
    let chance = uniform_below(2 * k + 2, rng);
    chance < 2 * k || (chance == 2 * k && LazyUniform::draw(rng).is_below(x, rng))
}

/// An integer from 0 to `bound` - 1, all equally likely (Lemire 2019, with rejection).
#[inline]
fn uniform_below<R: CryptoRng + ?Sized>(bound: u32, rng: &mut R) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    const DRAWS: u32 = 400_000;

    /// Whether `hits` of [`DRAWS`] fits probability `p`; five standard deviations, so
    /// that a right sampler fails for one seed in about two million.
    fn fits(hits: u32, p: f64) -> bool {
        let expected = f64::from(DRAWS) * p;
        (f64::from(hits) - expected).abs() < 5.0 * (expected * (1.0 - p)).sqrt()
    }

    fn count(mut trial: impl FnMut() -> bool) -> u32 {
        (0..DRAWS).map(|_| u32::from(trial())).sum()
    }

    #[test]
    fn exp_minus_half_has_its_probability() {
        let rng = &mut ChaCha20Rng::seed_from_u64(10);
        assert!(fits(count(|| exp_minus_half(rng)), (-0.5f64).exp()));
    }

    #[test]
    fn a_tie_of_first_digits_goes_on_with_the_digits_after_them() {
        let rng = &mut ChaCha20Rng::seed_from_u64(14);
        // Both deviates are tiny, so that the run ends at once or right after the next
        // member: it is as likely to have one member more as not.
        let longer = count(|| finish_tied_run(0, true, rng));
        assert!(fits(longer, 0.5), "{longer}");
        // From just below 1/2, the run goes on below the tied pair like Algorithm H's:
        // an even number of further members has probability exp(-1/2).
        let even = count(|| finish_tied_run(u32::MAX >> 1, true, rng));
        let further = (-0.5f64).exp();
        assert!(fits(even, 0.5 + 0.5 * (1.0 - further)), "{even}");
    }

    #[test]
    fn the_whole_part_is_proportional_to_exp_of_minus_half_its_square() {
        let rng = &mut ChaCha20Rng::seed_from_u64(11);
        let mut counts = [0u32; 5];
        for _ in 0..DRAWS {
            if let Some(count) = counts.get_mut(draw_whole(rng) as usize) {
                *count += 1;
            }
        }
        let weight = |k: u32| (-0.5 * f64::from(k * k)).exp();
        let total: f64 = (0..20).map(weight).sum();
        for (k, &hits) in (0..).zip(&counts) {
            assert!(fits(hits, weight(k) / total), "{k}: {hits}");
        }
    }

    #[test]
    fn the_fraction_is_accepted_with_its_probability() {
        let rng = &mut ChaCha20Rng::seed_from_u64(12);
        for (k, x) in [(0, 0.75), (0, 0.1), (1, 0.5), (3, 0.9)] {
            let kf = f64::from(k);
            let p = f64::exp(-x * (2.0 * kf + x) / (2.0 * kf + 2.0));
            let digit = (x * 2f64.powi(32)) as u32;
            let hits =
                count(|| accept_fraction(k, &mut LazyUniform::with_digits(digit, vec![]), rng));
            assert!(fits(hits, p), "k = {k}, x = {x}: {hits}");
        }
    }

    #[test]
    fn integers_below_a_bound_are_equally_likely() {
        let rng = &mut ChaCha20Rng::seed_from_u64(13);
        let mut counts = [0u32; 6];
        for _ in 0..DRAWS {
            counts[uniform_below(6, rng) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&hits| fits(hits, 1.0 / 6.0)),
            "{counts:?}"
        );
    }
}
