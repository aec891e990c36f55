//! Training on a GPU, or any device that burn knows: micro-batches of few shapes.
//!
//! [`shape`] sorts units into them, the network records its pass on a
//! [`Tape`](crate::network::Tape), [`parts`] has the norms and sums of each kind of tensor,
//! [`uses`] makes one of a layer that is used several times, [`squares`] the norms of all units, [`micro_batch`] runs one batch, [`sum`] all of them, and
//! [`isolation`] makes sure that nobody's gradient depends on others.

mod isolation;
mod loss;
mod micro_batch;
mod parts;
mod shape;
mod squares;
mod sum;
mod uses;

#[cfg(test)]
mod norm_tests;

use rand::Rng;

use super::work::{GradientSum, Trainer, Work};
use crate::error::ModelError;
use crate::model::Model;
use crate::network::{Tape, rows_of};
use crate::tokens::TokenRow;
use isolation::Isolation;

/// Trains on a GPU.
#[derive(Debug, Default)]
pub(crate) struct GpuTrainer {
    isolation: Isolation,
}

impl Trainer for GpuTrainer {
    fn sum(&self, work: &Work<'_>, rng: &mut dyn Rng) -> Result<GradientSum, ModelError> {
        sum::sum(work, &self.isolation, rng)
    }

    fn logits(
        &self,
        model: &Model,
        batches: &[Vec<TokenRow<'_>>],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut answers = Vec::new();
        for rows in batches {
            let batch = model.batch(rows)?;
            let answer = model.network().logits(&batch, &mut Tape::off());
            answers.extend(rows_of(answer));
        }
        Ok(answers)
    }
}
