//! Sums on the CPU: tiles of rows, one a thread at a time, added in one order, so that the sum
//! has the same bits on any number of threads.

use std::sync::Arc;

use rand::Rng;
use rayon::prelude::*;

use super::tile::{Tile, TileResult, TileSum};
use super::vector::add_widely;
use super::weights::HostWeights;
use super::workspace::Workspace;
use crate::loss::Loss;
use crate::trainer::clipping::Clipping;
use crate::trainer::work::{GradientSum, Work};

/// Numbers of a sum that are added up at a time.
const STRETCH: usize = 1 << 16;

/// Sums the units' clipped gradients.
pub(super) fn sum(work: &Work<'_>, weights: Arc<HostWeights>, rng: &mut dyn Rng) -> GradientSum {
    let threads = work.batch.tiles(rayon::current_num_threads());
    let loss = Loss::of(work.model.options());
    let mut summing = Summing {
        work,
        rng,
        weights,
        loss: &loss,
        workspaces: Workspace::borrow(threads),
        total: work.nothing(),
    };
    let (_, parameters) = summing.weights.dense();
    let tokens = work.batch.tile_tokens(parameters, work.lengths());
    let (groups, large) = work.groups(tokens);
    for wave in groups.chunks(threads) {
        summing.add_wave(wave, work.clipping != Clipping::None);
    }
    for unit in large {
        summing.add_multiplied_out(unit);
    }
    Workspace::put_back(summing.workspaces);
    if work.clipping == Clipping::None {
        summing.total.norms.clear();
    }
    summing.total
}

impl Work<'_> {
    /// Tokens of each unit that may pass as a whole.
    fn lengths(&self) -> impl Iterator<Item = usize> {
        let units = self.units.iter();
        let whole = units.map(|rows| (rows.len(), self.unit_length(rows)));
        let whole = whole.filter(|(rows, length)| self.batch.holds(*rows, *length));
        whole.map(|(_, length)| length)
    }

    fn unit_length(&self, rows: &[usize]) -> usize {
        rows.iter().map(|row| self.length(*row)).sum()
    }

    /// Groups of whole units that pass through the network together, each of at most
    /// the batch's rows and, but for single units, `tokens` tokens; and the units that are too
    /// large for the batch.
    fn groups(&self, tokens: usize) -> (Vec<Vec<usize>>, Vec<usize>) {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut large = Vec::new();
        let (mut rows, mut filled) = (0, 0);
        for (unit, members) in self.units.iter().enumerate() {
            let length = self.unit_length(members);
            if members.is_empty() {
                continue;
            }
            if !self.batch.holds(members.len(), length) {
                large.push(unit);
                continue;
            }
            match groups.last_mut() {
                Some(group)
                    if rows + members.len() <= self.batch.rows() && filled + length <= tokens =>
                {
                    group.push(unit);
                    rows += members.len();
                    filled += length;
                }
                _ => {
                    groups.push(vec![unit]);
                    (rows, filled) = (members.len(), length);
                }
            }
        }
        (groups, large)
    }
}

/// A sum that is being formed.
struct Summing<'a> {
    work: &'a Work<'a>,
    rng: &'a mut dyn Rng,
    weights: Arc<HostWeights>,
    loss: &'a Loss,
    /// One a thread.
    workspaces: Vec<Workspace>,
    total: GradientSum,
}

impl Summing<'_> {
    /// Adds groups of units, as many as there are threads at most, each a tile.
    fn add_wave(&mut self, groups: &[Vec<usize>], measured: bool) {
        let work = self.work;
        let tiles: Vec<Tile<'_>> = groups
            .iter()
            .map(|group| Tile {
                examples: work.examples,
                kept: work.kept,
                loss: self.loss,
                units: group
                    .iter()
                    .map(|unit| work.units[*unit].as_slice())
                    .collect(),
                clipping: work.clipping,
                measured,
                dropout: self.seed(),
            })
            .collect();
        // Tiles finish in any order, and are added in the order in which they were cut: sums of
        // floats depend on it, and a run must have the same bits on any number of threads.
        let weights = &self.weights;
        let results: Vec<TileResult> = tiles
            .into_par_iter()
            .zip(&mut self.workspaces)
            .map(|(tile, workspace)| tile.run(weights, workspace))
            .collect();
        let mut sums = Vec::new();
        let mut again = Vec::new();
        let may_overflow = !measured || work.clipping.may_enlarge();
        for (group, result) in groups.iter().zip(results) {
            match result {
                TileResult::Summed(tile) if !may_overflow || is_finite(&tile) => {
                    self.add_scores(group, &tile);
                    sums.push(tile);
                }
                // Norms are finite, but a factor above 1 met an input of a layer before the
                // layer's gradient did: infinity times zero. Multiplied out, the gradient is first.
                TileResult::Summed(_) if measured => again.push((Vec::new(), group.clone())),
                // Something isn't finite: the norms tell which units it is.
                TileResult::Summed(_) => again.push((group.clone(), Vec::new())),
                TileResult::Unsound(unsound) => {
                    let (without, alone) = split(group, &unsound);
                    again.push((without, alone));
                }
            }
        }
        self.add_sums(sums);
        // NaN times zero is NaN, so in its tile's sum one unit's would reach the others. Were
        // these left out with it, a unit's absence would show in more than its own gradient.
        for (together, alone) in again {
            if !together.is_empty() {
                self.add_wave(&[together], true);
            }
            for unit in alone {
                self.add_multiplied_out(unit);
            }
        }
    }

    fn seed(&mut self) -> (f64, u64) {
        let rate = self.work.model.options().dropout.get();
        let seed = if rate > 0.0 { self.rng.next_u64() } else { 0 };
        (rate, seed)
    }

    /// Adds a unit by itself: its gradient is multiplied out, as a sum over as many tiles as it
    /// takes, and measured and clipped as a whole.
    fn add_multiplied_out(&mut self, unit: usize) {
        let work = self.work;
        let mut gradient = vec![0.0; self.total.sum.len()];
        let mut loss = 0.0;
        for rows in work.pieces(unit) {
            let tile = Tile {
                examples: work.examples,
                kept: work.kept,
                loss: self.loss,
                units: vec![rows],
                clipping: Clipping::None,
                measured: false,
                dropout: self.seed(),
            };
            let workspace = &mut self.workspaces[0];
            if let TileResult::Summed(tile) = tile.run(&self.weights, workspace) {
                loss += tile.loss;
                add_sums(
                    work,
                    &self.weights,
                    std::slice::from_ref(&tile),
                    &mut gradient,
                );
                tile.give(workspace);
            }
        }
        work.add_multiplied_out(unit, &gradient, loss, &mut self.total);
    }

    fn add_scores(&mut self, group: &[usize], tile: &TileSum) {
        self.total.loss += tile.loss;
        for (unit, norm) in group.iter().zip(&tile.norms) {
            self.total.norms[*unit] = *norm;
        }
    }

    fn add_sums(&mut self, tiles: Vec<TileSum>) {
        add_sums(self.work, &self.weights, &tiles, &mut self.total.sum);
        for (tile, workspace) in tiles.into_iter().zip(&mut self.workspaces) {
            tile.give(workspace);
        }
    }
}

/// Adds tiles' sums in their order to `total`, all trained parameters.
fn add_sums(work: &Work<'_>, weights: &HostWeights, tiles: &[TileSum], total: &mut [f64]) {
    let (base, _) = weights.dense();
    let stretches = total[base..].par_chunks_mut(STRETCH).enumerate();
    stretches.for_each(|(stretch, total)| {
        for tile in tiles {
            add_widely(total, &tile.sum[stretch * STRETCH..]);
        }
    });
    for (embedding, factors) in tiles.iter().filter_map(|tile| tile.embedding.as_deref()) {
        embedding.add_scaled(factors, work.model.layout(), total);
    }
}

/// Whether all of a tile's sum are numbers, as they are if each unit's gradient is finite and
/// nothing overflows.
fn is_finite(tile: &TileSum) -> bool {
    let embedding = tile.embedding.as_deref();
    // A sum of zeros, unless a number isn't finite.
    let zeros: f32 = tile.sum.iter().map(|x| x * 0.0).sum();
    tile.loss.is_finite()
        && zeros == 0.0
        && embedding.is_none_or(|(embedding, _)| embedding.is_finite())
}

/// A group's units without those at the places `unsound`, and those.
fn split(group: &[usize], unsound: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let alone = unsound.iter().map(|place| group[*place]).collect();
    let sound = (0..group.len()).filter(|place| !unsound.contains(place));
    (sound.map(|place| group[place]).collect(), alone)
}
