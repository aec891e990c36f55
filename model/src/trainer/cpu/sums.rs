//! Clipped sums over a tile's units of the gradients of trained vectors and matrices.

use std::ops::Range;

use super::linear::{HostLinear, MatrixTap};
use super::norms::HostNorm;
use super::product::{Matrix, MatrixMut, multiply};
use super::squares::sum_of_squares;
use super::vector::{add, widely};
use crate::trainer::square::Square;

/// A trained vector: its gradient for each unit.
pub(super) struct VectorTap {
    /// Its place among the trained parameters.
    offset: usize,
    width: usize,
    /// `[U, width]`
    each: Vec<f32>,
}

impl VectorTap {
    /// Σ over each unit's rows of `g`, `[n, stride]`, of which only `columns` matter.
    fn sum(
        offset: usize,
        g: &[f32],
        stride: usize,
        columns: Range<usize>,
        units: &[Range<usize>],
    ) -> Self {
        let width = columns.len();
        let mut each = vec![0.0; units.len() * width];
        widely(
            #[inline(always)]
            || {
                for unit in 0..each.len() / width.max(1) {
                    let to = &mut each[unit * width..(unit + 1) * width];
                    for row in units[unit].clone() {
                        let start = row * stride;
                        add(to, &g[start + columns.start..start + columns.end]);
                    }
                }
            },
        );
        Self {
            offset,
            width,
            each,
        }
    }

    /// Σ over each unit's rows of g ⊙ x, both `[n, width]`.
    fn products(offset: usize, g: &[f32], x: &[f32], width: usize, units: &[Range<usize>]) -> Self {
        let mut each = vec![0.0; units.len() * width];
        widely(
            #[inline(always)]
            || {
                for unit in 0..each.len() / width.max(1) {
                    let to = &mut each[unit * width..(unit + 1) * width];
                    for row in units[unit].clone() {
                        let place = row * width..(row + 1) * width;
                        let (g, x) = (&g[place.clone()], &x[place]);
                        for i in 0..width {
                            to[i] += g[i] * x[i];
                        }
                    }
                }
            },
        );
        Self {
            offset,
            width,
            each,
        }
    }

    /// Adds each unit's squared norm.
    pub(super) fn add_squares(&self, squares: &mut [Square]) {
        for (unit, square) in self.each.chunks(self.width.max(1)).zip(squares) {
            square.sum += sum_of_squares(unit);
        }
    }

    /// Writes Σ factor · gradient to its place in `sum`, which begins at `base` of the trained
    /// parameters, and says how many numbers that are.
    pub(super) fn write_sum(&self, factors: &[f32], base: usize, sum: &mut [f32]) -> usize {
        let start = self.offset - base;
        let to = &mut sum[start..start + self.width];
        to.fill(0.0);
        for (unit, factor) in self.each.chunks(self.width.max(1)).zip(factors) {
            for (to, x) in to.iter_mut().zip(unit) {
                *to += factor * x;
            }
        }
        self.width
    }
}

/// Gradients by unit of trained biases and normalisations, as a pass back finds them.
#[derive(Default)]
pub(super) struct VectorTaps {
    taps: Vec<VectorTap>,
}

impl VectorTaps {
    /// Adds a tap, to that of another use of the same vector if there was one: what is measured and
    /// clipped is a unit's gradient over all uses.
    fn push(&mut self, tap: VectorTap) {
        match self.taps.iter_mut().find(|t| t.offset == tap.offset) {
            Some(known) => add(&mut known.each, &tap.each),
            None => self.taps.push(tap),
        }
    }

    /// Adds a linear layer's biases, from ∂L/∂(output) `g`, `[n, outputs]`, of which `units` has
    /// each unit's rows.
    pub(super) fn add_biases(&mut self, layer: &HostLinear, g: &[f32], units: &[Range<usize>]) {
        for (offset, columns) in layer.biases() {
            let tap = VectorTap::sum(offset, g, layer.outputs, columns, units);
            self.push(tap);
        }
    }

    /// Adds a vector at `offset`, from the gradient of each row, `[R, width]`.
    pub(super) fn add_rows(
        &mut self,
        offset: usize,
        g: &[f32],
        width: usize,
        units: &[Range<usize>],
    ) {
        let tap = VectorTap::sum(offset, g, width, 0..width, units);
        self.push(tap);
    }

    /// Adds a vector at `offset`, from the gradient of each unit, `[U, width]`.
    pub(super) fn add_units(&mut self, offset: usize, each: Vec<f32>, width: usize) {
        self.push(VectorTap {
            offset,
            width,
            each,
        });
    }

    /// Adds a normalisation's γ and β, from ∂L/∂(output) `g` and x̂, both `[n, width]`.
    pub(super) fn add_norm(
        &mut self,
        norm: &HostNorm,
        g: &[f32],
        normalised: &[f32],
        units: &[Range<usize>],
    ) {
        let width = norm.gamma.len();
        if let Some(offset) = norm.gamma_offset {
            let tap = VectorTap::products(offset, g, normalised, width, units);
            self.push(tap);
        }
        if let Some(offset) = norm.beta_offset {
            let tap = VectorTap::sum(offset, g, width, 0..width, units);
            self.push(tap);
        }
    }

    /// All of them.
    pub(super) fn into_taps(self) -> Vec<VectorTap> {
        self.taps
    }
}

impl MatrixTap<'_> {
    /// Writes XᵀG over all of the first `rows` rows, whose factors are in one of the two
    /// already, to its places in `sum`, which begins at `base` of the trained parameters, and says
    /// how many numbers that are.
    pub(super) fn write_sum(&self, rows: usize, base: usize, sum: &mut [f32]) -> usize {
        for (offset, columns) in &self.places {
            let to = &mut sum[offset - base..offset - base + self.x_width * columns.len()];
            let to = MatrixMut::new(to, self.x_width, columns.len());
            let x = Matrix::new(self.x, rows, self.x_width).transposed();
            let start = (self.g_start + columns.start).min(self.g.len());
            let g = Matrix::strided(&self.g[start..], rows, columns.len(), self.g_stride);
            multiply(to, 1.0, x, g);
        }
        let columns = self.places.iter().map(|(_, columns)| columns.len());
        self.x_width * columns.sum::<usize>()
    }

    /// Writes XᵀG over one unit's `rows` to its places in `gradient`, which begins at `base` of
    /// the trained parameters, and says which those are.
    pub(super) fn write_unit(
        &self,
        rows: Range<usize>,
        base: usize,
        gradient: &mut [f32],
    ) -> Vec<Range<usize>> {
        let mut written = Vec::with_capacity(self.places.len());
        for (offset, columns) in &self.places {
            let place = offset - base..offset - base + self.x_width * columns.len();
            let to = MatrixMut::new(&mut gradient[place.clone()], self.x_width, columns.len());
            let x_start = (rows.start * self.x_width).min(self.x.len());
            let x = Matrix::new(&self.x[x_start..], rows.len(), self.x_width).transposed();
            let g_start = rows.start * self.g_stride + self.g_start + columns.start;
            let g = &self.g[g_start.min(self.g.len())..];
            let g = Matrix::strided(g, rows.len(), columns.len(), self.g_stride);
            multiply(to, 1.0, x, g);
            written.push(place);
        }
        written
    }
}

/// Multiplies each unit's rows of `values`, `[n, width]`, by its factor.
pub(super) fn scale_units(
    values: &mut [f32],
    width: usize,
    units: &[Range<usize>],
    factors: &[f32],
) {
    widely(
        #[inline(always)]
        || {
            for (unit, factor) in units.iter().zip(factors) {
                for x in &mut values[unit.start * width..unit.end * width] {
                    *x *= factor;
                }
            }
        },
    );
}
