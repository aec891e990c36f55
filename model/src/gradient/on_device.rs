//! Sums on a GPU, or any device that burn knows: one padded batch after the other.

use rand::Rng;

use super::micro_batch::MicroBatch;
use super::{Clipping, GradientSum, Work};
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;

/// Sums the units' clipped gradients.
///
/// # Errors
/// [`ModelError::Row`] for a row that doesn't fit the model.
pub(super) fn sum<R: Rng>(work: &Work<'_>, rng: &mut R) -> Result<GradientSum, ModelError> {
    let mut summing = Summing {
        work,
        rng,
        total: work.nothing(),
    };
    let (groups, large) = work.groups(work.batch.batch_tokens());
    for group in groups {
        summing.add_together(&group)?;
    }
    for unit in large {
        summing.add_multiplied_out(unit)?;
    }
    if work.clipping == Clipping::None {
        summing.total.norms.clear();
    }
    Ok(summing.total)
}

/// A sum that is being formed.
struct Summing<'a, R> {
    work: &'a Work<'a>,
    rng: &'a mut R,
    total: GradientSum,
}

impl<R: Rng> Summing<'_, R> {
    /// Adds whole units that fit one micro-batch together.
    fn add_together(&mut self, chosen: &[usize]) -> Result<(), ModelError> {
        if chosen.is_empty() {
            return Ok(());
        }
        let work = self.work;
        let members: Vec<&[usize]> = chosen.iter().map(|u| work.units[*u].as_slice()).collect();
        let precision = work.model.precision();
        let batch = MicroBatch::run(work.model, work.examples, &members, precision, self.rng)?;
        let norms = batch.norms();
        if norms.iter().all(Option::is_some) {
            let norms: Vec<f64> = norms.into_iter().flatten().collect();
            let factors: Vec<f64> = norms.iter().map(|n| work.clipping.factor(*n)).collect();
            batch.add_scaled(&factors, &mut self.total.sum);
            self.total.loss += batch.loss();
            for (unit, norm) in chosen.iter().zip(norms) {
                self.total.norms[*unit] = norm;
            }
            return Ok(());
        }
        // NaN times zero is NaN, so in this batch's sum one unit's would reach the others.
        // Were these left out with it, a unit's absence would show in more than its own
        // gradient.
        let mut sound = Vec::new();
        for (unit, norm) in chosen.iter().zip(norms) {
            match norm {
                Some(_) => sound.push(*unit),
                None => self.add_multiplied_out(*unit)?,
            }
        }
        self.add_together(&sound)
    }

    /// Adds a unit by itself: its gradient is multiplied out, as a sum over as many
    /// micro-batches as it takes, measured in double precision, and then clipped as a whole. Its
    /// products are in single precision whatever the others' are: half precision may be all that
    /// made it overflow.
    fn add_multiplied_out(&mut self, unit: usize) -> Result<(), ModelError> {
        let mut gradient = vec![0.0; self.total.sum.len()];
        let mut loss = 0.0;
        let work = self.work;
        for rows in work.pieces(unit) {
            let precision = ComputePrecision::F32;
            let batch = MicroBatch::run(work.model, work.examples, &[rows], precision, self.rng)?;
            batch.add_scaled(&[1.0], &mut gradient);
            loss += batch.loss();
        }
        work.add_multiplied_out(unit, &gradient, loss, &mut self.total);
        Ok(())
    }
}
