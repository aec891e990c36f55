//! Sums of clipped gradients, whatever device they are computed on.

use rand::Rng;

use crate::classifier::Classifier;
use crate::error::ModelError;
use crate::trainer::{Clipping, GradientSum, PhysicalBatch, TrainingRows, Work};

/// Sums the clipped gradients of `units`, each a list of `rows` that are clipped
/// together, whatever micro-batches they fall into. A unit's loss is the sum of its rows'
/// cross-entropies. `batch` bounds what passes through the network at a time.
///
/// # Errors
/// [`ModelError::Row`] for a row that isn't there or doesn't fit the model.
pub fn gradient_sum<'a, R: Rng, Rows: Into<TrainingRows<'a>>>(
    model: &Classifier,
    rows: Rows,
    units: &[Vec<usize>],
    clipping: Clipping,
    batch: PhysicalBatch,
    dropout_rng: &mut R,
) -> Result<GradientSum, ModelError> {
    let TrainingRows { examples, kept } = rows.into();
    let work = Work {
        model,
        examples,
        kept: kept.filter(|kept| kept.are_of(model.stamp())),
        units,
        clipping,
        batch,
    };
    work.check_rows()?;
    model.trainer().sum(&work, dropout_rng)
}
