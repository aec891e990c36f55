//! One padded batch: forward, backward, norms by unit, and the scaled sum.

use burn::tensor::{Int, Tensor, TensorData, activation};
use rand::Rng;

use super::Example;
use super::embedding;
use super::tape::{Dropout, Kept, Tape};
use super::taps;
use crate::bert::Batch;
use crate::classifier::Classifier;
use crate::error::ModelError;

/// A trained layer after the backward pass.
struct Layer {
    name: String,
    kept: Kept,
    /// ∂L/∂(output), `[rows, tokens, out]`.
    gradient: Tensor<3>,
}

/// A batch of whole units after its backward pass.
pub(super) struct MicroBatch<'a> {
    model: &'a Classifier,
    batch: Batch,
    layers: Vec<Layer>,
    /// The unit of each row, as an index into the batch's units.
    unit_of_row: Vec<usize>,
    units: usize,
    loss: f64,
}

impl<'a> MicroBatch<'a> {
    /// Runs `units`, each a list of rows of `examples`, through the network and back.
    pub(super) fn run<R: Rng>(
        model: &'a Classifier,
        examples: &[Example],
        units: &[&[usize]],
        rng: &mut R,
    ) -> Result<Self, ModelError> {
        let rows: Vec<&Example> = units
            .iter()
            .copied()
            .flatten()
            .map(|r| &examples[*r])
            .collect();
        let unit_of_row = units
            .iter()
            .enumerate()
            .flat_map(|(unit, rows)| rows.iter().map(move |_| unit))
            .collect();
        let tokens: Vec<&[u32]> = rows.iter().map(|row| row.tokens.as_slice()).collect();
        let batch = model.batch(&tokens)?;
        let rate = model.options().dropout;
        let dropout = (rate > 0.0).then_some(Dropout { rate, rng });
        let mut tape = Tape::recording(model.options().train, dropout);
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
        let mut gradients = loss.backward();
        let layers = tape
            .into_taps()
            .into_iter()
            .filter_map(|tap| {
                // A layer that the loss doesn't depend on has no gradient.
                let gradient = tap.probe.grad_remove(&mut gradients)?;
                Some(Layer {
                    name: tap.name,
                    kept: tap.kept,
                    gradient,
                })
            })
            .collect();
        Ok(Self {
            model,
            batch,
            layers,
            unit_of_row,
            units: units.len(),
            loss: value,
        })
    }

    /// Sum of the rows' losses.
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    /// The norm of each unit's gradient over all trained parameters. NaN or infinity where
    /// the gradient, or its square in f32, is.
    pub(super) fn norms(&self) -> Vec<f64> {
        let groups = self.grouping();
        let mut squares = vec![0.0; self.units];
        let mut on_device: Option<Tensor<1>> = None;
        for layer in &self.layers {
            let gradient = layer.gradient.clone();
            let layer_squares = match &layer.kept {
                Kept::Linear(x) => taps::linear_squares(x.clone(), gradient, groups.as_ref()),
                Kept::Norm(x) => taps::norm_squares(x.clone(), gradient, groups.as_ref()),
                Kept::Embedding => {
                    embedding::add_squares(&self.batch, gradient, &self.unit_of_row, &mut squares);
                    continue;
                }
            };
            on_device = Some(match on_device {
                Some(sum) => sum + layer_squares,
                None => layer_squares,
            });
        }
        if let Some(sum) = on_device {
            for (square, x) in squares.iter_mut().zip(sum.into_data().iter::<f64>()) {
                *square += x;
            }
        }
        // Rounding can make a square slightly negative; NaN must stay NaN, so no `max`.
        let root = |square: f64| if square < 0.0 { 0.0 } else { square.sqrt() };
        squares.into_iter().map(root).collect()
    }

    /// Adds Σ factor · gradient over the units to `sum`, which is in layout order.
    pub(super) fn add_scaled(&self, factors: &[f64], sum: &mut [f64]) {
        let scale = self.row_factors(factors);
        for layer in &self.layers {
            let mut gradient = layer.gradient.clone();
            if let Some(scale) = &scale {
                gradient = gradient * scale.clone();
            }
            match &layer.kept {
                Kept::Linear(x) => {
                    let (weight, bias) = taps::linear_sum(x.clone(), gradient);
                    self.add(&layer.name, "weight", weight.into_data(), sum);
                    self.add(&layer.name, "bias", bias.into_data(), sum);
                }
                Kept::Norm(x) => {
                    let (gamma, beta) = taps::norm_sum(x.clone(), gradient);
                    self.add(&layer.name, "weight", gamma.into_data(), sum);
                    self.add(&layer.name, "bias", beta.into_data(), sum);
                }
                Kept::Embedding => {
                    let offset = |table: &str| {
                        self.model
                            .layout()
                            .offset_of(&format!("embeddings.{table}.weight"))
                    };
                    embedding::add_sums(&self.batch, gradient, offset, sum);
                }
            }
        }
    }

    fn add(&self, layer: &str, tensor: &str, data: TensorData, sum: &mut [f64]) {
        let Some(offset) = self.model.layout().offset_of(&format!("{layer}.{tensor}")) else {
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

    /// `[rows, 1, 1]`, or `None` where every factor is 1.
    fn row_factors(&self, factors: &[f64]) -> Option<Tensor<3>> {
        if factors.iter().all(|factor| *factor == 1.0) {
            return None;
        }
        let rows: Vec<f32> = self
            .unit_of_row
            .iter()
            .map(|unit| factors[*unit] as f32)
            .collect();
        let shape = [rows.len(), 1, 1];
        Some(Tensor::from_data(
            TensorData::new(rows, shape),
            self.model.device(),
        ))
    }

    /// `[units, rows]` of ones and zeros that adds up the rows of each unit, or `None` where
    /// every unit has one row.
    fn grouping(&self) -> Option<Tensor<2>> {
        let rows = self.unit_of_row.len();
        if rows == self.units {
            return None;
        }
        let mut ones = vec![0.0_f32; self.units * rows];
        for (row, unit) in self.unit_of_row.iter().enumerate() {
            ones[unit * rows + row] = 1.0;
        }
        Some(Tensor::from_data(
            TensorData::new(ones, [self.units, rows]),
            self.model.device(),
        ))
    }
}

/// The summed gradient and loss of one unit's rows, however many there are.
pub(super) fn unclipped<R: Rng>(
    model: &Classifier,
    examples: &[Example],
    rows: &[usize],
    capacity: usize,
    rng: &mut R,
) -> Result<(Vec<f64>, f64), ModelError> {
    let mut sum = vec![0.0; model.layout().len()];
    let mut loss = 0.0;
    for rows in rows.chunks(capacity) {
        let batch = MicroBatch::run(model, examples, &[rows], rng)?;
        batch.add_scaled(&[1.0], &mut sum);
        loss += batch.loss();
    }
    Ok((sum, loss))
}
