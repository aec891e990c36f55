//! Loops over slices in the widest instructions that the processor has.
//!
//! Loops over several slices at a time count places. An iterator of pairs (`zip`) is made by a function that the compiler
//! inlines or not, by how it cuts the crate; where it doesn't, sums go through memory, at half the speed or less.

use super::instructions::Instructions;

/// Runs `work`, compiled once for each instruction set, in the best that there is. Whatever it
/// calls must be inlined into it.
#[inline(always)]
pub(super) fn widely<W: FnOnce() -> R, R>(work: W) -> R {
    Instructions::used().dispatch(work)
}

/// Partial sums that are kept side by side: two registers of AVX2, one of AVX-512. Rows are short,
/// so that more cost more to fold than they save (measured on AVX2: of 64 numbers, three times).
const LANES: usize = 16;

/// Σ f(xᵢ, yᵢ), in [`LANES`] partial sums.
#[inline(always)]
fn sum_by_lanes(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (x_chunks, x_rest) = x.as_chunks::<LANES>();
    let (y_chunks, y_rest) = y.as_chunks::<LANES>();
    let count = x_chunks.len().min(y_chunks.len());
    let (x_chunks, y_chunks) = (&x_chunks[..count], &y_chunks[..count]);
    for chunk in 0..count {
        for lane in 0..LANES {
            lanes[lane] += f(x_chunks[chunk][lane], y_chunks[chunk][lane]);
        }
    }
    let left = x_rest.len().min(y_rest.len()).min(LANES);
    let (x_rest, y_rest) = (&x_rest[..left], &y_rest[..left]);
    for lane in 0..left {
        lanes[lane] += f(x_rest[lane], y_rest[lane]);
    }
    fold(lanes, |x, y| x + y)
}

/// Folds partial results by halves: one after the other, each would wait for the one before.
#[inline(always)]
fn fold(mut lanes: [f32; LANES], both: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = both(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Σ xᵢ.
#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    sum_by_lanes(x, x, |x, _| x)
}

/// Σ xᵢ yᵢ.
#[inline(always)]
pub(super) fn dot(x: &[f32], y: &[f32]) -> f32 {
    sum_by_lanes(x, y, |x, y| x * y)
}

/// The largest number, ignoring NaN; -∞ for none.
#[inline(always)]
pub(super) fn maximum(x: &[f32]) -> f32 {
    let larger = |x: f32, y: f32| if y > x { y } else { x };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    let rest = &rest[..rest.len().min(LANES)];
    for lane in 0..rest.len() {
        lanes[lane] = larger(lanes[lane], rest[lane]);
    }
    fold(lanes, larger)
}

/// exp(-u) for u >= 0, to a relative 2e-7; 0 far out, NaN for NaN.
#[inline(always)]
pub(super) fn exp_of_negative(u: f32) -> f32 {
    // 1.5 * 2^23: adding it rounds to the nearest integer, left in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LEAST: f32 = -126.0;
    let exponent = -u * std::f32::consts::LOG2_E;
    let power = if exponent < LEAST { LEAST } else { exponent };
    let shifted = power + ROUND;
    let whole = shifted - ROUND;
    let f = (power - whole) * std::f32::consts::LN_2;
    // Taylor's series of e^f for |f| <= ln(2) / 2.
    let series = 1.0
        + f * (1.0
            + f * (0.5
                + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    series * f32::from_bits(exponent << 23)
}

/// xᵢ becomes exp(xᵢ - top), of which none is above `top`; gives their sum.
#[inline(always)]
pub(super) fn exponentials(x: &mut [f32], top: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp_of_negative(top - chunk[lane]);
            lanes[lane] += chunk[lane];
        }
    }
    let left = rest.len().min(LANES);
    let rest = &mut rest[..left];
    for lane in 0..left {
        rest[lane] = exp_of_negative(top - rest[lane]);
        lanes[lane] += rest[lane];
    }
    fold(lanes, |x, y| x + y)
}

/// Both slices, as long as the shorter one.
#[inline(always)]
pub(super) fn both<'x, 'y, X, Y>(x: &'x mut [X], y: &'y [Y]) -> (&'x mut [X], &'y [Y]) {
    let count = x.len().min(y.len());
    (&mut x[..count], &y[..count])
}

/// x += y.
#[inline(always)]
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    let (x, y) = both(x, y);
    for i in 0..x.len() {
        x[i] += y[i];
    }
}

/// x *= factor.
pub(super) fn scale(x: &mut [f32], factor: f32) {
    if factor == 1.0 {
        return;
    }
    widely(
        #[inline(always)]
        || {
            for x in x.iter_mut() {
                *x *= factor;
            }
        },
    );
}

/// x += factor · y.
pub(super) fn add_scaled(x: &mut [f32], factor: f32, y: &[f32]) {
    widely(
        #[inline(always)]
        || {
            let (x, y) = both(x, y);
            for i in 0..x.len() {
                x[i] += factor * y[i];
            }
        },
    );
}

/// x += y in double precision.
pub(crate) fn add_widely(x: &mut [f64], y: &[f32]) {
    widely(
        #[inline(always)]
        || {
            let (x, y) = both(x, y);
            for i in 0..x.len() {
                x[i] += f64::from(y[i]);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_maxima_take_every_number() {
        for count in [0, 1, 31, 32, 33, 100] {
            let x: Vec<f32> = (0..count).map(|i| i as f32 - 7.0).collect();
            let expected: f32 = x.iter().sum();
            assert_eq!(widely(|| sum(&x)), expected);
            let squares: f32 = x.iter().map(|x| x * x).sum();
            assert_eq!(widely(|| dot(&x, &x)), squares);
            let top = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(maximum(&x), top);
        }
    }

    #[test]
    fn exponentials_take_every_number() {
        for count in [0, 1, 15, 16, 33, 100] {
            let x: Vec<f32> = (0..count).map(|i| (i % 23) as f32 / -7.0).collect();
            let mut found = x.clone();
            let total = widely(|| exponentials(&mut found, 0.5));
            let expected: Vec<f32> = x.iter().map(|x| (x - 0.5).exp()).collect();
            for (x, y) in found.iter().zip(&expected) {
                assert!((x - y).abs() < 1e-6, "{count}: {x} {y}");
            }
            let sum: f32 = expected.iter().sum();
            assert!((total - sum).abs() <= 1e-6 * sum, "{count}: {total} {sum}");
        }
    }

    #[test]
    fn the_exponential_is_right_to_single_precision_and_vanishes_far_out() {
        for i in 0..8000 {
            let u = i as f32 / 100.0;
            let exact = (-f64::from(u)).exp();
            let error = (f64::from(exp_of_negative(u)) - exact).abs() / exact;
            // The product u log2(e) is rounded, which moves the power by up to u 2^-24.
            assert!(error < 3e-7 + f64::from(u) * 2e-7, "{u}: {error}");
        }
        assert!(exp_of_negative(1e9) < 1e-37);
        assert!(exp_of_negative(f32::INFINITY) < 1e-37);
        assert!(exp_of_negative(f32::NAN).is_nan());
        assert_eq!(exp_of_negative(0.0), 1.0);
    }
}
