//! Training on the CPU: the whole step, forward and back, written out by hand.
//!
//! On a GPU the network's operations are burn's, recorded on a
//! [`Tape`](crate::network::Tape). On the CPU most of such a step isn't arithmetic: many small
//! operations each read and write memory, rows are padded, and one thread waits for the
//! other. Here rows lie one after the other without padding ([`packed`]), what follows a
//! matrix product is done in one pass over its result ([`layer_norm`], [`activation`],
//! [`attention`]), buffers are used again ([`workspace`]), and each thread has a tile of rows
//! of its own ([`tile`]; [`tiles`] adds them up). [`network`] and [`layer`] have the passes forward
//! and back, [`head_alone`] those where only the head changes, [`uses`] what a layer that all depths share leaves behind, [`squares`] the norms by unit (with [`gram`] for ghost norms), [`sums`] the clipped
//! sums, and [`multiplied_out`] both for long units; [`cost`] chooses. Loops run in AVX-512, in AVX2 or in what there is
//! ([`instructions`]).
//!
//! Tests hold both engines against each other, and each fused operation against finite
//! differences in double precision.
#![allow(
    clippy::needless_range_loop,
    clippy::manual_memcpy,
    reason = "kernels count places, so that nothing of them is left to an inliner: see vector.rs"
)]

mod activation;
mod attention;
#[cfg(test)]
mod attention_tests;
mod block;
mod context;
mod cost;
mod disentangled;
mod dropout;
mod feed_forward;
mod fold;
mod gram;
mod head;
mod head_alone;
mod instructions;
pub(crate) mod kernels;
mod layer;
mod layer_norm;
mod linear;
mod lines;
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
mod softmax;
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
pub(super) use attention::KEPT;
use weights_cache::WeightsCache;
use workspace::Workspace;

/// Tokens that pass through the network together where nobody goes back, about. Measured on AVX-512
/// with MiniLM.
const SCORED_TOKENS: usize = 1024;

/// Cuts rows into tiles of one order: few, but several for each of so many threads.
fn scored_together<'a, 'b>(
    mut rows: &'a [TokenRow<'b>],
    threads: usize,
) -> Vec<&'a [TokenRow<'b>]> {
    let all: usize = rows.iter().map(|row| row.ids().len()).sum();
    let most = SCORED_TOKENS.min(all.div_ceil(4 * threads.max(1)));
    let mut tiles = Vec::new();
    while !rows.is_empty() {
        let mut tokens = 0;
        let fitting = rows.iter().take_while(|row| {
            tokens += row.ids().len();
            tokens <= most
        });
        let (tile, others) = rows.split_at(fitting.count().max(1));
        tiles.push(tile);
        rows = others;
    }
    tiles
}

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
        let rows: Vec<TokenRow<'_>> = batches.iter().flatten().copied().collect();
        // Tiles of a few rows of like lengths, one at a time for each thread: the last to finish
        // has little left to do.
        let answers = scored_together(&rows, rayon::current_num_threads())
            .into_par_iter()
            .with_max_len(1)
            .map(|rows| tile::logits(&weights, rows, &mut Workspace::lend()));
        Ok(answers.flatten_iter().collect())
    }
}
