//! Ghost norms: how long XᵀG is, from the inner products of X's rows and of G's, without XᵀG
//! (Goodfellow 2015 for one token; Li et al. 2022, "Large Language Models Can Be Strong
//! Differentially Private Learners", §4, for many).
//!
//! Gram matrices of a few dozen rows are too small for a matrix product at its best: half of
//! it is known by symmetry, and laying out the operands costs as much as multiplying them. Here
//! rows are read where they lie, each pair's products are used where they come about, and no
//! Gram matrix is stored.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

use crate::gradient::squares::Square;

/// Rows, and columns, of a Gram matrix that are computed at a time: as many sums as the sixteen
/// registers of AVX2 hold beside what is added to them.
const ROWS: usize = 3;
const COLUMNS: usize = 4;

/// Vectors that lie `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    pub(super) values: &'a [f32],
    /// Numbers of a vector.
    pub(super) width: usize,
    pub(super) stride: usize,
}

impl<'a> Vectors<'a> {
    #[inline(always)]
    fn get(&self, index: usize) -> &'a [f32] {
        let start = index * self.stride;
        &self.values[start..start + self.width]
    }
}

/// Σₜₛ ⟨xₜ, xₛ⟩⟨gₜ, gₛ⟩ = ‖XᵀG‖² over `tokens` rows of both, with what tells whether it can be
/// relied on.
///
/// # Panics
/// Where there are fewer vectors.
pub(super) fn ghost_square(x: Vectors<'_>, g: Vectors<'_>, tokens: usize) -> Square {
    Arch::new().dispatch(GhostSquare { x, g, tokens })
}

struct GhostSquare<'a> {
    x: Vectors<'a>,
    g: Vectors<'a>,
    tokens: usize,
}

impl WithSimd for GhostSquare<'_> {
    type Output = Square;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Square {
        let mut square = Square::default();
        for first_row in (0..self.tokens).step_by(ROWS) {
            let beyond = (first_row + ROWS).min(self.tokens);
            // Nothing right of the diagonal.
            for first_column in (0..beyond).step_by(COLUMNS) {
                // At the edge the last vector is taken again, and its products passed over.
                let rows: [usize; ROWS] = from_fn(|i| (first_row + i).min(beyond - 1));
                let columns: [usize; COLUMNS] = from_fn(|j| (first_column + j).min(beyond - 1));
                let x = products(
                    simd,
                    rows.map(|i| self.x.get(i)),
                    columns.map(|j| self.x.get(j)),
                );
                let g = products(
                    simd,
                    rows.map(|i| self.g.get(i)),
                    columns.map(|j| self.g.get(j)),
                );
                for i in 0..ROWS {
                    for j in 0..COLUMNS {
                        let (row, column) = (first_row + i, first_column + j);
                        if row < beyond && column <= row {
                            square.add_pair(f64::from(x[i][j]), f64::from(g[i][j]), row == column);
                        }
                    }
                }
            }
        }
        square
    }
}

impl Square {
    /// Adds ⟨xₜ, xₛ⟩⟨gₜ, gₛ⟩: once for t = s, and else for (s, t), too.
    #[inline(always)]
    fn add_pair(&mut self, x: f64, g: f64, diagonal: bool) {
        if diagonal {
            self.sum += x * g;
            self.diagonal += x * g;
            self.magnitude += x + g;
        } else {
            self.sum += 2.0 * (x * g);
        }
    }
}

/// Each row's inner product with each column; all are of one length.
#[inline(always)]
fn products<S: Simd>(
    simd: S,
    rows: [&[f32]; ROWS],
    columns: [&[f32]; COLUMNS],
) -> [[f32; COLUMNS]; ROWS] {
    let rows = rows.map(S::as_simd_f32s);
    let columns = columns.map(S::as_simd_f32s);
    // One length for all, which the compiler sees only if it is said.
    let len = rows[0].0.len();
    let row_heads: [&[S::f32s]; ROWS] = from_fn(|i| &rows[i].0[..len]);
    let column_heads: [&[S::f32s]; COLUMNS] = from_fn(|j| &columns[j].0[..len]);
    let mut sums = [[simd.splat_f32s(0.0); COLUMNS]; ROWS];
    for k in 0..len {
        let row: [S::f32s; ROWS] = from_fn(|i| row_heads[i][k]);
        for j in 0..COLUMNS {
            let column = column_heads[j][k];
            for i in 0..ROWS {
                sums[i][j] = simd.mul_add_e_f32s(row[i], column, sums[i][j]);
            }
        }
    }
    // Loops rather than closures here: a closure that isn't inlined lacks the instructions.
    let mut products = [[0.0; COLUMNS]; ROWS];
    for i in 0..ROWS {
        for j in 0..COLUMNS {
            products[i][j] = simd.reduce_sum_f32s(sums[i][j]);
            for (x, y) in rows[i].1.iter().zip(columns[j].1) {
                products[i][j] += x * y;
            }
        }
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ghost_norms_are_those_of_the_product(
            tokens in 0usize..40, x_width in 0usize..50, g_width in 0usize..50,
            gap in 0usize..3, seed: u32,
        ) {
            // Small whole numbers, whose sums single precision keeps exactly.
            let numbers = |count: usize, seed: u32| -> Vec<f32> {
                let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed) % 7;
                (0..count).map(|i| number(i) as f32 - 3.0).collect()
            };
            let x = numbers(tokens * (x_width + gap), seed);
            let g = numbers(tokens * (g_width + gap), seed ^ 0xabcd);
            let vectors = |values, width| Vectors { values, width, stride: width + gap };
            let square = ghost_square(vectors(&x, x_width), vectors(&g, g_width), tokens);
            let x = |t: usize, i: usize| f64::from(x[t * (x_width + gap) + i]);
            let g = |t: usize, j: usize| f64::from(g[t * (g_width + gap) + j]);
            let mut sum = 0.0;
            for i in 0..x_width {
                for j in 0..g_width {
                    let product: f64 = (0..tokens).map(|t| x(t, i) * g(t, j)).sum();
                    sum += product * product;
                }
            }
            prop_assert_eq!(square.sum, sum);
            let of = |t, width, v: &dyn Fn(usize, usize) -> f64| -> f64 {
                (0..width).map(|i| v(t, i).powi(2)).sum()
            };
            let each: Vec<[f64; 2]> =
                (0..tokens).map(|t| [of(t, x_width, &x), of(t, g_width, &g)]).collect();
            prop_assert_eq!(square.diagonal, each.iter().map(|[x, g]| x * g).sum::<f64>());
            prop_assert_eq!(square.magnitude, each.iter().map(|[x, g]| x + g).sum::<f64>());
        }
    }

    #[test]
    fn what_is_no_number_shows() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = vec![1.0; 5 * 20];
            x[33] = bad;
            let rows = |values, width| Vectors {
                values,
                width,
                stride: width,
            };
            let square = ghost_square(rows(&x, 20), rows(&[1.0; 50], 10), 5);
            assert_eq!(square.norm(), None);
        }
    }
}
