//! Gradients of the embeddings: rows of a table, added up by token id on the host. No
//! one-hot matrix is ever made.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::bert::Batch;

/// The gradient at the sum of the embeddings, on the host.
pub(super) struct EmbeddingGradient {
    /// `[rows, tokens, width]`
    values: Vec<f32>,
    tokens: usize,
    width: usize,
}

impl EmbeddingGradient {
    /// Fetches it from the device.
    pub(super) fn new(gradient: Tensor<3>) -> Self {
        let [_, tokens, width] = gradient.dims();
        Self {
            values: gradient.into_data().iter::<f32>().collect(),
            tokens,
            width,
        }
    }

    fn at(&self, row: usize, position: usize) -> &[f32] {
        let start = (row * self.tokens + position) * self.width;
        &self.values[start..start + self.width]
    }

    /// Adds the squared norm of each unit's gradient of the word, position and segment tables
    /// to `squares`.
    pub(super) fn add_squares(&self, batch: &Batch, unit_of_row: &[usize], squares: &mut [f64]) {
        // Sums by (table, row of the table) within one unit; a unit's rows lie together.
        let mut sums: BTreeMap<(u8, u32), Vec<f64>> = BTreeMap::new();
        for (row, unit) in unit_of_row.iter().copied().enumerate() {
            for (position, id) in batch.row(row).iter().enumerate() {
                let g = self.at(row, position);
                for key in [(0, *id), (1, position as u32), (2, 0)] {
                    let sum = sums.entry(key).or_insert_with(|| vec![0.0; self.width]);
                    sum.iter_mut().zip(g).for_each(|(s, x)| *s += f64::from(*x));
                }
            }
            if unit_of_row.get(row + 1) != Some(&unit) {
                squares[unit] += sums.values().flatten().map(|x| x * x).sum::<f64>();
                sums.clear();
            }
        }
    }

    /// Adds the rows' gradients, each times its unit's factor, to the tables' places in `sum`.
    pub(super) fn add_scaled(
        &self,
        batch: &Batch,
        unit_of_row: &[usize],
        factors: &[f64],
        offset: impl Fn(&str) -> Option<usize>,
        sum: &mut [f64],
    ) {
        let tables = [
            "word_embeddings",
            "position_embeddings",
            "token_type_embeddings",
        ];
        let [Some(words), Some(positions), Some(types)] = tables.map(offset) else {
            return;
        };
        for (row, unit) in unit_of_row.iter().enumerate() {
            let factor = factors[*unit];
            for (position, id) in batch.row(row).iter().enumerate() {
                let g = self.at(row, position);
                for begin in [
                    words + *id as usize * self.width,
                    positions + position * self.width,
                    types,
                ] {
                    let place = &mut sum[begin..begin + self.width];
                    place
                        .iter_mut()
                        .zip(g)
                        .for_each(|(s, x)| *s += factor * f64::from(*x));
                }
            }
        }
    }
}
