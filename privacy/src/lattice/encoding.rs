//! Lattice vectors as bytes: each coordinate in two's complement, little-endian, of
//! one fixed width from 1 to 8 bytes. A vector has exactly one encoding.

use crate::lattice::LatticeError;
use crate::lattice::vector::LatticeVector;

/// The fewest bytes in which every integer from -`max_abs` to `max_abs` fits; 8 for
/// everything from 2^55 up.
pub fn width_for(max_abs: u64) -> usize {
    // One bit more than the magnitude, for the sign.
    let bits = u64::BITS - max_abs.leading_zeros() + 1;
    (bits.div_ceil(8) as usize).min(8)
}

impl LatticeVector {
    /// The vector as `len * width` bytes.
    ///
    /// # Errors
    /// [`LatticeError::InvalidWidth`] unless 1 <= `width` <= 8;
    /// [`LatticeError::TooWide`] for a coordinate that doesn't fit.
    pub fn encode(&self, width: usize) -> Result<Vec<u8>, LatticeError> {
        check_width(width)?;
        let mut bytes = Vec::with_capacity(self.len().saturating_mul(width));
        for (index, &value) in self.values().iter().enumerate() {
            if sign_extend(value, width) != value {
                return Err(LatticeError::TooWide {
                    index,
                    value,
                    width,
                });
            }
            bytes.extend(value.to_le_bytes().iter().take(width));
        }
        Ok(bytes)
    }

    /// Reads `expected_len` coordinates of `width` bytes each.
    ///
    /// # Errors
    /// [`LatticeError::InvalidWidth`] unless 1 <= `width` <= 8;
    /// [`LatticeError::WrongByteLength`] unless there are exactly as many bytes as that.
    pub fn decode(bytes: &[u8], width: usize, expected_len: usize) -> Result<Self, LatticeError> {
        check_width(width)?;
        if expected_len.checked_mul(width) != Some(bytes.len()) {
            return Err(LatticeError::WrongByteLength {
                bytes: bytes.len(),
                expected_len,
                width,
            });
        }
        let values = bytes.chunks_exact(width).map(|chunk| {
            let mut whole = [0; 8];
            for (to, &from) in whole.iter_mut().zip(chunk) {
                *to = from;
            }
            sign_extend(i64::from_le_bytes(whole), width)
        });
        Ok(Self::from_values(values.collect()))
    }
}

fn check_width(width: usize) -> Result<(), LatticeError> {
    if (1..=8).contains(&width) {
        Ok(())
    } else {
        Err(LatticeError::InvalidWidth(width))
    }
}

/// The integer whose two's complement is the lowest `width` bytes of `value`.
fn sign_extend(value: i64, width: usize) -> i64 {
    let unused = 64 - 8 * width as u32;
    (value << unused) >> unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself_at_the_width_of_its_largest(values: Vec<i64>) {
            let largest = values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
            let width = width_for(largest);
            let vector = LatticeVector::from_values(values);
            let bytes = vector.encode(width).unwrap();
            prop_assert_eq!(bytes.len(), vector.len() * width);
            prop_assert_eq!(LatticeVector::decode(&bytes, width, vector.len()).unwrap(), vector);
        }

        #[test]
        fn any_bytes_of_the_right_length_decode_and_encode_back(
            width in 1usize..=8, len in 0usize..20, seed: [u8; 32],
        ) {
            let bytes: Vec<u8> = (0..width * len).map(|i| seed[i % 32].wrapping_add(i as u8)).collect();
            let vector = LatticeVector::decode(&bytes, width, len).unwrap();
            prop_assert_eq!(vector.encode(width).unwrap(), bytes);
        }

        #[test]
        fn a_width_is_the_least_that_fits(magnitude in 1u64..1 << 62) {
            let width = width_for(magnitude);
            let values = LatticeVector::from_values(vec![magnitude as i64, -(magnitude as i64)]);
            prop_assert!(values.encode(width).is_ok());
            prop_assert!(width == 1 || values.encode(width - 1).is_err());
        }
    }

    #[test]
    fn bytes_are_little_endian_two_s_complement() {
        let vector = LatticeVector::from_values(vec![1, -1, 0x0102]);
        assert_eq!(vector.encode(2).unwrap(), [1, 0, 255, 255, 2, 1]);
    }

    #[test]
    fn wrong_widths_lengths_and_values_are_refused() {
        let vector = LatticeVector::from_values(vec![0, 128]);
        assert!(matches!(
            vector.encode(1),
            Err(LatticeError::TooWide { index: 1, .. })
        ));
        assert!(LatticeVector::from_values(vec![-128]).encode(1).is_ok());
        for width in [0, 9, usize::MAX] {
            assert_eq!(vector.encode(width), Err(LatticeError::InvalidWidth(width)));
            assert!(LatticeVector::decode(&[], width, 0).is_err());
        }
        assert!(LatticeVector::decode(&[0; 7], 4, 2).is_err());
        assert!(LatticeVector::decode(&[0; 8], 4, 1).is_err());
        assert!(LatticeVector::decode(&[0; 8], 4, usize::MAX).is_err());
    }

    #[test]
    fn widths_grow_where_a_sign_bit_no_longer_fits() {
        let cases = [
            (0, 1),
            (127, 1),
            (128, 2),
            (32_767, 2),
            (32_768, 3),
            ((1 << 55) - 1, 7),
        ];
        for (magnitude, width) in cases {
            assert_eq!(width_for(magnitude), width, "{magnitude}");
        }
        assert_eq!(width_for(1 << 55), 8);
        assert_eq!(width_for(u64::MAX), 8);
    }
}
