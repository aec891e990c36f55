//! A padded batch of token ids, with what masks its padding.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::families::{Positions, StatesRead};
use crate::tokens::TokenRow;

/// Added to the attention scores of padding: `exp` of it is 0 in f32, and it is far from
/// overflow.
pub(super) const MASKED: f32 = -1e9;

/// Rows of token ids, padded to one length.
pub(crate) struct Batch {
    /// `[rows, tokens]`
    tokens: Tensor<2, Int>,
    /// Token ids on the host, padded with 0.
    ids: Vec<u32>,
    /// Each token's row in the position table, padded with 0.
    position_rows: Vec<u32>,
    /// The same on the device, `[rows, tokens]`; `None` where they are 0, 1, 2 and so on, which
    /// needs no look-up.
    positions: Option<Tensor<2, Int>>,
    /// Each token's row in the segment table, padded with 0.
    type_rows: Vec<u32>,
    /// The same on the device, `[rows, tokens]`; `None` where they are all 0.
    types: Option<Tensor<2, Int>>,
    lengths: Vec<usize>,
    width: usize,
    /// `[rows, 1, 1, tokens]`
    attention_bias: Tensor<4>,
    /// `[rows, tokens, 1]`: how much of each state the head reads. 1/length at a row's tokens for
    /// their mean, and 0 at its padding.
    state_weights: Tensor<3>,
}

impl Batch {
    /// Pads rows of token ids, each of 1 to `width` tokens, and puts them on a device.
    pub(crate) fn new(
        rows: &[TokenRow<'_>],
        width: usize,
        positions: Positions,
        read: StatesRead,
        device: &Device,
    ) -> Self {
        let lengths: Vec<usize> = rows.iter().map(|row| row.ids().len()).collect();
        let count = rows.len();
        let mut ids = vec![0; count * width];
        let mut position_rows = vec![0; count * width];
        let mut types = vec![0; count * width];
        let mut bias = vec![MASKED; count * width];
        let mut weights = vec![0.0; count * width];
        for (row, start) in rows.iter().zip((0..).step_by(width)) {
            let (tokens, end) = (row.ids(), start + row.ids().len());
            ids[start..end].copy_from_slice(tokens);
            for (to, position) in position_rows[start..end]
                .iter_mut()
                .zip(positions.of(tokens))
            {
                *to = position;
            }
            for (to, kind) in types[start..end].iter_mut().zip(row.types()) {
                *to = kind;
            }
            bias[start..end].fill(0.0);
            let places = read.places(tokens);
            let share = 1.0 / places.len().max(1) as f32;
            weights[start..end][places].fill(share);
        }
        let integers = |numbers: &[u32]| {
            let numbers: Vec<i32> = numbers.iter().map(|id| id.cast_signed()).collect();
            Tensor::from_data(TensorData::new(numbers, [count, width]), device)
        };
        Self {
            tokens: integers(&ids),
            positions: matches!(positions, Positions::AfterPadding(_))
                .then(|| integers(&position_rows)),
            types: rows
                .iter()
                .any(|row| row.has_second())
                .then(|| integers(&types)),
            ids,
            position_rows,
            type_rows: types,
            lengths,
            width,
            attention_bias: Tensor::from_data(TensorData::new(bias, [count, 1, 1, width]), device),
            state_weights: Tensor::from_data(TensorData::new(weights, [count, width, 1]), device),
        }
    }

    /// `[rows, tokens]`
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.lengths.len(), self.width]
    }

    pub(crate) fn tokens(&self) -> Tensor<2, Int> {
        self.tokens.clone()
    }

    /// Each token's row in the position table, unless they are 0, 1, 2 and so on.
    pub(crate) fn positions(&self) -> Option<Tensor<2, Int>> {
        self.positions.clone()
    }

    /// Each token's row in the segment table, unless they are all 0.
    pub(crate) fn types(&self) -> Option<Tensor<2, Int>> {
        self.types.clone()
    }

    /// Added to attention's scores: nothing, or what leaves no weight to padding.
    pub(crate) fn attention_bias(&self) -> Tensor<4> {
        self.attention_bias.clone()
    }

    /// How much of each state the head reads, `[rows, tokens, 1]`.
    pub(crate) fn state_weights(&self) -> Tensor<3> {
        self.state_weights.clone()
    }

    /// The token ids of all rows, `[rows, tokens]`, padded.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The rows in the position table of all tokens, `[rows, tokens]`, padded.
    pub(crate) fn position_rows(&self) -> &[u32] {
        &self.position_rows
    }

    /// The rows in the segment table of all tokens, `[rows, tokens]`, padded.
    pub(crate) fn type_rows(&self) -> &[u32] {
        &self.type_rows
    }

    /// Each row's places among the tokens, without padding.
    pub(crate) fn places(&self) -> Vec<Range<usize>> {
        let lengths = self.lengths.iter().enumerate();
        let place = |(row, length): (usize, &usize)| row * self.width..row * self.width + length;
        lengths.map(place).collect()
    }
}
