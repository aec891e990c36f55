//! Blocks of coordinates in as few bits as their largest needs.
//!
//! A block is one byte w, then its coordinates of w bits each, the lowest bit first, filled up with
//! zero bits to a whole byte. A coordinate is written by its distance from 0 with the sign in the
//! lowest bit: 0, -1, 1, -2, ... are 0, 1, 2, 3, ... So small coordinates of both signs take few
//! bits, and w is 0 where all are 0.

/// Coordinates of a block. With 64 of them, w bits each are w whole words.
pub(super) const BLOCK: usize = 64;

/// Bytes of the longest block, its first byte included.
pub(super) const LONGEST: usize = 1 + 8 * BLOCK;

/// The place of an integer in 0, -1, 1, -2, 2, ...
fn folded(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unfolded(place: u64) -> i64 {
    (place >> 1) as i64 ^ -((place & 1) as i64)
}

/// Bits that every integer from `-largest` to `largest` can be written in.
pub(super) fn bits_for(largest: u64) -> u32 {
    // 2 · largest is the place of the positive end, and the negative end comes before it.
    u64::BITS - largest.saturating_mul(2).leading_zeros()
}

/// Bytes behind a block's first, for so many coordinates of so many bits.
pub(super) fn packed_bytes(coordinates: usize, bits: u32) -> usize {
    (coordinates * bits as usize).div_ceil(8)
}

/// Appends the block of at most [`BLOCK`] coordinates.
pub(super) fn pack(values: &[i64], to: &mut Vec<u8>) {
    let largest = values.iter().fold(0, |all, &value| all | folded(value));
    let bits = u64::BITS - largest.leading_zeros();
    let mut words = [0u64; BLOCK];
    for (i, &value) in values.iter().enumerate() {
        let (word, shift) = place(i, bits);
        let place = folded(value);
        words[word] |= place << shift;
        if shift + bits > u64::BITS {
            words[word + 1] |= place >> (u64::BITS - shift);
        }
    }
    to.push(bits as u8);
    let packed = packed_bytes(values.len(), bits);
    let mut bytes = [0; 8 * BLOCK];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    to.extend_from_slice(bytes.get(..packed).unwrap_or(&bytes));
}

/// Reads a block of as many coordinates as `values` has. `packed` are the bytes behind the first,
/// which said `bits`: [`packed_bytes`] of them.
///
/// # Errors
/// [`NotShortest`] for what [`pack`] wouldn't have written.
pub(super) fn unpack(packed: &[u8], bits: u32, values: &mut [i64]) -> Result<(), NotShortest> {
    let mut bytes = [0; 8 * BLOCK + 8];
    bytes[..packed.len()].copy_from_slice(packed);
    let mask = u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
    let mut largest = 0;
    for (i, value) in values.iter_mut().enumerate() {
        let place = from_bit(&bytes, i * bits as usize, bits) & mask;
        largest |= place;
        *value = unfolded(place);
    }
    let end = values.len() * bits as usize;
    let filling = packed.len() * 8 - end;
    let filled_up = filling > 0 && packed[packed.len() - 1] >> (8 - filling) != 0;
    if u64::BITS - largest.leading_zeros() != bits || filled_up {
        return Err(NotShortest);
    }
    Ok(())
}

/// Up to 64 bits from a bit on; those behind the first `bits` are anything.
fn from_bit(bytes: &[u8; 8 * BLOCK + 8], bit: usize, bits: u32) -> u64 {
    let (byte, shift) = (bit / 8, (bit % 8) as u32);
    let Some(word) = bytes[byte..].first_chunk() else {
        return 0;
    };
    let low = u64::from_le_bytes(*word) >> shift;
    // Nearly always the eight bytes hold all of it.
    match shift + bits > u64::BITS {
        true => low | u64::from(bytes[byte + 8]) << (u64::BITS - shift),
        false => low,
    }
}

/// A block that isn't as short as it can be, or isn't filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotShortest;

/// The word in which the `i`-th coordinate begins, and at which of its bits.
fn place(i: usize, bits: u32) -> (usize, u32) {
    let bit = i * bits as usize;
    (bit / 64, (bit % 64) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_integers_of_both_signs_have_the_first_places() {
        let places = [0, -1, 1, -2, 2].map(folded);
        assert_eq!(places, [0, 1, 2, 3, 4]);
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unfolded(folded(value)), value);
        }
    }

    #[test]
    fn bits_are_the_fewest_that_hold_both_ends() {
        for (largest, bits) in [(0, 0), (1, 2), (2, 3), (3, 3), (4, 4), (u64::MAX, 64)] {
            assert_eq!(bits_for(largest), bits, "{largest}");
        }
    }
}
