//! Squared norms by unit of trained matrices, by the cheaper of two ways for each unit and
//! matrix (the mixed ghost norm of Bu et al. 2022).

use std::ops::Range;

use super::linear::MatrixTap;
use super::product::{Matrix, MatrixMut, multiply};
use super::vector::{dot, widely};
use super::workspace::Workspace;
use crate::gradient::squares::Square;

/// Rows of a Gram matrix that are multiplied at a time: what lies above the diagonal's blocks
/// is known by symmetry.
const BLOCK: usize = 32;

impl MatrixTap<'_> {
    /// A unit's rows of X, `[T, x_width]`.
    fn x_of(&self, unit: &Range<usize>) -> Matrix<'_> {
        Matrix::new(
            &self.x[unit.start * self.x_width..],
            unit.len(),
            self.x_width,
        )
    }

    /// A unit's rows of G, `[T, g_width]`.
    fn g_of(&self, unit: &Range<usize>) -> Matrix<'_> {
        let start = unit.start * self.g_stride + self.g_start;
        Matrix::strided(&self.g[start..], unit.len(), self.g_width, self.g_stride)
    }

    /// Adds ‖XᵀG‖² of each unit to its square.
    pub(super) fn add_squares(
        &self,
        units: &[Range<usize>],
        squares: &mut [Square],
        workspace: &mut Workspace,
    ) {
        let (p, d) = (self.x_width, self.g_width);
        for (unit, square) in units.iter().zip(squares) {
            if unit.is_empty() {
                continue;
            }
            // T²(p + d) multiplications or T p d.
            if unit.len() * (p + d) <= p * d {
                self.add_ghost(unit, square, workspace);
            } else {
                let mut gradient = workspace.take(p * d);
                multiply(
                    MatrixMut::new(&mut gradient, p, d),
                    1.0,
                    self.x_of(unit).transposed(),
                    self.g_of(unit),
                );
                square.sum += sum_of_squares(&gradient);
                workspace.give(gradient);
            }
        }
    }

    /// Σₜₛ (XXᵀ)ₜₛ (GGᵀ)ₜₛ, and what tells whether it can be relied on.
    fn add_ghost(&self, unit: &Range<usize>, square: &mut Square, workspace: &mut Workspace) {
        let tokens = unit.len();
        let mut x_gram = workspace.take(BLOCK * tokens);
        let mut g_gram = workspace.take(BLOCK * tokens);
        for first in (0..tokens).step_by(BLOCK) {
            let last = (first + BLOCK).min(tokens);
            let rows = unit.start + first..unit.start + last;
            let columns = unit.start..unit.start + last;
            multiply(
                MatrixMut::new(&mut x_gram, rows.len(), last),
                1.0,
                self.x_of(&rows),
                self.x_of(&columns).transposed(),
            );
            multiply(
                MatrixMut::new(&mut g_gram, rows.len(), last),
                1.0,
                self.g_of(&rows),
                self.g_of(&columns).transposed(),
            );
            let pairs = x_gram.chunks(last).zip(g_gram.chunks(last));
            for (row, (x, g)) in pairs.take(rows.len()).enumerate() {
                let diagonal = first + row;
                // Left of this block each product stands for its mirror image, too.
                let (left, inside) = widely(
                    #[inline(always)]
                    || {
                        let left = dot(&x[..first], &g[..first]);
                        (left, dot(&x[first..], &g[first..]))
                    },
                );
                square.sum += 2.0 * f64::from(left) + f64::from(inside);
                let (x, g) = (f64::from(x[diagonal]), f64::from(g[diagonal]));
                square.diagonal += x * g;
                square.magnitude += x + g;
            }
        }
        workspace.give(x_gram);
        workspace.give(g_gram);
    }
}

/// Σ xᵢ², added up in double precision over every few thousand.
pub(super) fn sum_of_squares(x: &[f32]) -> f64 {
    let chunks = x.chunks(4096).map(|chunk| {
        f64::from(widely(
            #[inline(always)]
            || dot(chunk, chunk),
        ))
    });
    chunks.sum()
}
