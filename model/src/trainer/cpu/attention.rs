//! Multi-head self-attention (Vaswani et al. 2017, §3.2), one row of tokens and head at a time:
//! the scores of a row and head stay in the cache until they are done with.
//!
//! Of long rows, no weights are kept: the pass back computes them again, some queries at a time
//! (after Dao et al. 2022, "FlashAttention", §3.1), by the same operations and so to the same bits.

mod back;

use std::ops::Range;

use super::block::Block;
pub(super) use super::block::Span;
use super::disentangled::{ReadPlaces, Sides};
use super::product::{Matrix, MatrixMut, multiply};
use super::relative_bias::RelativeBias;
use super::softmax::{mask_far, mask_later, softmax};
use super::workspace::Workspace;

/// The sizes of attention.
#[derive(Clone, Copy)]
pub(super) struct Attention {
    /// Width of the hidden states, and of queries.
    pub(super) hidden: usize,
    /// They divide `hidden`.
    pub(super) heads: usize,
    /// Heads of keys and values, which divide `heads`: each is read by as many heads of queries, one
    /// after the other. Queries, keys and values lie side by side, [`Self::stride`] numbers a token.
    pub(super) key_value_heads: usize,
    /// Whether a token attends only to itself and those before.
    pub(super) causal: bool,
    /// The most places between a token and those that it attends to; `None` for all.
    pub(super) reach: Option<usize>,
    /// How many kinds of scores are added up, which count alike.
    pub(super) kinds: usize,
}

/// What scores have beside products of queries and keys.
#[derive(Clone, Copy)]
pub(super) enum Beside<'a> {
    Nothing,
    Bias(&'a RelativeBias),
    Places(ReadPlaces<'a>),
}

/// Tokens of the longest row whose weights are kept for the pass back. They are L numbers a token
/// and head: a longer row's come from memory no faster than they are computed again.
pub(crate) const KEPT: usize = 128;

/// Queries that attend at a time where weights aren't kept, so that a head's weights stay in the
/// second cache.
const BLOCK: usize = 64;

/// Dropout's mask of a block's weights, and the two multiplied.
type Dropped<'a> = Option<(&'a [f32], &'a [f32])>;

/// What attention's pass forward leaves to its pass back.
pub(super) struct Attended {
    /// Tokens of the longest row whose weights are kept.
    kept: usize,
    /// Softmax of the scores: for each row of which they are kept and each head, `[M, L]`.
    weights: Vec<f32>,
    /// Dropout's mask of them, and the two multiplied.
    dropped: Option<(Vec<f32>, Vec<f32>)>,
}

impl Attention {
    pub(super) fn width(self) -> usize {
        self.hidden / self.heads
    }

    /// Heads of queries that read one head of keys and values.
    fn group(self) -> usize {
        (self.heads / self.key_value_heads.max(1)).max(1)
    }

    /// Width of queries, keys and values side by side.
    pub(super) fn stride(self) -> usize {
        self.hidden + 2 * self.key_value_heads * self.width()
    }

    /// 1/√(width of a head), for each kind of scores.
    fn scale(self) -> f32 {
        ((self.kinds * self.width()) as f32).sqrt().recip()
    }

    /// How many weights these rows have.
    pub(super) fn weights(self, spans: &[Span]) -> usize {
        spans.iter().map(Span::weights).sum::<usize>() * self.heads
    }

    /// Every row's queries in every head, where the weights of rows of up to `kept` tokens are.
    fn blocks(self, spans: &[Span], kept: usize) -> impl Iterator<Item = Block<'_>> {
        let mut beyond = 0;
        spans.iter().enumerate().flat_map(move |(row, span)| {
            let (size, is_kept) = (span.weights(), span.tokens.len() <= kept);
            let first = beyond;
            if is_kept {
                beyond += self.heads * size;
            }
            let queries = span.outputs.len();
            let step = if is_kept { queries } else { BLOCK };
            (0..self.heads).flat_map(move |head| {
                (0..queries).step_by(step.max(1)).map(move |query| Block {
                    row,
                    span,
                    head,
                    queries: query..(query + step).min(queries),
                    kept: is_kept.then(|| first + head * size..first + (head + 1) * size),
                })
            })
        })
    }

    /// The part of `[N, stride]` that belongs to these tokens' queries (0), keys (1) or
    /// values (2) in a head.
    fn part<'a>(
        self,
        qkv: &'a [f32],
        tokens: &Range<usize>,
        which: usize,
        head: usize,
    ) -> Matrix<'a> {
        let start = self.part_start(tokens, which, head);
        Matrix::strided(&qkv[start..], tokens.len(), self.width(), self.stride())
    }

    /// A head's queries and keys in a row.
    fn sides<'a>(self, qkv: &'a [f32], block: &Block<'_>) -> Sides<'a> {
        let tokens = &block.span.tokens;
        Sides {
            queries: self.part(qkv, &block.query_tokens(), 0, block.head),
            keys: self.part(qkv, tokens, 1, block.head),
            asked: block.queries.len(),
            tokens: tokens.len(),
            columns: (block.head * self.width(), self.width()),
        }
    }

    fn part_mut<'a>(
        self,
        qkv: &'a mut [f32],
        tokens: &Range<usize>,
        which: usize,
        head: usize,
    ) -> MatrixMut<'a> {
        let start = self.part_start(tokens, which, head);
        MatrixMut::strided(&mut qkv[start..], tokens.len(), self.width(), self.stride())
    }

    fn part_start(self, tokens: &Range<usize>, which: usize, head: usize) -> usize {
        let (token, own) = (tokens.start * self.stride(), head / self.group());
        let column = match which {
            0 => head * self.width(),
            1 => self.hidden + own * self.width(),
            _ => self.hidden + (self.key_value_heads + own) * self.width(),
        };
        token + column
    }

    /// Where the context of a block's queries begins in `[M, hidden]`.
    fn context_start(self, block: &Block<'_>) -> usize {
        let output = block.span.outputs.start + block.queries.start;
        output * self.hidden + block.head * self.width()
    }

    /// From queries, keys and values `[N, stride]` to the context of all outputs, `[M, hidden]`.
    /// `beside` is added to the scores. `mask` is dropout's, a number for each weight.
    pub(super) fn forward(
        self,
        qkv: &[f32],
        spans: &[Span],
        beside: Beside<'_>,
        mask: Option<Vec<f32>>,
        context: &mut [f32],
        workspace: &mut Workspace,
    ) -> Attended {
        // With a number of a mask for each weight, nothing is spared by keeping none.
        let kept = if mask.is_some() { usize::MAX } else { KEPT };
        self.forward_keeping(kept, qkv, spans, beside, mask, context, workspace)
    }

    /// The same where no pass back follows, and nothing is dropped out.
    pub(super) fn forward_only(
        self,
        qkv: &[f32],
        spans: &[Span],
        beside: Beside<'_>,
        context: &mut [f32],
        workspace: &mut Workspace,
    ) -> Attended {
        self.forward_keeping(0, qkv, spans, beside, None, context, workspace)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what goes in, and what comes out"
    )]
    pub(super) fn forward_keeping(
        self,
        kept: usize,
        qkv: &[f32],
        spans: &[Span],
        beside: Beside<'_>,
        mask: Option<Vec<f32>>,
        context: &mut [f32],
        workspace: &mut Workspace,
    ) -> Attended {
        // What reads places reads those of all of a row's queries at a time.
        let kept = match beside {
            Beside::Places(_) => usize::MAX,
            _ => kept,
        };
        let short = spans.iter().filter(|span| span.tokens.len() <= kept);
        let mut weights = workspace.take(self.heads * short.map(Span::weights).sum::<usize>());
        let mut passing = self.passing(spans, kept, workspace);
        let mut dropped = mask.map(|mask| (mask, workspace.take(weights.len())));
        for block in self.blocks(spans, kept) {
            let scores = match &block.kept {
                Some(place) => &mut weights[place.clone()],
                None => &mut passing[..block.weights()],
            };
            self.weigh(qkv, beside, &block, scores, workspace);
            let used = match (&mut dropped, &block.kept) {
                (Some((mask, product)), Some(place)) => {
                    let product = &mut product[place.clone()];
                    for ((product, x), mask) in
                        product.iter_mut().zip(&*scores).zip(&mask[place.clone()])
                    {
                        *product = x * mask;
                    }
                    &*product
                }
                _ => &*scores,
            };
            let (queries, tokens) = (block.queries.len(), &block.span.tokens);
            let to = &mut context[self.context_start(&block)..];
            multiply(
                MatrixMut::strided(to, queries, self.width(), self.hidden),
                1.0,
                Matrix::new(used, queries, tokens.len()),
                self.part(qkv, tokens, 2, block.head),
            );
        }
        workspace.give(passing);
        Attended {
            kept,
            weights,
            dropped,
        }
    }

    /// A buffer for the weights of any one block that aren't kept.
    fn passing(self, spans: &[Span], kept: usize, workspace: &mut Workspace) -> Vec<f32> {
        let long = spans.iter().filter(|span| span.tokens.len() > kept);
        let largest = long.map(|span| span.outputs.len().min(BLOCK) * span.tokens.len());
        workspace.take(largest.max().unwrap_or(0))
    }

    /// A block's weights, `[queries, L]`.
    fn weigh(
        self,
        qkv: &[f32],
        beside: Beside<'_>,
        block: &Block<'_>,
        scores: &mut [f32],
        workspace: &mut Workspace,
    ) {
        let tokens = &block.span.tokens;
        // No score needs a mask: rows aren't padded, so a row's scores are of its own tokens.
        multiply(
            MatrixMut::new(scores, block.queries.len(), tokens.len()),
            self.scale(),
            self.part(qkv, &block.query_tokens(), 0, block.head),
            self.part(qkv, tokens, 1, block.head).transposed(),
        );
        match beside {
            Beside::Nothing => {}
            Beside::Bias(bias) => {
                bias.add_to(scores, block.queries.start, tokens.len(), block.head);
            }
            Beside::Places(places) => {
                places.add_to(scores, self.sides(qkv, block), self.scale(), workspace);
            }
        }
        if let Some(reach) = self.reach {
            mask_far(scores, block.queries.start, tokens.len(), reach);
        }
        if self.causal {
            mask_later(scores, block.queries.start, tokens.len());
        }
        softmax(scores, tokens.len());
    }
}

impl Attended {
    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.weights);
        if let Some((mask, product)) = self.dropped {
            workspace.give(mask);
            workspace.give(product);
        }
    }
}
