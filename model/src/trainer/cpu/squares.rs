//! Squared norms by unit of trained matrices, by the cheaper of two ways for each unit and
//! matrix (the mixed ghost norm of Bu et al. 2022).

use std::ops::Range;

use super::cost::Cost;
use super::gram::ghost_square;
use super::linear::MatrixTap;
use super::lines::Vectors;
use super::product::{Matrix, MatrixMut, multiply};
use super::vector::{dot, widely};
use super::workspace::Workspace;
use crate::trainer::square::Square;

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

    fn x_vectors(&self, unit: &Range<usize>) -> Vectors<'_> {
        Vectors {
            values: &self.x[unit.start * self.x_width..],
            width: self.x_width,
            stride: self.x_width,
        }
    }

    fn g_vectors(&self, unit: &Range<usize>) -> Vectors<'_> {
        Vectors {
            values: &self.g[unit.start * self.g_stride + self.g_start..],
            width: self.g_width,
            stride: self.g_stride,
        }
    }

    /// Adds ‖XᵀG‖² of each unit to its square.
    pub(super) fn add_squares(
        &self,
        units: &[Range<usize>],
        squares: &mut [Square],
        workspace: &mut Workspace,
    ) {
        let (p, d) = (self.x_width, self.g_width);
        let cost = Cost::here();
        for (unit, square) in units.iter().zip(squares) {
            if unit.is_empty() {
                continue;
            }
            let tokens = unit.len();
            // By shape alone, never by time or values: the same unit is always measured in the same
            // way, so that its norm has the same bits in every run.
            if cost.ghost(tokens, p, d) <= cost.direct(tokens, p, d) {
                square.add(&ghost_square(
                    self.x_vectors(unit),
                    self.g_vectors(unit),
                    tokens,
                    workspace,
                ));
            } else {
                let mut gradient = workspace.take(p * d);
                multiply(
                    MatrixMut::new(&mut gradient, p, d),
                    1.0,
                    self.x_of(unit).transposed(),
                    self.g_of(unit),
                );
                // No diagonal and no magnitude: what is multiplied out can't cancel unnoticed.
                square.sum += sum_of_squares(&gradient);
                workspace.give(gradient);
            }
        }
    }
}

/// Σ xᵢ², added up in double precision over every few thousand: a gradient has millions of numbers,
/// and in single precision alone their squares' rounding errors would reach the clipping slack.
pub(super) fn sum_of_squares(x: &[f32]) -> f64 {
    let chunks = x.chunks(4096).map(|chunk| {
        f64::from(widely(
            #[inline(always)]
            || dot(chunk, chunk),
        ))
    });
    chunks.sum()
}
