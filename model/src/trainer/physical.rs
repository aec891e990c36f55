//! How much passes through the network at a time: the physical batch, which has nothing to do
//! with which units a round draws, and with the memory that it takes.

use rayon::current_num_threads;

use crate::device::is_cpu;
use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::model::Model;

/// A tile's tokens on the CPU, about: enough for matrix products to be efficient, and few
/// enough for several threads to have some each, and their buffers to stay small.
const TILE_TOKENS: usize = 1024;

/// Tiles come in multiples of so many, all of about one size, or threads wait: a batch of 512 tokens
/// in one tile keeps one thread of two busy. It can't be the number of threads, since a sum's bits depend
/// on where tiles are cut.
const SIDE_BY_SIDE: usize = 2;

/// The same where so few parameters are trained that adding up a tile's sum costs next to nothing:
/// what passes through the network stays nearer to the processor. Measured on AVX2, the step of a
/// BERT-tiny takes a tenth less time so, and that of adapters on MiniLM half of the memory.
const SMALL_TILE_TOKENS: usize = 256;

/// Trained parameters, but for embedding tables, up to which tiles are small: their sums, in
/// single and double precision, then stay in a cache of a dozen megabytes.
const SMALL_SUM: usize = 1 << 20;

/// Bytes of a number of single precision.
const SINGLE: u64 = 4;

/// Bytes for each trained parameter beside the model: the sum in double precision, and what an
/// update is made of, which is its lattice vector and that encoded.
const SUMMED: u64 = 8 + 16;

/// Bytes of the program itself and of what its allocator holds back.
const PROGRAM: u64 = 64_000_000;

/// What passes through the network at a time, at most. It changes speed and memory, and a sum
/// in its last bits only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysicalBatch {
    rows: usize,
    tokens: Option<usize>,
    tiles: usize,
}

impl PhysicalBatch {
    /// At most so many rows at a time in each of the threads' tiles (on the CPU) or in the one
    /// batch (on a GPU), at least one.
    pub fn of_rows(rows: usize) -> Self {
        Self {
            rows: rows.max(1),
            tokens: None,
            tiles: usize::MAX,
        }
    }

    /// The same, but small enough for training `model` within `memory` bytes: weights, sums, and
    /// what a pass forward keeps for the pass back. On the CPU this is close to what a process
    /// takes; on a GPU, whose driver has buffers of its own, it is an estimate.
    ///
    /// # Errors
    /// [`ModelError::Memory`] if one row of the greatest length doesn't fit, with what it needs.
    pub fn within(self, memory: u64, model: &Model) -> Result<Self, ModelError> {
        let needs = Needs::of(model);
        let longest = model.options().max_tokens.get();
        let most = if is_cpu(model.device()) {
            current_num_threads().max(1)
        } else {
            1
        };
        // Rather a thread less than tiles so small that products are slow.
        for least in [longest.max(SMALL_TILE_TOKENS), longest] {
            for tiles in (1..=most).rev() {
                let tokens = needs.tokens_within(memory, tiles);
                if tokens >= least {
                    return Ok(Self {
                        rows: self.rows,
                        tokens: Some(tokens),
                        tiles,
                    });
                }
            }
        }
        Err(ModelError::Memory {
            given: memory,
            needed: needs.of_tiles(1, longest),
            tokens: longest,
        })
    }

    /// Rows at a time.
    pub(super) fn rows(self) -> usize {
        self.rows
    }

    /// Whether a unit of so many rows and tokens in all may pass as a whole.
    pub(super) fn holds(self, rows: usize, tokens: usize) -> bool {
        rows <= self.rows && self.tokens.is_none_or(|most| tokens <= most)
    }

    /// Tokens of a tile on the CPU, at most, where so many parameters are trained that aren't in an
    /// embedding table, and units of `lengths` tokens pass.
    pub(super) fn tile_tokens(
        self,
        parameters: usize,
        lengths: impl Iterator<Item = usize>,
    ) -> usize {
        let tokens = if parameters <= SMALL_SUM {
            SMALL_TILE_TOKENS
        } else {
            even_tiles(lengths)
        };
        self.tokens.map_or(tokens, |t| t.min(tokens))
    }

    /// Tokens of a batch on a GPU.
    pub(super) fn batch_tokens(self) -> usize {
        self.tokens.unwrap_or(usize::MAX)
    }

    /// Tiles at a time on the CPU, where there are so many threads.
    pub(super) fn tiles(self, threads: usize) -> usize {
        self.tiles.min(threads).max(1)
    }
}

/// Tokens of a tile, at most, so that units of `lengths` tokens fill tiles evenly: [`TILE_TOKENS`] each or
/// less, but no fewer than [`SMALL_TILE_TOKENS`], and a multiple of [`SIDE_BY_SIDE`] of them.
fn even_tiles(lengths: impl Iterator<Item = usize>) -> usize {
    let (mut all, mut longest) = (0_usize, 1);
    for length in lengths {
        all = all.saturating_add(length);
        longest = longest.max(length);
    }
    let tiles = SIDE_BY_SIDE * all.div_ceil(SIDE_BY_SIDE * TILE_TOKENS).max(1);
    let each = all.div_ceil(tiles).max(SMALL_TILE_TOKENS);
    // A tile is full when the next unit doesn't fit. With room for nearly one more, it then has its
    // share, and no tile is left over for the last few units.
    each.saturating_add(longest - 1)
}

/// What training takes, in bytes.
struct Needs {
    /// Whatever the batch.
    fixed: u64,
    /// For each tile: its sum, and the gradient of a long unit that is multiplied out.
    tile: u64,
    /// For each token in a tile.
    token: u64,
}

impl Needs {
    fn of(model: &Model) -> Self {
        let options = model.options();
        let trained = model.layout().len() as u64;
        // The tensors, and the copy of them that the CPU's engine works with.
        let copies = if is_cpu(model.device()) { 2 } else { 1 };
        Self {
            fixed: PROGRAM + copies * SINGLE * weights(model.spec()) + SUMMED * trained,
            tile: 2 * SINGLE * trained,
            token: SINGLE
                * kept(
                    model.spec(),
                    options.max_tokens.get(),
                    (options.dropout.get() > 0.0, is_cpu(model.device())),
                ),
        }
    }

    /// The tokens that each of so many tiles may have; none if not even their sums fit.
    fn tokens_within(&self, memory: u64, tiles: usize) -> usize {
        let tiles = tiles as u64;
        let left = memory.saturating_sub(self.fixed.saturating_add(tiles * self.tile));
        usize::try_from(left / (tiles * self.token)).unwrap_or(usize::MAX)
    }

    /// What so many tiles of so many tokens take.
    fn of_tiles(&self, tiles: usize, tokens: usize) -> u64 {
        self.fixed + tiles as u64 * (self.tile + self.token * tokens as u64)
    }
}

/// Weights of the encoder; the head's are few.
fn weights(spec: &TransformerSpec) -> u64 {
    u64::try_from(spec.encoder_parameters()).unwrap_or(u64::MAX)
}

/// Numbers that a token's pass forward and back has at a time, in rows of at most `longest`
/// tokens.
fn kept(spec: &TransformerSpec, longest: usize, (dropout, on_cpu): (bool, bool)) -> u64 {
    let [hidden, intermediate] = [spec.hidden_size, spec.intermediate_size];
    // The CPU keeps no weights of long rows, so that rows as long as they are kept have the most.
    let kept = match on_cpu && !dropout {
        true => longest.min(super::cpu::KEPT),
        false => longest,
    };
    let attention = spec.heads * kept;
    // Of each layer: input, queries, keys, values, context, both normalised sums and what is
    // between them (8 · hidden); the activation and its slope; and gradients of the outputs of
    // its linear layers (5 · hidden + intermediate).
    let mut layer = 13 * hidden + 3 * intermediate + attention;
    if dropout {
        layer += 2 * hidden + attention;
    }
    // Twice the width, of the slope and of the gradient.
    if spec.layer.gated {
        layer += 2 * intermediate;
    }
    // At most two relative places a token: their states, gradients, and both once more beside those
    // of the tokens.
    if spec.disentangled.is_some() {
        layer += 20 * hidden;
    }
    // Inputs and gradients of its linear layers once more, side by side with those of other depths.
    if spec.shared_layers {
        layer += 10 * hidden + 2 * intermediate;
    }
    // The embeddings, and what is passed on.
    (spec.layers * layer + 8 * hidden + 2 * intermediate) as u64
}

#[cfg(test)]
mod tests {
    use super::super::support;
    use super::*;
    use crate::DeviceChoice;
    use crate::families::FAMILIES;
    use crate::parameters::Part;
    use umbel_proto::classifier::{Pooling, TrainableSet};

    fn model() -> crate::Classifier {
        support::tiny(support::options(Pooling::Mean, TrainableSet::Full))
    }

    #[test]
    fn the_weights_that_are_counted_are_those_that_a_network_of_any_family_has() {
        for family in FAMILIES {
            let options = support::options(family.poolings()[0], TrainableSet::Full);
            let model = support::tiny_of(*family, &DeviceChoice::Cpu, options).expect("a model");
            let mut counted = 0_u64;
            let mut network = model.network().clone();
            let Ok(()) = network.visit(&mut |_, (part, _), weight| {
                if part != Part::Head {
                    counted += weight.shape().iter().product::<usize>() as u64;
                }
                Ok::<(), std::convert::Infallible>(())
            });
            assert_eq!(weights(model.spec()), counted, "{family:?}");
        }
    }

    #[test]
    fn the_less_memory_the_fewer_tokens_and_never_more_than_fit() {
        let model = model();
        let needs = Needs::of(&model);
        let mut before = usize::MAX;
        for memory in [
            u64::MAX,
            1 << 30,
            PROGRAM + 1_000_000,
            needs.of_tiles(1, 32),
        ] {
            let batch = PhysicalBatch::of_rows(64);
            let batch = batch.within(memory, &model).expect("enough");
            let tokens = batch.tokens.expect("a limit");
            assert!(tokens >= support::POSITIONS);
            assert!(memory == u64::MAX || needs.of_tiles(batch.tiles, tokens) <= memory);
            let all = tokens.saturating_mul(batch.tiles);
            assert!(all <= before);
            before = all;
        }
    }

    /// Tokens of the tiles into which units of these lengths are cut.
    fn cut(lengths: &[usize]) -> Vec<usize> {
        let batch = PhysicalBatch::of_rows(usize::MAX);
        let most = batch.tile_tokens(SMALL_SUM + 1, lengths.iter().copied());
        let mut tiles: Vec<usize> = Vec::new();
        for length in lengths {
            match tiles.last_mut() {
                Some(filled) if *filled + length <= most => *filled += length,
                _ => tiles.push(*length),
            }
        }
        tiles
    }

    #[test]
    fn a_large_models_batch_is_cut_into_even_tiles_for_at_least_two_threads() {
        assert_eq!(cut(&[64; 8]), [256, 256]);
        assert_eq!(cut(&[64; 32]), [1024, 1024]);
        assert_eq!(cut(&[512; 4]), [1024, 1024]);
        assert_eq!(cut(&[64; 48]), [768; 4]);
        assert_eq!(cut(&[5]), [5]);
        assert!(cut(&[]).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn tiles_are_never_more_than_planned_nor_much_larger_than_their_share(
            lengths in proptest::collection::vec(1_usize..=512, 1..200),
        ) {
            let all: usize = lengths.iter().sum();
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let tiles = cut(&lengths);
            let planned = 2 * all.div_ceil(2 * TILE_TOKENS);
            proptest::prop_assert!(tiles.len() <= planned);
            let share = all.div_ceil(planned).max(SMALL_TILE_TOKENS);
            proptest::prop_assert!(tiles.iter().all(|tile| *tile < share + longest));
        }
    }

    #[test]
    fn memory_without_room_for_one_row_is_refused_with_what_would_do() {
        let model = model();
        let batch = PhysicalBatch::of_rows(64);
        for memory in [0, 1, PROGRAM] {
            let Err(ModelError::Memory { needed, .. }) = batch.within(memory, &model) else {
                panic!("{memory} bytes were enough");
            };
            assert!(batch.within(needed, &model).is_ok());
            assert!(batch.within(needed - 1, &model).is_err());
        }
    }
}
