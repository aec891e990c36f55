//! Lattice vectors as bytes, in blocks of 64 coordinates (`packing.rs`). A vector has exactly one
//! encoding: no block is longer than it has to be.
//!
//! A coordinate of a sum of clipped gradients is far smaller than the range that the clipping norm
//! leaves it: among a million coordinates, a thousandth of the norm is much. So each block takes
//! what its own largest coordinate needs. [`Coordinates`] reads them back block by block, so that
//! nobody has to hold a whole vector to look at it or to add it to another.

use std::io::{self, Read};

use rayon::prelude::*;

use super::packing::{BLOCK, LONGEST, bits_for, pack, packed_bytes, unpack};
use super::vector::LatticeVector;

/// The most bytes that `len` coordinates from `-largest` to `largest` take.
pub fn longest_encoding(len: usize, largest: u64) -> u64 {
    let bits = bits_for(largest);
    let full = (1 + packed_bytes(BLOCK, bits)) as u64;
    let rest = len % BLOCK;
    let last = if rest == 0 {
        0
    } else {
        1 + packed_bytes(rest, bits) as u64
    };
    ((len / BLOCK) as u64)
        .saturating_mul(full)
        .saturating_add(last)
}

/// Bytes that aren't the encoding of a vector of the expected length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEncoding {
    /// They end in the middle.
    #[error(
        "it ends behind coordinate {index} of {len}; it is cut off or belongs to another model"
    )]
    CutOff {
        /// Coordinates that are there.
        index: usize,
        /// Coordinates that should be.
        len: usize,
    },
    /// They go on behind the last coordinate.
    #[error("it goes on behind its {len} coordinates; it belongs to another model")]
    TooLong {
        /// Coordinates that should be there.
        len: usize,
    },
    /// A block says that its coordinates have more than 64 bits.
    #[error("its coordinates from {index} on are said to have {bits} bits each; 64 is the most")]
    Bits {
        /// The block's first coordinate.
        index: usize,
        /// What it says.
        bits: u8,
    },
    /// A block could be shorter.
    #[error("its coordinates from {index} on aren't written in the one way that there is")]
    NotShortest {
        /// The block's first coordinate.
        index: usize,
    },
}

/// Why coordinates can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Whatever they are read from failed.
    #[error("the update can't be read: {0}")]
    Io(#[from] io::Error),
    /// They aren't what they should be.
    #[error(transparent)]
    Bad(#[from] BadEncoding),
}

/// The coordinates of an encoded vector, a block at a time.
#[derive(Debug)]
pub struct Coordinates<R> {
    input: R,
    len: usize,
    /// Coordinates handed out so far.
    done: usize,
    block: [i64; BLOCK],
}

impl<R: Read> Coordinates<R> {
    /// Reads `len` coordinates from `input`, which should be buffered: every read is short.
    pub fn new(input: R, len: usize) -> Self {
        Self {
            input,
            len,
            done: 0,
            block: [0; BLOCK],
        }
    }

    /// The next coordinates, and the place of the first of them. `None` behind the last, once it is
    /// certain that nothing follows.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn next_block(&mut self) -> Result<Option<(usize, &[i64])>, ReadError> {
        let (index, len) = (self.done, self.len);
        let count = BLOCK.min(len - index);
        if count == 0 {
            return if self.input.read(&mut [0])? == 0 {
                Ok(None)
            } else {
                Err(BadEncoding::TooLong { len }.into())
            };
        }
        let cut_off = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Bad(BadEncoding::CutOff { index, len }),
            _ => ReadError::Io(error),
        };
        let mut packed = [0; LONGEST];
        self.input.read_exact(&mut packed[..1]).map_err(cut_off)?;
        let bits = packed[0];
        if u32::from(bits) > u64::BITS {
            return Err(BadEncoding::Bits { index, bits }.into());
        }
        let packed = &mut packed[1..][..packed_bytes(count, bits.into())];
        self.input.read_exact(packed).map_err(cut_off)?;
        let values = &mut self.block[..count];
        unpack(packed, bits.into(), values).map_err(|_| BadEncoding::NotShortest { index })?;
        self.done += count;
        Ok(Some((index, &self.block[..count])))
    }
}

/// Coordinates that are encoded side by side with others: whole blocks.
const STRETCH: usize = BLOCK << 14;

fn encode_blocks(values: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in values.chunks(BLOCK) {
        pack(block, &mut bytes);
    }
    bytes
}

impl LatticeVector {
    /// The vector's one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let stretches = self.values().par_chunks(STRETCH);
        let encoded: Vec<Vec<u8>> = stretches.map(encode_blocks).collect();
        // Most vectors are one stretch, which needn't be copied.
        match <[Vec<u8>; 1]>::try_from(encoded) {
            Ok([bytes]) => bytes,
            Err(several) => several.concat(),
        }
    }

    /// Reads `len` coordinates. Memory is taken as they come, whatever `len` says.
    ///
    /// # Errors
    /// [`BadEncoding`] for anything but the encoding of such a vector.
    pub fn decode(bytes: &[u8], len: usize) -> Result<Self, BadEncoding> {
        let mut coordinates = Coordinates::new(bytes, len);
        let mut values = Vec::new();
        loop {
            match coordinates.next_block() {
                Ok(Some((_, block))) => values.extend_from_slice(block),
                Ok(None) => return Ok(Self::from_values(values)),
                Err(ReadError::Bad(bad)) => return Err(bad),
                // A slice of memory doesn't fail; if it did, the rest would be missing.
                Err(ReadError::Io(_)) => {
                    let index = values.len();
                    return Err(BadEncoding::CutOff { index, len });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Vectors whose coordinates are large here and small there.
    fn uneven() -> impl Strategy<Value = Vec<i64>> {
        let coordinate = (any::<i64>(), 0u32..64).prop_map(|(value, shift)| value >> shift);
        let run = (0u32..64, proptest::collection::vec(coordinate, 1..90))
            .prop_map(|(shift, values)| values.into_iter().map(move |v| v >> shift).collect());
        proptest::collection::vec(run, 0..4).prop_map(|runs: Vec<Vec<i64>>| runs.concat())
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(values in uneven()) {
            let largest = values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
            let vector = LatticeVector::from_values(values);
            let bytes = vector.encode();
            prop_assert!(bytes.len() as u64 <= longest_encoding(vector.len(), largest));
            prop_assert_eq!(LatticeVector::decode(&bytes, vector.len()).unwrap(), vector);
        }

        #[test]
        fn bytes_that_decode_are_the_one_encoding_of_their_vector(
            values in uneven(), at: proptest::sample::Index, to: u8,
        ) {
            let mut bytes = LatticeVector::from_values(values.clone()).encode();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            if let Ok(vector) = LatticeVector::decode(&bytes, values.len()) {
                prop_assert_eq!(vector.encode(), bytes);
            }
        }

        #[test]
        fn random_bytes_are_refused_or_are_the_one_encoding(bytes: Vec<u8>, len in 0usize..200) {
            if let Ok(vector) = LatticeVector::decode(&bytes, len) {
                prop_assert_eq!(vector.encode(), bytes);
            }
        }

        #[test]
        fn at_another_length_nothing_but_zeros_at_the_end_comes_or_goes(
            values in uneven(), other in 0usize..300,
        ) {
            let bytes = LatticeVector::from_values(values.clone()).encode();
            if let Ok(read) = LatticeVector::decode(&bytes, other) {
                let both = other.min(values.len());
                prop_assert_eq!(&read.values()[..both], &values[..both]);
                let zeros = read.values()[both..].iter().chain(&values[both..]);
                prop_assert!(zeros.into_iter().all(|&value| value == 0));
            }
        }
    }

    #[test]
    fn stretches_of_a_long_vector_are_encoded_as_one() {
        let values: Vec<i64> = (0..2 * STRETCH as i64 + 70).map(|i| i % 97 - 48).collect();
        let bytes = LatticeVector::from_values(values.clone()).encode();
        assert_eq!(bytes, encode_blocks(&values));
    }

    #[test]
    fn the_longest_encoding_is_that_of_a_vector_at_the_end_of_its_range() {
        for len in [0, 1, 63, 64, 65, 200] {
            for largest in [0, 1, 2, 127, 1 << 25, i64::MAX as u64] {
                let vector = LatticeVector::from_values(vec![largest as i64; len]);
                let longest = longest_encoding(len, largest);
                assert_eq!(vector.encode().len() as u64, longest, "{len} {largest}");
            }
        }
        assert_eq!(longest_encoding(usize::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_block_takes_what_its_own_largest_coordinate_needs() {
        let mut values = vec![0; 192];
        values[70] = -4;
        values[130] = 1 << 20;
        let bytes = LatticeVector::from_values(values).encode();
        // One byte for 64 zeros; 3 bits each, since -4 is the seventh integer; 22 bits each.
        assert_eq!(bytes.len(), 1 + (1 + 8 * 3) + (1 + 8 * 22));
    }

    #[test]
    fn what_is_wrong_with_bytes_is_said_with_the_place() {
        let bytes = LatticeVector::from_values(vec![5; 100]).encode();
        let refused = |bytes: &[u8]| LatticeVector::decode(bytes, 100).unwrap_err();
        let cut_off = BadEncoding::CutOff {
            index: 64,
            len: 100,
        };
        assert_eq!(refused(&bytes[..bytes.len() - 1]), cut_off);
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(refused(&longer), BadEncoding::TooLong { len: 100 });
        let wide = [&[65], &bytes[1..]].concat();
        assert_eq!(refused(&wide), BadEncoding::Bits { index: 0, bits: 65 });
        let roomy = [&[3, 0b001][..], &[0; 23]].concat();
        assert_eq!(
            LatticeVector::decode(&roomy, 64),
            Err(BadEncoding::NotShortest { index: 0 })
        );
        // Two coordinates of two bits; a bit is set in what fills the byte up.
        assert_eq!(
            LatticeVector::decode(&[2, 0b0001_1010], 2),
            Err(BadEncoding::NotShortest { index: 0 })
        );
        assert!(LatticeVector::decode(&[2, 0b0000_1010], 2).is_ok());
    }
}
