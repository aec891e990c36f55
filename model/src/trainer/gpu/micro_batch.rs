//! One micro-batch: forward, backward, norms by unit, and the scaled sum.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};

use super::loss;
use super::parts::{Factors, Part};
use super::shape::Shape;
use super::squares::Squares;
use super::uses::{Use, gathered};
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;
use crate::families::Positions;
use crate::loss::Loss;
use crate::model::Model;
use crate::network::{Dropout, Kept, Tape, linear};
use crate::parameters::TrainedTables;
use crate::tokens::TokenRow;
use crate::trainer::embedding::{EmbeddingGradient, TableRows};
use crate::trainer::square::Square;
use crate::trainer::work::Example;

/// What a micro-batch passes through, and how.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) model: &'a Model,
    pub(super) shape: Shape,
    /// Of the encoder's products.
    pub(super) precision: ComputePrecision,
}

/// A batch of whole units after its backward pass.
pub(super) struct MicroBatch<'a> {
    setting: Setting<'a>,
    parts: Vec<Part>,
    embedding: Option<EmbeddingGradient>,
    /// Of those that were asked for.
    units: usize,
    /// Sum of the rows' losses.
    loss: f64,
    /// How far each unit's answers are from what is right.
    residuals: Vec<f64>,
}

impl<'a> MicroBatch<'a> {
    /// Runs `units`, each a list of rows of `examples`, through the network and back. A list
    /// may be empty, and there may be fewer than the shape has room for.
    pub(super) fn run(
        setting: Setting<'a>,
        examples: &[Example],
        units: &[&[usize]],
        dropout: Option<Dropout<'_>>,
    ) -> Result<Self, ModelError> {
        let Setting {
            model,
            shape,
            precision,
        } = setting;
        let rows = placed(shape, examples, units);
        let tokens: Vec<TokenRow<'_>> = rows
            .iter()
            .map(|row| row.map_or(NOBODY.into(), |row| (&row.tokens).into()))
            .collect();
        let batch = model.batch_of(&tokens, shape.tokens)?;
        let mut tape = Tape::recording(model.options().train, dropout, precision);
        let logits = model.network().logits(&batch, &mut tape);
        let rule = Loss::of(model.options());
        let scores = logits.clone().inner().into_data();
        let losses = loss::on_host(&scores.iter::<f32>().collect::<Vec<_>>(), &rule, &rows);
        let unit_rows = places(shape, units);
        let residuals = unit_rows.iter().map(|rows| {
            let total = losses[rows.clone()].iter().sum();
            rule.residual(total, rows.len())
        });
        let residuals = residuals.collect();
        let loss = loss::sum(logits, &rule, &rows);
        let scale = precision.loss_scale();
        let scaled = match scale {
            Some(scale) => loss.mul_scalar(scale),
            None => loss,
        };
        // The loss is a sum over rows that don't see each other, so one pass back yields every row's
        // own ∂L/∂(output) at each probe.
        let mut gradients = scaled.backward();
        let uses = tape.into_taps().into_iter().filter_map(|tap| {
            // A layer that the loss doesn't depend on has no gradient.
            let g = tap.probe.grad_remove(&mut gradients)?;
            let g = match scale {
                Some(scale) => g.div_scalar(scale),
                None => g,
            };
            Some((tap.name, tap.kept, g))
        });
        let uses: Vec<Use> = uses.collect();
        let mut parts = Vec::new();
        let mut embedding = None;
        for (layer, kept, g) in gathered(uses) {
            match kept {
                Kept::Embedding => {
                    let spec = model.spec();
                    let positions = spec.positions != Positions::Nowhere;
                    let positions = positions.then(|| batch.position_rows());
                    let types = spec.token_types.map(|_| batch.type_rows());
                    let trained = TrainedTables::of(model.options().train);
                    let tables = TableRows::of(trained, batch.ids(), positions, types);
                    let (values, width) = on_host(g);
                    let (rows, units) = (batch.places(), unit_rows.clone());
                    embedding = Some(EmbeddingGradient::new(values, width, tables, rows, units));
                }
                Kept::Linear(x) if layer == HEAD => {
                    let x = match model.options().head_scale.get() {
                        1.0 => x,
                        scale => x.mul_scalar(scale),
                    };
                    add_parts(&layer, &Kept::Linear(x), &g, shape, &mut parts);
                }
                kept => add_parts(&layer, &kept, &g, shape, &mut parts),
            }
        }
        // A layer may have no bias: what isn't trained is neither measured nor added.
        parts.retain(|part| model.layout().offset_of(&part.tensor).is_some());
        Ok(Self {
            setting,
            parts,
            embedding,
            units: units.len(),
            loss: losses.iter().sum(),
            residuals,
        })
    }

    /// Sum of the rows' losses.
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    /// How far each unit's answers are from what is right.
    pub(super) fn residuals(&self) -> &[f64] {
        &self.residuals
    }

    /// The norm of each unit's gradient over all trained parameters, or `None` where it is no
    /// number or can't be relied on.
    pub(super) fn norms(&self) -> Vec<Option<f64>> {
        let mut on_host = vec![Square::default(); self.units];
        if let Some(embedding) = &self.embedding {
            embedding.add_squares(&mut on_host);
        }
        let mut on_host: Vec<f64> = on_host.iter().map(|square| square.sum).collect();
        on_host.resize(self.setting.shape.units, 0.0);
        let squares = self.parts.iter().map(Part::squares).reduce(Squares::plus);
        let mut norms = Squares::norms(squares, &on_host);
        norms.truncate(self.units);
        norms
    }

    /// Adds Σ factor · gradient over the units to `sum`, which is in layout order.
    pub(super) fn add_scaled(&self, factors: &[f64], sum: &mut [f64]) {
        let Setting { model, shape, .. } = self.setting;
        // Nobody's gradient is zero, so that any factor will do.
        let mut all = factors.to_vec();
        all.resize(shape.units, 1.0);
        let all = Factors::new(&all, model.device());
        for part in &self.parts {
            self.add(&part.tensor, part.scaled_sum(&all), sum);
        }
        if let Some(embedding) = &self.embedding {
            embedding.add_scaled(factors, model.layout(), sum);
        }
    }

    /// All numbers that a unit's gradient is made of.
    pub(super) fn ingredients(&self, unit: usize) -> Vec<f32> {
        let parts = self.parts.iter().flat_map(|part| part.ingredients(unit));
        let embedding = self.embedding.iter();
        let embedding = embedding.flat_map(|embedding| embedding.ingredients(unit));
        parts.chain(embedding).collect()
    }

    fn add(&self, tensor: &str, data: TensorData, sum: &mut [f64]) {
        let Some(offset) = self.setting.model.layout().offset_of(tensor) else {
            return;
        };
        match data.as_slice::<f32>() {
            Ok(values) => {
                for (total, x) in sum[offset..].iter_mut().zip(values) {
                    *total += f64::from(*x);
                }
            }
            // Devices that compute in another format than f32.
            Err(_) => {
                for (total, x) in sum[offset..].iter_mut().zip(data.iter::<f64>()) {
                    *total += x;
                }
            }
        }
    }
}

/// The tokens of a row that isn't there; it has no loss.
const NOBODY: &[u32] = &[0];

/// The rows in their places: those of a unit lie together, and each unit has the same room.
fn placed<'e>(
    shape: Shape,
    examples: &'e [Example],
    units: &[&[usize]],
) -> Vec<Option<&'e Example>> {
    let mut rows = vec![None; shape.all_rows()];
    for (room, unit) in rows.chunks_mut(shape.rows.max(1)).zip(units) {
        for (place, row) in room.iter_mut().zip(*unit) {
            *place = Some(&examples[*row]);
        }
    }
    rows
}

/// Fetches ∂L/∂(sum of the embeddings), `[rows, tokens, width]`, with its width.
fn on_host(g: Tensor<3>) -> (Vec<f32>, usize) {
    let [_, _, width] = g.dims();
    (g.into_data().iter::<f32>().collect(), width)
}

/// Each unit's rows in a batch of this shape.
fn places(shape: Shape, units: &[&[usize]]) -> Vec<Range<usize>> {
    let rows_of = units.iter().enumerate().map(|(place, unit)| {
        let first = place * shape.rows;
        first..first + unit.len()
    });
    rows_of.collect()
}

/// Adds the parts of a layer's gradient, from ∂L/∂(output) `g`.
/// The last layer.
const HEAD: &str = "classifier";

fn add_parts(layer: &str, kept: &Kept, g: &Tensor<3>, shape: Shape, parts: &mut Vec<Part>) {
    let tensor = |rest: &str| format!("{layer}.{rest}");
    match kept {
        Kept::Linear(x) => {
            parts.push(Part::product(tensor("weight"), x, g, shape));
            parts.push(Part::sum(tensor("bias"), g, shape));
        }
        Kept::Norm(x) => {
            let scaled = x.clone() * g.clone();
            parts.push(Part::sum(tensor("weight"), &scaled, shape));
            parts.push(Part::sum(tensor("bias"), g, shape));
        }
        Kept::Bias => parts.push(Part::sum(tensor("bias"), g, shape)),
        Kept::Adapter(inputs) => {
            if let Some(x) = &inputs.x {
                let g = linear(g.clone(), &inputs.scaled_b, None);
                parts.push(Part::product(tensor("lora_A.weight"), x, &g, shape));
            }
            let xa = &inputs.scaled_xa;
            parts.push(Part::product(tensor("lora_B.weight"), xa, g, shape));
        }
        Kept::Copy => parts.push(Part::sum(tensor("weight"), g, shape)),
        Kept::Embedding => {}
    }
}
