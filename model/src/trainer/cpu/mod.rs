//! Training on the CPU: the whole step, forward and back, written out by hand.
//!
//! On a GPU the network's operations are burn's, recorded on a
//! [`Tape`](crate::network::Tape). On the CPU most of such a step isn't arithmetic: many small
//! operations each read and write memory, rows are padded, and one thread waits for the
//! other. Here rows lie one after the other without padding ([`packed`]), what follows a
//! matrix product is done in one pass over its result ([`layer_norm`], [`activation`],
//! [`attention`]), buffers are used again ([`workspace`]), and each thread has a tile of rows
//! of its own ([`tile`]; [`tiles`] adds them up). [`network`] and [`layer`] have the passes forward
//! and back, [`uses`] what a layer that all depths share leaves behind, [`squares`] the norms by unit (with [`gram`] for ghost norms), [`sums`] the clipped
//! sums, and [`multiplied_out`] both for long units; [`cost`] chooses. Loops run in AVX-512, in AVX2 or in what there is
//! ([`instructions`]).
//!
//! Tests hold both engines against each other, and each fused operation against finite
//! differences in double precision.

mod activation;
mod attention;
mod cost;
mod disentangled;
mod dropout;
mod gram;
mod head;
mod instructions;
mod layer;
mod layer_norm;
mod linear;
mod multiplied_out;
mod network;
mod norm_first;
mod norm_last;
mod norms;
mod packed;
mod passed;
mod product;
mod relative_bias;
mod rotary;
mod squares;
mod sums;
mod tile;
mod tiles;
mod uses;
mod vector;
mod weights;
mod weights_cache;
mod workspace;

#[cfg(test)]
mod difference_tests;

use rand::Rng;
use rayon::prelude::*;

use super::work::{GradientSum, Trainer, Work};
use crate::error::ModelError;
use crate::model::Model;
use crate::tokens::TokenRow;
use weights_cache::WeightsCache;
use workspace::Workspace;

/// Trains on the CPU.
#[derive(Debug, Default)]
pub(crate) struct CpuTrainer {
    weights: WeightsCache,
}

impl Trainer for CpuTrainer {
    fn sum(&self, work: &Work<'_>, rng: &mut dyn Rng) -> Result<GradientSum, ModelError> {
        Ok(tiles::sum(work, self.weights.of(work.model), rng))
    }

    fn logits(
        &self,
        model: &Model,
        batches: &[Vec<TokenRow<'_>>],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let weights = self.weights.of(model);
        let answers = batches
            .par_iter()
            .map_init(Workspace::default, |workspace, rows| {
                tile::logits(&weights, rows, workspace)
            });
        Ok(answers.flatten_iter().collect())
    }
}
