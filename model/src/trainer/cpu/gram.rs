//! Ghost norms: how long XᵀG is, from the inner products of X's rows and of G's, without XᵀG
//! (Goodfellow 2015 for one token; Li et al. 2022, "Large Language Models Can Be Strong
//! Differentially Private Learners", §4, for many).
//!
//! Gram matrices of a few dozen rows are too small for a matrix product at its best: half of
//! it is known by symmetry, and laying out the operands costs as much as multiplying them. Here
//! rows are only moved to where whole registers can be read, each pair's products are used where
//! they come about, and no Gram matrix is stored.
//!
//! A register tile has R rows and C columns of a Gram matrix, each a vector of partial sums. What
//! is done for each of them is written out by [`each`], neither handed to `core` as a closure,
//! which may end up as a call for every load, nor left to the optimiser as a loop over an array,
//! which may end up in memory (`tests/inner_loops.rs` looks for both in what was built).

use pulp::{Simd, WithSimd};

#[cfg(target_arch = "x86_64")]
use super::fold::SideBySide;
use super::fold::{Fold, OneByOne};
use super::instructions::Instructions;
use super::lines::{Lines, Vectors};
use super::workspace::Workspace;
use crate::trainer::square::Square;

/// Writes `body` out for every value of `index` below `count`, six at most, as a constant.
macro_rules! each {
    ($index:ident < $count:ident, $body:block) => {
        each!(@ $index $count $body 0 1 2 3 4 5)
    };
    (@ $index:ident $count:ident $body:block $($value:literal)*) => {{$(
        {
            const $index: usize = $value;
            if $index < $count $body
        }
    )*}};
}

/// Columns whose partial sums are kept at a time, for R rows: up to 9 kB of the fastest cache.
const STRIP: usize = 24;

/// Columns whose vectors stay in the second cache while all rows go by.
const BLOCK: usize = 2 * STRIP;

/// Numbers of each vector that are multiplied before the next column's turn: those of R rows stay
/// in the fastest cache.
const CHUNK: usize = 384;

/// Σₜₛ ⟨xₜ, xₛ⟩⟨gₜ, gₛ⟩ = ‖XᵀG‖² over `tokens` rows of both, with what tells whether it can be
/// relied on.
///
/// # Panics
/// Where there are fewer vectors.
pub(super) fn ghost_square(
    x: Vectors<'_>,
    g: Vectors<'_>,
    tokens: usize,
    workspace: &mut Workspace,
) -> Square {
    ghost_square_in(Instructions::used(), x, g, tokens, workspace)
}

fn ghost_square_in(
    instructions: Instructions,
    x: Vectors<'_>,
    g: Vectors<'_>,
    tokens: usize,
    workspace: &mut Workspace,
) -> Square {
    let [x_lines, g_lines] = [x, g].map(|vectors| Lines::copy(vectors, tokens, workspace));
    let square = GhostSquare {
        x: x_lines.vectors(),
        g: g_lines.vectors(),
        tokens,
    };
    let square = match instructions {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512(simd) => Simd::vectorize(simd, InAvx512(square, simd)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2(simd) => Simd::vectorize(simd, InAvx2(square, simd)),
        Instructions::Other(arch) => arch.dispatch(square),
    };
    x_lines.give(workspace);
    g_lines.give(workspace);
    square
}

struct GhostSquare<'a> {
    x: Vectors<'a>,
    g: Vectors<'a>,
    tokens: usize,
}

// R C sums, and beside them C columns and one row, in 32 registers or in 16.

impl WithSimd for GhostSquare<'_> {
    type Output = Square;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Square {
        self.sum::<S, _, 4, 3, { STRIP / 3 }>(simd, OneByOne)
    }
}

/// In the instructions whose token comes with it, for which there is a way to fold.
#[cfg(target_arch = "x86_64")]
struct InAvx512<'a>(GhostSquare<'a>, pulp::x86::V4);

#[cfg(target_arch = "x86_64")]
impl WithSimd for InAvx512<'_> {
    type Output = Square;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Square {
        let Self(square, simd) = self;
        square.sum::<_, _, 6, 4, { STRIP / 4 }>(simd, SideBySide)
    }
}

#[cfg(target_arch = "x86_64")]
struct InAvx2<'a>(GhostSquare<'a>, pulp::x86::V3);

#[cfg(target_arch = "x86_64")]
impl WithSimd for InAvx2<'_> {
    type Output = Square;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Square {
        let Self(square, simd) = self;
        square.sum::<_, _, 4, 3, { STRIP / 3 }>(simd, SideBySide)
    }
}

/// The sums of N register tiles side by side.
type Tiles<V, const R: usize, const C: usize, const N: usize> = [[[V; C]; R]; N];

impl GhostSquare<'_> {
    #[inline(always)]
    fn sum<S: Simd, F: Fold<S>, const R: usize, const C: usize, const N: usize>(
        &self,
        simd: S,
        fold: F,
    ) -> Square {
        let mut square = Square::default();
        let mut sums = [[[simd.splat_f32s(0.0); C]; R]; N];
        let mut block = 0;
        while block < self.tokens {
            let beyond_block = (block + BLOCK).min(self.tokens);
            // Nothing right of the diagonal.
            let mut row = block;
            while row < self.tokens {
                let mut column = block;
                while column < beyond_block.min(row + R) {
                    let strip = Strip {
                        row,
                        column,
                        beyond: beyond_block.min(row + R).min(column + STRIP),
                        last: self.tokens - 1,
                    };
                    self.add_strip::<S, F, R, C, N>((simd, fold), strip, &mut sums, &mut square);
                    column += STRIP;
                }
                row += R;
            }
            block += BLOCK;
        }
        square
    }

    /// Adds the products of R rows and up to N C columns.
    #[inline(always)]
    fn add_strip<S: Simd, F: Fold<S>, const R: usize, const C: usize, const N: usize>(
        &self,
        (simd, fold): (S, F),
        strip: Strip,
        sums: &mut Tiles<S::f32s, R, C, N>,
        square: &mut Square,
    ) {
        let tiles = (strip.beyond - strip.column).div_ceil(C);
        let mut products = [[[0.0; C]; R]; N];
        multiply_strip(simd, self.x, strip, sums);
        // By places rather than pairs, and element by element: see `vector.rs`.
        for tile in 0..tiles.min(N) {
            let (products, sums) = (&mut products[tile], &sums[tile]);
            each!(I < R, {
                let mut four = [simd.splat_f32s(0.0); 4];
                for j in 0..C {
                    four[j] = sums[I][j];
                }
                let folded = fold.fold(simd, four);
                for j in 0..C {
                    products[I][j] = folded[j];
                }
            });
        }
        multiply_strip(simd, self.g, strip, sums);
        for i in 0..R {
            let row = strip.row + i;
            if row <= strip.last && (strip.column..strip.beyond).contains(&row) {
                let place = row - strip.column;
                let x = f64::from(products[place / C][i][place % C]);
                let g = f64::from(simd.reduce_sum_f32s(sums[place / C][i][place % C]));
                square.diagonal += x * g;
                square.magnitude += x + g;
            }
        }
        for tile in 0..tiles.min(N) {
            let (products, sums) = (&mut products[tile], &sums[tile]);
            let column = strip.column + tile * C;
            if column + C > strip.row || strip.row + R > strip.last + 1 {
                strip.weigh(column, products);
            }
            // Partial sums of G's products are multiplied as they are: that spares their folding.
            let mut total = simd.splat_f32s(0.0);
            each!(I < R, {
                let mut of_row = simd.splat_f32s(0.0);
                each!(J < C, {
                    let x = simd.splat_f32s(products[I][J]);
                    of_row = simd.mul_add_e_f32s(x, sums[I][J], of_row);
                });
                total = simd.add_f32s(total, of_row);
            });
            // For (s, t), too.
            square.sum += 2.0 * f64::from(simd.reduce_sum_f32s(total));
        }
    }
}

/// Some columns beside R rows of a Gram matrix.
#[derive(Clone, Copy)]
struct Strip {
    /// The first row.
    row: usize,
    /// The first column.
    column: usize,
    /// The last column is the one before.
    beyond: usize,
    /// The last vector. At the edge it is taken again, and its products passed over.
    last: usize,
}

impl Strip {
    /// Halves products on the diagonal, and clears those that are right of it or below the edge.
    #[inline(always)]
    fn weigh<const R: usize, const C: usize>(self, column: usize, products: &mut [[f32; C]; R]) {
        each!(I < R, {
            each!(J < C, {
                let (row, column) = (self.row + I, column + J);
                if column > row || row > self.last {
                    products[I][J] = 0.0;
                } else if column == row {
                    products[I][J] *= 0.5;
                }
            });
        });
    }
}

/// Writes the strip's inner products, as partial sums, over `sums`.
#[inline(always)]
fn multiply_strip<S: Simd, const R: usize, const C: usize, const N: usize>(
    simd: S,
    vectors: Vectors<'_>,
    strip: Strip,
    sums: &mut Tiles<S::f32s, R, C, N>,
) {
    let tiles = (strip.beyond - strip.column).div_ceil(C);
    let mut from = 0;
    loop {
        let to = (from + CHUNK).min(vectors.width);
        let mut rows: [&[f32]; R] = [&[]; R];
        each!(I < R, {
            rows[I] = vectors.get((strip.row + I).min(strip.last), from, to);
        });
        for (tile, sums) in sums.iter_mut().take(tiles).enumerate() {
            let mut columns: [&[f32]; C] = [&[]; C];
            each!(J < C, {
                let column = strip.column + tile * C + J;
                columns[J] = vectors.get(column.min(strip.last), from, to);
            });
            add_products(simd, &rows, &columns, from == 0, sums);
        }
        from = to;
        if from == vectors.width {
            return;
        }
    }
}

/// Adds each row's products with each column, number by number, to `sums`, or to zeros where
/// they are the `first`. All are of one length, a multiple of [`LINE`].
#[inline(always)]
fn add_products<S: Simd, const R: usize, const C: usize>(
    simd: S,
    rows: &[&[f32]; R],
    columns: &[&[f32]; C],
    first: bool,
    sums: &mut [[S::f32s; C]; R],
) {
    // One length for all, which the compiler sees only if it is said.
    let len = S::as_simd_f32s(rows[0]).0.len();
    let mut row_heads: [&[S::f32s]; R] = [&[]; R];
    each!(I < R, { row_heads[I] = &S::as_simd_f32s(rows[I]).0[..len] });
    let mut column_heads: [&[S::f32s]; C] = [&[]; C];
    each!(J < C, {
        column_heads[J] = &S::as_simd_f32s(columns[J]).0[..len]
    });
    let zero = simd.splat_f32s(0.0);
    let mut tile = [[zero; C]; R];
    if !first {
        each!(I < R, { each!(J < C, { tile[I][J] = sums[I][J] }) });
    }
    let mut column = [zero; C];
    for k in 0..len {
        each!(J < C, { column[J] = column_heads[J][k] });
        each!(I < R, {
            let row = row_heads[I][k];
            each!(J < C, {
                tile[I][J] = simd.mul_add_e_f32s(row, column[J], tile[I][J]);
            });
        });
    }
    each!(I < R, { each!(J < C, { sums[I][J] = tile[I][J] }) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ghost_norms_are_those_of_the_product(
            tokens in 0usize..60, x_width in 0usize..50, g_width in 0usize..50,
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
            let workspace = &mut Workspace::default();
            let squares: Vec<Square> = Instructions::all()
                .into_iter()
                .map(|instructions| {
                    let (x, g) = (vectors(&x, x_width), vectors(&g, g_width));
                    ghost_square_in(instructions, x, g, tokens, workspace)
                })
                .collect();
            let x = |t: usize, i: usize| f64::from(x[t * (x_width + gap) + i]);
            let g = |t: usize, j: usize| f64::from(g[t * (g_width + gap) + j]);
            let mut sum = 0.0;
            for i in 0..x_width {
                for j in 0..g_width {
                    let product: f64 = (0..tokens).map(|t| x(t, i) * g(t, j)).sum();
                    sum += product * product;
                }
            }
            let of = |t, width, v: &dyn Fn(usize, usize) -> f64| -> f64 {
                (0..width).map(|i| v(t, i).powi(2)).sum()
            };
            let each: Vec<[f64; 2]> =
                (0..tokens).map(|t| [of(t, x_width, &x), of(t, g_width, &g)]).collect();
            for square in squares {
                prop_assert_eq!(square.sum, sum);
                prop_assert_eq!(square.diagonal, each.iter().map(|[x, g]| x * g).sum::<f64>());
                prop_assert_eq!(square.magnitude, each.iter().map(|[x, g]| x + g).sum::<f64>());
            }
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
            let workspace = &mut Workspace::default();
            let square = ghost_square(rows(&x, 20), rows(&[1.0; 50], 10), 5, workspace);
            assert_eq!(square.norm(), None);
        }
    }
}
