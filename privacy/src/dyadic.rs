//! A positive float, taken apart into the exact dyadic rational that it is.
//!
//! Decisions that privacy hangs on (is this norm within C? is this uniform below
//! q?) are made on these integers, never by comparing rounded floats.

/// `value` = `mantissa` · 2^`exponent`, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dyadic {
    /// Below 2^53; 2^52 or more unless the float is subnormal.
    pub(crate) mantissa: u64,
    /// The power of two of the mantissa's last bit.
    pub(crate) exponent: i32,
}

impl Dyadic {
    /// The exact value of a finite float above zero; of anything else, `None`.
    pub(crate) fn of_positive(value: f64) -> Option<Self> {
        if !(value.is_finite() && value > 0.0) {
            return None;
        }
        let bits = value.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let biased = (bits >> 52) as i32;
        Some(if biased == 0 {
            Self {
                mantissa: fraction,
                exponent: -1074,
            }
        } else {
            Self {
                mantissa: fraction | (1 << 52),
                exponent: biased - 1075,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn mantissa_and_exponent_give_the_float_back(bits in 1u64..0x7ff0_0000_0000_0000) {
            let value = f64::from_bits(bits);
            let dyadic = Dyadic::of_positive(value).unwrap();
            prop_assert!(dyadic.mantissa < 1 << 53);
            // Two factors, so that 2^-1074 need not be formed from a subnormal power.
            let half = dyadic.exponent / 2;
            let back = dyadic.mantissa as f64
                * 2f64.powi(half)
                * 2f64.powi(dyadic.exponent - half);
            prop_assert_eq!(back, value);
        }
    }

    #[test]
    fn nothing_but_finite_positive_floats_is_accepted() {
        for value in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Dyadic::of_positive(value), None);
        }
    }
}
