//! Whether a unit's gradient has the same bits whoever passes through the network with it.
//!
//! Where a unit is clipped, the sum must not change by more than its own gradient when it is left
//! out. In single precision the others' gradients may then change in their last bits, for which the
//! clipping norm leaves room; in half precision their last bits are too many. So there every unit
//! has a place of its own size in a micro-batch of one shape, and each shape's first use is tried
//! with other units beside one and with none: a device whose operations look at more than a row's own numbers is refused.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::micro_batch::{MicroBatch, Setting};
use super::shape::Shape;
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;
use crate::trainer::work::Example;

/// Shapes that a device passed the trial with.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    /// Locked to look up and to note, not while a trial runs: two threads may try one shape twice.
    passed: Mutex<HashSet<(Shape, ComputePrecision)>>,
}

impl Isolation {
    /// Runs `units` together, and the first of them in the last place with nobody else, unless
    /// this shape has been tried.
    ///
    /// # Errors
    /// [`ModelError::Device`] where the first unit's numbers differ.
    pub(super) fn check(
        &self,
        setting: Setting<'_>,
        examples: &[Example],
        units: &[&[usize]],
    ) -> Result<(), ModelError> {
        let Setting {
            shape, precision, ..
        } = setting;
        let passed = || self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed().contains(&(shape, precision)) {
            return Ok(());
        }
        let mut alone: Vec<&[usize]> = vec![&[]; shape.units];
        if let (Some(place), Some(first)) = (alone.last_mut(), units.first()) {
            *place = first;
        }
        let together = MicroBatch::run(setting, examples, units, None)?.ingredients(0);
        let alone = MicroBatch::run(setting, examples, &alone, None)?.ingredients(shape.units - 1);
        if !same_bits(&together, &alone) {
            return Err(ModelError::Device(format!(
                "in {precision} this device computes another gradient for the same row when other \
                 rows are beside it, which no clipping norm bounds; leave the precision at f32"
            )));
        }
        // Numbers that overflowed are alike whatever happened to them: the next unit is tried.
        if together.iter().all(|x| x.is_finite()) {
            passed().insert((shape, precision));
        }
        Ok(())
    }
}

/// Whether all numbers are the same, or both none.
fn same_bits(x: &[f32], y: &[f32]) -> bool {
    let same = |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
    x.len() == y.len() && x.iter().zip(y).all(same)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    use super::*;
    use crate::trainer::support::{POSITIONS, VOCABULARY, options, tiny_on};
    use crate::{DeviceChoice, Pooling, Target, TrainableSet};

    #[test]
    fn a_units_gradient_has_the_same_bits_whatever_is_beside_it_and_in_any_place() {
        let gpu = DeviceChoice::Gpu(None);
        let model = match tiny_on(&gpu, options(Pooling::Mean, TrainableSet::Full)) {
            Ok(model) => model,
            Err(reason) => return println!("skipped: {reason}"),
        };
        let rng = &mut ChaCha12Rng::seed_from_u64(5);
        let example = |length: usize, rng: &mut ChaCha12Rng| Example {
            tokens: (0..length)
                .map(|_| rng.random_range(0..VOCABULARY as u32))
                .collect(),
            target: Target::Class(rng.random_range(0..3)),
        };
        let mut examples = vec![example(9, rng), example(14, rng)];
        examples.extend((0..30).map(|i| example(1 + i % 16, rng)));
        let unit = [0, 1];
        for precision in [ComputePrecision::F32, ComputePrecision::F16] {
            if let Err(reason) = precision.check(model.device()) {
                println!("skipped: {reason}");
                continue;
            }
            for tokens in [16, POSITIONS] {
                let shape = Shape {
                    units: 5,
                    rows: 3,
                    tokens,
                };
                let setting = Setting {
                    model: &model,
                    shape,
                    precision,
                };
                let mut found = Vec::new();
                for place in 0..shape.units {
                    // Others of one to three rows, other ones each time, and fewer of them.
                    let company: Vec<Vec<usize>> = (0..shape.units - place)
                        .map(|i| {
                            (0..=i % 3)
                                .map(|row| 2 + (7 * place + 3 * i + row) % 30)
                                .collect()
                        })
                        .collect();
                    let mut units: Vec<&[usize]> = company.iter().map(Vec::as_slice).collect();
                    units.resize(shape.units, &[]);
                    units[place] = &unit;
                    let batch = MicroBatch::run(setting, &examples, &units, None).expect("a pass");
                    found.push(batch.ingredients(place));
                }
                assert!(found[0].iter().any(|x| *x != 0.0));
                for other in &found[1..] {
                    assert!(same_bits(&found[0], other), "{precision} {shape:?}");
                }
            }
        }
    }

    #[test]
    fn bits_that_differ_are_noticed() {
        assert!(same_bits(&[1.0, f32::NAN], &[1.0, -f32::NAN]));
        assert!(!same_bits(&[1.0], &[1.0 + f32::EPSILON]));
        assert!(!same_bits(&[1.0], &[f32::NAN]));
        assert!(!same_bits(&[1.0], &[]));
    }
}
