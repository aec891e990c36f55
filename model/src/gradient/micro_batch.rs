//! One padded batch: forward, backward, norms by unit, and the scaled sum.

use burn::tensor::{Int, Tensor, TensorData, activation};
use rand::Rng;

use super::Example;
use super::embedding::EmbeddingGradient;
use super::parts::{Factors, Part};
use super::runs::{Run, runs};
use super::squares::{Square, Squares};
use super::tape::{Dropout, Kept, Tape, linear};
use crate::bert::Batch;
use crate::classifier::Classifier;
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;

/// A batch of whole units after its backward pass.
pub(super) struct MicroBatch<'a> {
    model: &'a Classifier,
    /// The parts of the gradient, for each run of units.
    runs: Vec<(Run, Vec<Part>)>,
    embedding: Option<EmbeddingGradient>,
    units: usize,
    loss: f64,
}

impl<'a> MicroBatch<'a> {
    /// Runs `units`, each a list of rows of `examples`, through the network and back, with
    /// products in this precision.
    pub(super) fn run<R: Rng>(
        model: &'a Classifier,
        examples: &[Example],
        units: &[&[usize]],
        precision: ComputePrecision,
        rng: &mut R,
    ) -> Result<Self, ModelError> {
        let rows: Vec<&Example> = units
            .iter()
            .copied()
            .flatten()
            .map(|r| &examples[*r])
            .collect();
        let tokens: Vec<&[u32]> = rows.iter().map(|row| row.tokens.as_slice()).collect();
        let batch = model.batch(&tokens)?;
        let rate = model.options().dropout;
        let dropout = (rate > 0.0).then_some(Dropout { rate, rng });
        let mut tape = Tape::recording(model.options().train, dropout, precision);
        let logits = model.network().logits(&batch, &mut tape);
        let labels: Vec<i32> = rows.iter().map(|row| row.label as i32).collect();
        let labels = TensorData::new(labels, [rows.len(), 1]);
        let labels = Tensor::<2, Int>::from_data(labels, model.device());
        let loss = activation::log_softmax(logits, 1)
            .gather(1, labels)
            .sum()
            .neg();
        let value = loss
            .clone()
            .inner()
            .into_data()
            .iter::<f64>()
            .next()
            .unwrap_or(f64::NAN);
        let scale = precision.loss_scale();
        let scaled = match scale {
            Some(scale) => loss.mul_scalar(scale),
            None => loss,
        };
        let mut gradients = scaled.backward();
        let runs = runs(units.iter().map(|rows| rows.len()));
        let mut runs: Vec<(Run, Vec<Part>)> = runs.into_iter().map(|r| (r, Vec::new())).collect();
        let mut embedding = None;
        for tap in tape.into_taps() {
            // A layer that the loss doesn't depend on has no gradient.
            let Some(g) = tap.probe.grad_remove(&mut gradients) else {
                continue;
            };
            let g = match scale {
                Some(scale) => g.div_scalar(scale),
                None => g,
            };
            match tap.kept {
                Kept::Embedding => embedding = Some(on_host(g, &batch, units)),
                kept => add_parts(&tap.name, &kept, &g, &mut runs),
            }
        }
        Ok(Self {
            model,
            runs,
            embedding,
            units: units.len(),
            loss: value,
        })
    }

    /// Sum of the rows' losses.
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    /// The norm of each unit's gradient over all trained parameters, or `None` where it is no
    /// number or can't be relied on.
    pub(super) fn norms(&self) -> Vec<Option<f64>> {
        let mut on_host = vec![Square::default(); self.units];
        if let Some(embedding) = &self.embedding {
            embedding.add_squares(&mut on_host);
        }
        let on_host: Vec<f64> = on_host.iter().map(|square| square.sum).collect();
        let norms = self.runs.iter().flat_map(|(run, parts)| {
            let squares = parts.iter().map(Part::squares).reduce(Squares::plus);
            Squares::norms(squares, &on_host[run.units()])
        });
        norms.collect()
    }

    /// Adds Σ factor · gradient over the units to `sum`, which is in layout order.
    pub(super) fn add_scaled(&self, factors: &[f64], sum: &mut [f64]) {
        for (run, parts) in &self.runs {
            let factors = Factors::new(&factors[run.units()], self.model.device());
            for part in parts {
                self.add(&part.tensor, part.scaled_sum(&factors), sum);
            }
        }
        if let Some(embedding) = &self.embedding {
            embedding.add_scaled(factors, self.model.layout(), sum);
        }
    }

    fn add(&self, tensor: &str, data: TensorData, sum: &mut [f64]) {
        let Some(offset) = self.model.layout().offset_of(tensor) else {
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

/// Fetches ∂L/∂(sum of the embeddings), `[rows, tokens, width]`.
fn on_host(g: Tensor<3>, batch: &Batch, units: &[&[usize]]) -> EmbeddingGradient {
    let [_, _, width] = g.dims();
    let values = g.into_data().iter::<f32>().collect();
    let mut next = 0;
    let rows_of = units.iter().map(|unit| {
        let first = next;
        next += unit.len();
        first..next
    });
    let units = rows_of.collect();
    EmbeddingGradient::new(values, width, batch.ids().to_vec(), batch.places(), units)
}

/// Adds the parts of a layer's gradient to each run's, from ∂L/∂(output) `g`.
fn add_parts(layer: &str, kept: &Kept, g: &Tensor<3>, runs: &mut [(Run, Vec<Part>)]) {
    let tensor = |rest: &str| format!("{layer}.{rest}");
    let mut add = |part: &dyn Fn(&Run) -> Part| {
        for (run, parts) in runs.iter_mut() {
            parts.push(part(run));
        }
    };
    match kept {
        Kept::Linear(x) => {
            add(&|run| Part::product(tensor("weight"), x, g, run));
            add(&|run| Part::sum(tensor("bias"), g, run));
        }
        Kept::Norm(x) => {
            let scaled = x.clone() * g.clone();
            add(&|run| Part::sum(tensor("weight"), &scaled, run));
            add(&|run| Part::sum(tensor("bias"), g, run));
        }
        Kept::Bias => add(&|run| Part::sum(tensor("bias"), g, run)),
        Kept::Adapter(inputs) => {
            if let Some(x) = &inputs.x {
                let g = linear(g.clone(), &inputs.scaled_b, None);
                add(&|run| Part::product(tensor("lora_A.weight"), x, &g, run));
            }
            let xa = &inputs.scaled_xa;
            add(&|run| Part::product(tensor("lora_B.weight"), xa, g, run));
        }
        Kept::Embedding => {}
    }
}
