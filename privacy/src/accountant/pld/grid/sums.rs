//! Sums of many floats that round little.

use std::ops::Range;

/// Sums within blocks of so many, which are then added up, round less than one long sum: a short block where every unit
/// counts, and a longer one, which is faster.
const SHORT_BLOCK: usize = 128;
const BLOCK: usize = 1024;

/// Of positive numbers, to 32 units of rounding.
pub(super) fn sum_of(values: &[f64]) -> f64 {
    pairwise(0..values.len(), SHORT_BLOCK, &|range| {
        let values = values.get(range).unwrap_or_default();
        let (lanes, rest) = values.as_chunks::<8>();
        let mut sums = [0.0; 8];
        for lane in lanes {
            for (sum, value) in sums.iter_mut().zip(lane) {
                *sum += value;
            }
        }
        sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
    })
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    pairwise(0..a.len().min(b.len()), BLOCK, &|range| {
        let (Some(a), Some(b)) = (a.get(range.clone()), b.get(range)) else {
            return 0.0;
        };
        // Eight partial sums: they run side by side.
        let (a, a_rest) = a.as_chunks::<8>();
        let (b, b_rest) = b.as_chunks::<8>();
        let mut sums = [0.0; 8];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..8 {
                sums[lane] += a[lane] * b[lane];
            }
        }
        let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        sums.iter().sum::<f64>() + rest
    })
}

/// The sum of what blocks of a range have, halves by halves.
fn pairwise(range: Range<usize>, block: usize, sum: &dyn Fn(Range<usize>) -> f64) -> f64 {
    if range.len() <= block {
        return sum(range);
    }
    let middle = range.start + (range.len() / 2).next_multiple_of(block);
    pairwise(range.start..middle, block, sum) + pairwise(middle..range.end, block, sum)
}

pub(super) fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}
