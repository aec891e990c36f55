//! Sums on a GPU, or any device that burn knows: one micro-batch after the other.

use rand::Rng;

use super::isolation::Isolation;
use super::micro_batch::{MicroBatch, Setting};
use super::shape::{Room, Shape};
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;
use crate::network::Dropout;
use crate::trainer::clipping::Clipping;
use crate::trainer::work::{GradientSum, Work};

/// Sums the units' clipped gradients.
///
/// # Errors
/// [`ModelError::Row`] for a row that doesn't fit the model.
pub(super) fn sum(
    work: &Work<'_>,
    isolation: &Isolation,
    rng: &mut dyn Rng,
) -> Result<GradientSum, ModelError> {
    let precision = work.model.precision();
    // Whoever clips claims that leaving a unit out changes the sum by that unit alone.
    let isolated = work.clipping != Clipping::None && precision != ComputePrecision::F32;
    let mut summing = Summing {
        work,
        rng,
        isolation: isolated.then_some(isolation),
        total: work.nothing(),
    };
    let plan = work.plan(if isolated {
        Room::ForAll
    } else {
        Room::ForThese
    });
    for batch in plan.micro_batches {
        let setting = Setting {
            model: work.model,
            shape: batch.shape,
            precision,
        };
        summing.add_together(setting, &batch.units)?;
    }
    for unit in plan.large {
        summing.add_multiplied_out(unit)?;
    }
    if work.clipping == Clipping::None {
        summing.total.norms.clear();
    }
    Ok(summing.total)
}

/// A sum that is being formed.
struct Summing<'a> {
    work: &'a Work<'a>,
    rng: &'a mut dyn Rng,
    /// Where each unit's gradient must have the same bits whoever else is in the batch: what has
    /// been tried.
    isolation: Option<&'a Isolation>,
    total: GradientSum,
}

impl Summing<'_> {
    /// Adds units that fit one micro-batch together.
    fn add_together(&mut self, setting: Setting<'_>, chosen: &[usize]) -> Result<(), ModelError> {
        if chosen.is_empty() {
            return Ok(());
        }
        let work = self.work;
        let members: Vec<&[usize]> = chosen.iter().map(|u| work.units[*u].as_slice()).collect();
        if let Some(isolation) = self.isolation {
            isolation.check(setting, work.examples, &members)?;
        }
        let batch = MicroBatch::run(setting, work.examples, &members, self.dropout())?;
        // Reading the norms waits for the device: once a batch, before the factors are known.
        let norms = batch.norms();
        if norms.iter().all(Option::is_some) {
            let norms: Vec<f64> = norms.into_iter().flatten().collect();
            let units = norms.iter().zip(batch.residuals());
            let factors: Vec<f64> = units.map(|(n, r)| work.clipping.factor(*n, *r)).collect();
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
        self.add_together(setting, &sound)
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
            let lengths = rows.iter().map(|row| work.length(*row));
            let setting = Setting {
                model: work.model,
                shape: Shape {
                    units: 1,
                    rows: rows.len(),
                    tokens: lengths.max().unwrap_or(1),
                },
                precision: ComputePrecision::F32,
            };
            let batch = MicroBatch::run(setting, work.examples, &[rows], self.dropout())?;
            batch.add_scaled(&[1.0], &mut gradient);
            loss += batch.loss();
        }
        work.add_multiplied_out(unit, &gradient, loss, &mut self.total);
        Ok(())
    }

    fn dropout(&mut self) -> Option<Dropout<'_>> {
        let rate = self.work.model.options().dropout.get();
        (rate > 0.0).then_some(Dropout {
            rate,
            rng: &mut *self.rng,
        })
    }
}
