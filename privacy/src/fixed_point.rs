//! Fractions of 2^128 in `u128`: as much of arithmetic as the sampler's table needs, with
//! errors that are counted rather than hoped to be small.

/// floor(a b / 2^128).
pub(crate) const fn multiply_high(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low) = (a >> 64, a & LOW);
    let (b_high, b_low) = (b >> 64, b & LOW);
    let cross = a_high * b_low;
    // Each term is at most (2^64 - 1)², which leaves room for two carries of 64 bits.
    let middle = ((a_low * b_low) >> 64) + a_low * b_high + (cross & LOW);
    a_high * b_high + (cross >> 64) + (middle >> 64)
}

/// exp(-2^-`shift`) 2^128 for `shift` from 1 to 100, to within 64 units.
///
/// The alternating series of 1 - exp(-y), each of whose terms is the one before, times y, by
/// an integer; at most 32 terms are not zero, and each is short of its true value by less
/// than two units.
pub(crate) const fn exp_minus_power_of_half(shift: u32) -> u128 {
    let mut term = 1 << (128 - shift);
    let mut decrease: u128 = 0;
    let mut count = 1;
    while term > 0 {
        if count % 2 == 1 {
            decrease += term;
        } else {
            decrease -= term;
        }
        count += 1;
        term = (term >> shift) / count;
    }
    // 2^128 - decrease, where 0 < decrease < 2^128.
    decrease.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_high_half_of_a_product_is_that_of_long_multiplication(a: u128, b: u128) {
            // Digits of 32 bits, as on paper.
            let digits = |n: u128| (0..4).map(move |i| (n >> (32 * i)) & 0xffff_ffff);
            let mut columns = [0u128; 8];
            for (i, x) in digits(a).enumerate() {
                for (j, y) in digits(b).enumerate() {
                    columns[i + j] += x * y;
                }
            }
            let mut carry = 0;
            for column in &mut columns {
                *column += carry;
                carry = *column >> 32;
                *column &= 0xffff_ffff;
            }
            let high = columns[4..].iter().rev().fold(0, |sum, digit| (sum << 32) | digit);
            prop_assert_eq!(multiply_high(a, b), high);
        }
    }

    #[test]
    fn the_exponential_has_its_digits() {
        // exp(-1/2) 2^128 and exp(-2^-13) 2^128, by arithmetic of 60 decimal places.
        for (shift, exact) in [
            (1, 206_391_688_497_133_195_273_760_705_512_282_642_279),
            (13, 340_240_831_081_268_226_777_032_180_141_478_221_817),
        ] {
            assert!(
                exp_minus_power_of_half(shift).abs_diff(exact) <= 64,
                "{shift}"
            );
        }
    }
}
