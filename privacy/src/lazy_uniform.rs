//! Uniform deviates in (0, 1) of which as many binary digits are drawn as a decision
//! needs, so that every comparison is exact (Karney 2016, §2; after von Neumann and
//! Knuth & Yao).
//!
//! A "digit" here has 64 bits: a second one is needed with probability 2^-64.

use rand::CryptoRng;

/// A uniform deviate whose digits are drawn when they are first looked at.
#[derive(Debug)]
pub(crate) struct LazyUniform {
    first: u64,
    /// Digits after the first; empty, and so without an allocation, nearly always.
    rest: Vec<u64>,
}

impl LazyUniform {
    /// A new deviate with one digit drawn.
    #[inline]
    pub(crate) fn draw<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self { first: rng.next_u64(), rest: Vec::new() }
    }

    /// A deviate whose first digits are known.
    #[cfg(test)]
    pub(crate) fn with_digits(first: u64, rest: Vec<u64>) -> Self {
        Self { first, rest }
    }

    /// The first digit: the deviate is in [first, first + 1] · 2^-64.
    #[inline]
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The digit at `index`, drawn now unless it was looked at before.
    pub(crate) fn digit<R: CryptoRng + ?Sized>(&mut self, index: usize, rng: &mut R) -> u64 {
        let Some(index) = index.checked_sub(1) else { return self.first };
        while self.rest.len() <= index {
            self.rest.push(rng.next_u64());
        }
        self.rest.get(index).copied().unwrap_or_default()
    }

    /// Whether this deviate is below `other`; equality has probability zero.
    #[inline]
    pub(crate) fn is_below<R: CryptoRng + ?Sized>(&mut self, other: &mut Self, rng: &mut R) -> bool {
        if self.first == other.first { self.tail_is_below(other, rng) } else { self.first < other.first }
    }

    #[cold]
    fn tail_is_below<R: CryptoRng + ?Sized>(&mut self, other: &mut Self, rng: &mut R) -> bool {
        let mut index = 1;
        loop {
            let (own, others) = (self.digit(index, rng), other.digit(index, rng));
            if own != others {
                return own < others;
            }
            index += 1;
        }
    }

    /// Whether the deviate's part after its first `skip` digits, itself a uniform
    /// deviate, is below the fraction `numerator` / `denominator`, both under 2^63.
    pub(crate) fn tail_is_below_fraction<R: CryptoRng + ?Sized>(
        &mut self,
        skip: usize,
        numerator: u64,
        denominator: u64,
        rng: &mut R,
    ) -> bool {
        // With the next digit d and the part θ' after it, θ < n/m ⟺ θ' < (2^64 n - d m)/m.
        let m = u128::from(denominator);
        let mut n = u128::from(numerator);
        let mut index = skip;
        loop {
            let scaled = n << 64;
            let taken = u128::from(self.digit(index, rng)) * m;
            if scaled <= taken {
                return false;
            }
            n = scaled - taken;
            if n >= m {
                return true;
            }
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    #[test]
    fn ties_are_broken_by_later_digits() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let mut low = LazyUniform::with_digits(7, vec![5, 1]);
        let mut high = LazyUniform::with_digits(7, vec![5, 2]);
        assert!(low.is_below(&mut high, rng));
        assert!(!high.is_below(&mut low, rng));
    }

    #[test]
    fn a_digit_once_seen_stays() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        let mut deviate = LazyUniform::draw(rng);
        let third = deviate.digit(3, rng);
        assert_eq!(deviate.digit(0, rng), deviate.first());
        assert_eq!(deviate.digit(3, rng), third);
    }

    #[test]
    fn a_fraction_is_compared_exactly_however_many_digits_it_takes() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        // 1/3 = 0.5555…₁₆, so these agree with it for two digits and then differ by one.
        let third = 0x5555_5555_5555_5555;
        let mut below = LazyUniform::with_digits(third, vec![third, third - 1]);
        let mut above = LazyUniform::with_digits(third, vec![third, third + 1]);
        assert!(below.tail_is_below_fraction(0, 1, 3, rng));
        assert!(!above.tail_is_below_fraction(0, 1, 3, rng));
        assert!(below.tail_is_below_fraction(2, 1, 3, rng));
    }
}
