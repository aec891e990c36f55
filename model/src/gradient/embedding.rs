//! Gradients of the embeddings: rows of a table, added up by token id on the host. No
//! one-hot matrix is ever made.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::bert::Batch;

/// Adds the squared norm of each unit's gradient of the word, position and segment tables
/// to `squares`.
pub(super) fn add_squares(
    batch: &Batch,
    gradient: &Tensor<3>,
    unit_of_row: &[usize],
    squares: &mut [f64],
) {
    let [_, tokens, width] = gradient.dims();
    let values = host(gradient.clone());
    // Sums by (table, row of the table) within one unit; a unit's rows lie together.
    let mut sums: BTreeMap<(u8, u32), Vec<f64>> = BTreeMap::new();
    for (row, unit) in unit_of_row.iter().copied().enumerate() {
        for (position, id) in batch.row(row).iter().enumerate() {
            let start = (row * tokens + position) * width;
            let g = &values[start..start + width];
            for key in [(0, *id), (1, position as u32), (2, 0)] {
                let sum = sums.entry(key).or_insert_with(|| vec![0.0; width]);
                sum.iter_mut().zip(g).for_each(|(s, x)| *s += f64::from(*x));
            }
        }
        if unit_of_row.get(row + 1) != Some(&unit) {
            squares[unit] += sums.values().flatten().map(|x| x * x).sum::<f64>();
            sums.clear();
        }
    }
}

/// Adds the rows' gradients to the tables' places in `sum`.
pub(super) fn add_sums(
    batch: &Batch,
    gradient: Tensor<3>,
    offset: impl Fn(&str) -> Option<usize>,
    sum: &mut [f64],
) {
    let [rows, tokens, width] = gradient.dims();
    let tables = [
        "word_embeddings",
        "position_embeddings",
        "token_type_embeddings",
    ];
    let [Some(words), Some(positions), Some(types)] = tables.map(offset) else {
        return;
    };
    let values = host(gradient);
    for row in 0..rows {
        for (position, id) in batch.row(row).iter().enumerate() {
            let start = (row * tokens + position) * width;
            let g = &values[start..start + width];
            for begin in [
                words + *id as usize * width,
                positions + position * width,
                types,
            ] {
                let place = &mut sum[begin..begin + width];
                place
                    .iter_mut()
                    .zip(g)
                    .for_each(|(s, x)| *s += f64::from(*x));
            }
        }
    }
}

fn host(gradient: Tensor<3>) -> Vec<f32> {
    gradient.into_data().iter::<f32>().collect()
}
