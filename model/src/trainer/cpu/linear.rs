//! Linear layers: forward, back to their inputs, and what their trained tensors' gradients
//! are made of. Queries, keys and values are one layer of three parts.

use std::ops::Range;

use super::packed::Places;
use super::product::{Matrix, MatrixMut, add_product, multiply};
use super::workspace::Workspace;

/// A linear layer x W + b, in parts that have names of their own.
pub(super) struct HostLinear {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `[inputs, outputs]`
    pub(super) weight: Vec<f32>,
    /// `[outputs]`
    pub(super) bias: Vec<f32>,
    pub(super) parts: Vec<LinearPart>,
}

/// Some of a layer's outputs, with their places among the trained parameters.
pub(super) struct LinearPart {
    /// Which outputs.
    pub(super) columns: Range<usize>,
    /// Where the weight `[inputs, columns]` is, if it is trained.
    pub(super) weight_offset: Option<usize>,
    /// Where the bias is, if it is trained.
    pub(super) bias_offset: Option<usize>,
    pub(super) adapter: Option<HostAdapter>,
}

/// An adapter: `scale · (x A) B` is added to the outputs.
pub(super) struct HostAdapter {
    pub(super) rank: usize,
    pub(super) scale: f32,
    /// `[inputs, rank]`
    pub(super) a: Vec<f32>,
    /// `[rank, columns]`
    pub(super) b: Vec<f32>,
    pub(super) a_offset: Option<usize>,
    pub(super) b_offset: Option<usize>,
}

/// What a layer's pass leaves behind for its gradients, beside its inputs.
#[derive(Default)]
pub(super) struct LinearRecord {
    /// Each part's scale · x A, `[N, rank]`; empty where it has no adapter.
    scaled_xa: Vec<Vec<f32>>,
    /// ∂L/∂(output), `[N, outputs]`, once the pass back has been here.
    pub(super) g: Vec<f32>,
    /// Each part's scale · G Bᵀ, `[N, rank]`.
    scaled_gb: Vec<Vec<f32>>,
}

/// A linear layer with its inputs `[n, in]`, its record, and what the n are.
pub(super) type Passage<'a> = (&'a HostLinear, &'a [f32], &'a LinearRecord, Places);

/// A trained matrix, or several side by side: its gradient is XᵀG, for each unit by itself
/// where X and G are that unit's rows.
pub(super) struct MatrixTap<'a> {
    /// `[N, x_width]`
    pub(super) x: &'a [f32],
    pub(super) x_width: usize,
    /// `[N, g_stride]`, of which the columns from `g_start` on matter.
    pub(super) g: &'a [f32],
    pub(super) g_stride: usize,
    pub(super) g_start: usize,
    pub(super) g_width: usize,
    /// Where which of the matrix's columns go.
    pub(super) places: Vec<(usize, Range<usize>)>,
}

/// Where ∂L/∂(input) goes, `[n, inputs]`.
pub(super) enum InputGradient<'a> {
    /// Nobody asks for it.
    Unneeded,
    /// Over what is there.
    Written(&'a mut [f32]),
    /// In addition to what is there.
    Added(&'a mut [f32]),
}

impl HostLinear {
    /// Whether anything of it is trained.
    pub(super) fn is_trained(&self) -> bool {
        self.parts.iter().any(|part| {
            let adapter = part.adapter.as_ref();
            part.weight_offset.is_some()
                || part.bias_offset.is_some()
                || adapter.is_some_and(|a| a.a_offset.or(a.b_offset).is_some())
        })
    }

    /// Whether its gradients need ∂L/∂(output) of every token kept, and not only its sums.
    pub(super) fn keeps_matrices(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.weight_offset.is_some() || part.adapter.is_some())
    }

    /// x W and the adapters' parts for `x`, `[n, inputs]`, without the bias, `[n, outputs]`.
    pub(super) fn forward(
        &self,
        x: &[f32],
        n: usize,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, LinearRecord) {
        // Without the bias: whoever takes the product adds it in the pass that reads it anyway.
        let mut y = workspace.take(n * self.outputs);
        let x = Matrix::new(x, n, self.inputs);
        multiply(
            MatrixMut::new(&mut y, n, self.outputs),
            1.0,
            x,
            Matrix::new(&self.weight, self.inputs, self.outputs),
        );
        let mut record = LinearRecord::default();
        for part in &self.parts {
            let Some(adapter) = &part.adapter else {
                record.scaled_xa.push(Vec::new());
                continue;
            };
            let mut xa = workspace.take(n * adapter.rank);
            multiply(
                MatrixMut::new(&mut xa, n, adapter.rank),
                adapter.scale,
                x,
                Matrix::new(&adapter.a, self.inputs, adapter.rank),
            );
            if n > 0 {
                add_product(
                    MatrixMut::strided(
                        &mut y[part.columns.start..],
                        n,
                        part.columns.len(),
                        self.outputs,
                    ),
                    1.0,
                    Matrix::new(&xa, n, adapter.rank),
                    Matrix::new(&adapter.b, adapter.rank, part.columns.len()),
                );
            }
            record.scaled_xa.push(xa);
        }
        (y, record)
    }

    /// Keeps ∂L/∂(output) `g`, `[n, outputs]`, and finds ∂L/∂(input) if that is asked for.
    pub(super) fn backward(
        &self,
        g: Vec<f32>,
        n: usize,
        g_x: InputGradient<'_>,
        record: &mut LinearRecord,
        workspace: &mut Workspace,
    ) {
        record.scaled_gb.clear();
        for part in &self.parts {
            let Some(adapter) = part.adapter.as_ref().filter(|_| n > 0) else {
                record.scaled_gb.push(Vec::new());
                continue;
            };
            // The scale belongs to both of an adapter's gradients. It is put in once, here and in
            // `scaled_xa`, where there are `rank` numbers a token and not `outputs`.
            let columns = part.columns.len();
            let mut gb = workspace.take(n * adapter.rank);
            multiply(
                MatrixMut::new(&mut gb, n, adapter.rank),
                adapter.scale,
                Matrix::strided(&g[part.columns.start..], n, columns, self.outputs),
                Matrix::new(&adapter.b, adapter.rank, columns).transposed(),
            );
            record.scaled_gb.push(gb);
        }
        self.find_input_gradient(&g, n, g_x, record);
        record.g = g;
    }

    /// ∂L/∂x = G Wᵀ + Σ (scale · G Bᵀ) Aᵀ.
    fn find_input_gradient(
        &self,
        g: &[f32],
        n: usize,
        g_x: InputGradient<'_>,
        record: &LinearRecord,
    ) {
        let weight = Matrix::new(&self.weight, self.inputs, self.outputs).transposed();
        let g = Matrix::new(g, n, self.outputs);
        let g_x = match g_x {
            InputGradient::Unneeded => return,
            InputGradient::Written(g_x) => {
                multiply(MatrixMut::new(g_x, n, self.inputs), 1.0, g, weight);
                g_x
            }
            InputGradient::Added(g_x) => {
                add_product(MatrixMut::new(g_x, n, self.inputs), 1.0, g, weight);
                g_x
            }
        };
        for (part, gb) in self.parts.iter().zip(&record.scaled_gb) {
            let Some(adapter) = part.adapter.as_ref().filter(|_| n > 0) else {
                continue;
            };
            add_product(
                MatrixMut::new(g_x, n, self.inputs),
                1.0,
                Matrix::new(gb, n, adapter.rank),
                Matrix::new(&adapter.a, self.inputs, adapter.rank).transposed(),
            );
        }
    }

    /// Its trained matrices, where `x`, `[n, inputs]`, were its inputs.
    pub(super) fn matrices<'a>(
        &'a self,
        x: &'a [f32],
        record: &'a LinearRecord,
    ) -> Vec<MatrixTap<'a>> {
        let mut taps = Vec::new();
        let weights = self.parts.iter().filter_map(|part| {
            let offset = part.weight_offset?;
            Some((offset, part.columns.clone()))
        });
        // Queries, keys and values have one X: side by side their norms take one Gram matrix of it,
        // and not three.
        let places: Vec<_> = weights.collect();
        if let [(_, first), .., (_, last)] | [(_, first @ last)] = places.as_slice() {
            taps.push(MatrixTap {
                x,
                x_width: self.inputs,
                g: &record.g,
                g_stride: self.outputs,
                g_start: first.start,
                g_width: last.end - first.start,
                places: places
                    .iter()
                    .map(|(offset, columns)| {
                        let from = columns.start - first.start;
                        (*offset, from..from + columns.len())
                    })
                    .collect(),
            });
        }
        for (index, part) in self.parts.iter().enumerate() {
            let Some(adapter) = &part.adapter else {
                continue;
            };
            if let Some(offset) = adapter.a_offset {
                taps.push(MatrixTap {
                    x,
                    x_width: self.inputs,
                    g: &record.scaled_gb[index],
                    g_stride: adapter.rank,
                    g_start: 0,
                    g_width: adapter.rank,
                    places: vec![(offset, 0..adapter.rank)],
                });
            }
            if let Some(offset) = adapter.b_offset {
                let columns = part.columns.clone();
                taps.push(MatrixTap {
                    x: &record.scaled_xa[index],
                    x_width: adapter.rank,
                    g: &record.g,
                    g_stride: self.outputs,
                    g_start: columns.start,
                    g_width: columns.len(),
                    places: vec![(offset, 0..columns.len())],
                });
            }
        }
        taps
    }

    /// Its trained biases: which columns of G, summed over a unit's rows, go where.
    pub(super) fn biases(&self) -> Vec<(usize, Range<usize>)> {
        let biases = self.parts.iter().filter_map(|part| {
            let offset = part.bias_offset?;
            Some((offset, part.columns.clone()))
        });
        biases.collect()
    }
}

impl LinearRecord {
    /// The same before the pass back, with other rows, which `choose` takes of those that are there,
    /// so many numbers each.
    pub(super) fn of_rows(
        &self,
        layer: &HostLinear,
        mut choose: impl FnMut(&[f32], usize) -> Vec<f32>,
    ) -> Self {
        let parts = layer.parts.iter().zip(&self.scaled_xa);
        let scaled_xa = parts.map(|(part, xa)| match &part.adapter {
            Some(adapter) => choose(xa, adapter.rank),
            None => Vec::new(),
        });
        Self {
            scaled_xa: scaled_xa.collect(),
            ..Self::default()
        }
    }

    /// The record of several passes as one, where `join` puts numbers of so many a row together,
    /// of each pass its own.
    pub(super) fn joined(
        layer: &HostLinear,
        records: &[&Self],
        mut join: impl FnMut(usize, &[&[f32]]) -> Vec<f32>,
    ) -> Self {
        let mut of = |width, numbers: &dyn Fn(&Self) -> &[f32]| {
            let each: Vec<&[f32]> = records.iter().map(|record| numbers(record)).collect();
            join(width, &each)
        };
        let ranks = layer
            .parts
            .iter()
            .map(|part| part.adapter.as_ref().map_or(0, |a| a.rank));
        let ranks: Vec<usize> = ranks.collect();
        let ranks = || ranks.iter().copied().enumerate();
        Self {
            g: of(layer.outputs, &|record| &record.g),
            scaled_xa: ranks()
                .map(|(part, rank)| of(rank, &|record| &record.scaled_xa[part]))
                .collect(),
            scaled_gb: ranks()
                .map(|(part, rank)| of(rank, &|record| &record.scaled_gb[part]))
                .collect(),
        }
    }

    /// Applies `scale` to one side of each product that [`HostLinear::matrices`] lists: to G
    /// where a weight is trained, else to the sides that belong to the adapters alone.
    pub(super) fn scale(&mut self, layer: &HostLinear, scale: impl Fn(&mut [f32], usize)) {
        let trains_weights = layer.parts.iter().any(|part| part.weight_offset.is_some());
        if trains_weights {
            scale(&mut self.g, layer.outputs);
        }
        for (index, part) in layer.parts.iter().enumerate() {
            let Some(adapter) = &part.adapter else {
                continue;
            };
            scale(&mut self.scaled_gb[index], adapter.rank);
            // G is B's other side.
            if !trains_weights {
                scale(&mut self.scaled_xa[index], adapter.rank);
            }
        }
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.g);
        for buffer in self.scaled_xa.into_iter().chain(self.scaled_gb) {
            workspace.give(buffer);
        }
    }

    /// Gives G back at once where no gradient needs it.
    pub(super) fn give_unneeded(&mut self, layer: &HostLinear, workspace: &mut Workspace) {
        if !layer.keeps_matrices() {
            workspace.give(std::mem::take(&mut self.g));
        }
    }
}
