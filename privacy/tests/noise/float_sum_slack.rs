//! The measured assumption of `proofs/lattice.md`: summing clipped units in floating
//! point moves neighbouring sums apart by less than half of the clipping slack, C · 2^-11.
//!
//! Units are summed as training does it: one after the other in f32 within a micro-batch,
//! micro-batches in f64. Leaving one unit out shifts all units after it, so that every
//! micro-batch rounds differently.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use umbel_privacy::CLIP_SLACK;

const DIMENSION: usize = 512;
const UNITS: usize = 2048;
/// Rows of a micro-batch: the default, and the most that a plan may ask for.
const MICRO_BATCHES: [usize; 2] = [64, 256];

/// Vectors of norm one, each `alignment` toward one common direction and the rest random.
fn units(alignment: f64, rng: &mut ChaCha20Rng) -> Vec<Vec<f32>> {
    let common = direction(rng);
    let unit = |_| {
        let own = direction(rng);
        let mixed: Vec<f64> = common
            .iter()
            .zip(&own)
            .map(|(common, own)| alignment * common + (1.0 - alignment) * own)
            .collect();
        let norm = mixed.iter().map(|value| value * value).sum::<f64>().sqrt();
        mixed.iter().map(|value| (value / norm) as f32).collect()
    };
    (0..UNITS).map(unit).collect()
}

fn direction(rng: &mut ChaCha20Rng) -> Vec<f64> {
    let values: Vec<f64> = (0..DIMENSION)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.iter().map(|value| value / norm).collect()
}

fn sum(units: &[&Vec<f32>], micro_batch: usize) -> Vec<f64> {
    let mut total = vec![0f64; DIMENSION];
    for batch in units.chunks(micro_batch) {
        let mut partial = vec![0f32; DIMENSION];
        for unit in batch {
            partial
                .iter_mut()
                .zip(unit.iter())
                .for_each(|(sum, &value)| *sum += value);
        }
        total
            .iter_mut()
            .zip(&partial)
            .for_each(|(sum, &value)| *sum += f64::from(value));
    }
    total
}

/// ‖(sum with the unit) - (sum without it) - (the unit)‖, the part that rounding adds.
fn error_of_leaving_out(
    index: usize,
    units: &[Vec<f32>],
    whole: &[f64],
    micro_batch: usize,
) -> f64 {
    let others: Vec<&Vec<f32>> = units
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index)
        .map(|(_, unit)| unit)
        .collect();
    let without = sum(&others, micro_batch);
    let left_out = &units[index];
    let squares = whole
        .iter()
        .zip(&without)
        .zip(left_out)
        .map(|((whole, without), &unit)| {
            let added = whole - without - f64::from(unit);
            added * added
        });
    squares.sum::<f64>().sqrt()
}

#[test]
fn floating_point_sums_of_neighbours_stay_within_half_of_the_slack() {
    for alignment in [0.0, 0.5, 0.9] {
        let rng = &mut ChaCha20Rng::seed_from_u64(7);
        let units = units(alignment, rng);
        for micro_batch in MICRO_BATCHES {
            let whole = sum(&units.iter().collect::<Vec<_>>(), micro_batch);
            let worst = (0..UNITS)
                .step_by(97)
                .map(|index| error_of_leaving_out(index, &units, &whole, micro_batch))
                .fold(0.0, f64::max);
            println!(
                "alignment {alignment}, micro-batches of {micro_batch}: {worst:.2e} C of {:.2e} C",
                CLIP_SLACK / 2.0
            );
            assert!(worst < CLIP_SLACK / 2.0, "alignment {alignment}: {worst} C");
        }
    }
}
