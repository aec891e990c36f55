//! Uniform deviates in (0, 1) of which as many binary digits are drawn as a decision
//! needs, so that every comparison is exact (Karney 2016, §2; after von Neumann and
//! Knuth & Yao).
//!
//! A "digit" here has 64 bits: a comparison needs a second one with probability 2^-64.

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
        Self {
            first: rng.next_u64(),
            rest: Vec::new(),
        }
    }

    /// A deviate whose first digits are known.
    #[cfg(test)]
    pub(crate) fn with_digits(first: u64, rest: Vec<u64>) -> Self {
        Self { first, rest }
    }

    /// Whether this deviate is below `other`; equality has probability zero.
    #[inline]
    pub(crate) fn is_below<R: CryptoRng + ?Sized>(
        &mut self,
        other: &mut Self,
        rng: &mut R,
    ) -> bool {
        if self.first == other.first {
            self.rest_is_below(other, rng)
        } else {
            self.first < other.first
        }
    }

    #[cold]
    fn rest_is_below<R: CryptoRng + ?Sized>(&mut self, other: &mut Self, rng: &mut R) -> bool {
        let mut index = 0;
        loop {
            let (own, others) = (self.rest_digit(index, rng), other.rest_digit(index, rng));
            if own != others {
                return own < others;
            }
            index += 1;
        }
    }

    /// The digit at `index` after the first, drawn now unless it was looked at before.
    fn rest_digit<R: CryptoRng + ?Sized>(&mut self, index: usize, rng: &mut R) -> u64 {
        while self.rest.len() <= index {
            self.rest.push(rng.next_u64());
        }
        self.rest.get(index).copied().unwrap_or_default()
    }

    /// The first digit.
    #[inline]
    pub(crate) fn first_digit(&self) -> u64 {
        self.first
    }

    /// All digits after the first, one after the other: those looked at before, then new
    /// ones.
    pub(crate) fn into_later_digits(self) -> Digits {
        Digits(self.rest.into_iter())
    }
}

/// The digits of a deviate after its first: a uniform deviate again.
#[derive(Debug)]
pub(crate) struct Digits(std::vec::IntoIter<u64>);

impl Digits {
    /// The next digit.
    fn next<R: CryptoRng + ?Sized>(&mut self, rng: &mut R) -> u64 {
        self.0.next().unwrap_or_else(|| rng.next_u64())
    }

    /// Whether the deviate that the digits left make up is below the fraction
    /// `numerator` / `denominator`, both under 2^63.
    pub(crate) fn are_below_fraction<R: CryptoRng + ?Sized>(
        mut self,
        numerator: u64,
        denominator: u64,
        rng: &mut R,
    ) -> bool {
        // With the next digit d and the part θ' after it, θ < n/m ⟺ θ' < (2^64 n - d m)/m.
        let m = u128::from(denominator);
        let mut n = u128::from(numerator);
        loop {
            let scaled = n << 64;
            let taken = u128::from(self.next(rng)) * m;
            if scaled <= taken {
                return false;
            }
            n = scaled - taken;
            if n >= m {
                return true;
            }
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
    fn a_tie_draws_digits_that_stay() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        let mut known = LazyUniform::with_digits(7, vec![1 << 63]);
        let mut open = LazyUniform::with_digits(7, vec![]);
        let below = open.is_below(&mut known, rng);
        for _ in 0..10 {
            assert_eq!(open.is_below(&mut known, rng), below);
            assert_eq!(known.is_below(&mut open, rng), !below);
        }
        assert_eq!(open.first_digit(), 7);
        let mut digits = open.into_later_digits();
        assert_eq!(digits.next(rng) < 1 << 63, below);
    }

    #[test]
    fn a_fraction_is_compared_exactly_however_many_digits_it_takes() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        // 1/3 = 0.5555…₁₆, so these agree with it for two digits and then differ by one.
        let third = 0x5555_5555_5555_5555;
        let mut is_below = |last: u64| {
            let deviate = LazyUniform::with_digits(0, vec![third, third, last]);
            deviate.into_later_digits().are_below_fraction(1, 3, rng)
        };
        assert!(is_below(third - 1));
        assert!(!is_below(third + 1));
    }
}
