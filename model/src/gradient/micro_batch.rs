//! One padded batch: forward, backward, norms by unit, and the scaled sum.

use burn::tensor::{Int, Tensor, TensorData, activation, module};
use rand::Rng;

use super::Example;
use super::embedding;
use super::runs::Runs;
use super::squares::Squares;
use super::tape::{Dropout, Kept, Tape};
use super::terms::{self, Term};
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

impl Layer {
    /// The gradients of the layer's tensors, with each row of ∂L/∂(output) scaled by its
    /// factor, `[rows, 1, 1]`, if there are any.
    fn terms(&self, factors: Option<&Tensor<3>>) -> Vec<Term> {
        let mut g = self.gradient.clone();
        if let Some(factors) = factors {
            g = g * factors.clone();
        }
        let tensor = |rest: &str| format!("{}.{rest}", self.name);
        match &self.kept {
            Kept::Linear(x) => vec![
                Term::Product {
                    tensor: tensor("weight"),
                    x: x.clone(),
                    g: g.clone(),
                },
                Term::Sum {
                    tensor: tensor("bias"),
                    g,
                },
            ],
            Kept::Norm(x) => vec![
                Term::Scaled {
                    tensor: tensor("weight"),
                    x: x.clone(),
                    g: g.clone(),
                },
                Term::Sum {
                    tensor: tensor("bias"),
                    g,
                },
            ],
            Kept::Bias => vec![Term::Sum {
                tensor: tensor("bias"),
                g,
            }],
            Kept::Adapter(inputs) => {
                let a = inputs.x.iter().map(|x| Term::Product {
                    tensor: tensor("lora_A.weight"),
                    x: x.clone(),
                    g: module::linear(g.clone(), inputs.scaled_b.clone(), None),
                });
                let mut terms: Vec<Term> = a.collect();
                terms.push(Term::Product {
                    tensor: tensor("lora_B.weight"),
                    x: inputs.scaled_xa.clone(),
                    g,
                });
                terms
            }
            Kept::Embedding => vec![Term::Tables { g }],
        }
    }
}

/// A batch of whole units after its backward pass.
pub(super) struct MicroBatch<'a> {
    model: &'a Classifier,
    batch: Batch,
    layers: Vec<Layer>,
    /// The unit of each row, as an index into the batch's units.
    unit_of_row: Vec<usize>,
    runs: Runs,
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
            runs: Runs::new(units.iter().map(|rows| rows.len())),
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
        let mut on_host = vec![0.0; self.units];
        let mut on_device: Option<Squares> = None;
        for term in self.layers.iter().flat_map(|layer| layer.terms(None)) {
            let squares = match &term {
                Term::Product { x, g, .. } => terms::product_squares(x, g, &self.runs),
                Term::Sum { g, .. } => terms::sum_squares(g, &self.runs),
                Term::Scaled { x, g, .. } => terms::scaled_squares(x, g, &self.runs),
                Term::Tables { g } => {
                    embedding::add_squares(&self.batch, g, &self.unit_of_row, &mut on_host);
                    continue;
                }
            };
            on_device = Some(match on_device {
                Some(sum) => sum.plus(squares),
                None => squares,
            });
        }
        Squares::norms(on_device, &on_host)
    }

    /// Adds Σ factor · gradient over the units to `sum`, which is in layout order.
    pub(super) fn add_scaled(&self, factors: &[f64], sum: &mut [f64]) {
        let factors = self.row_factors(factors);
        let layers = self.layers.iter();
        for term in layers.flat_map(|layer| layer.terms(factors.as_ref())) {
            match term {
                Term::Product { tensor, x, g } => {
                    self.add(&tensor, terms::product_sum(x, g), sum);
                }
                Term::Sum { tensor, g } => self.add(&tensor, terms::sum(g), sum),
                Term::Scaled { tensor, x, g } => self.add(&tensor, terms::sum(x * g), sum),
                Term::Tables { g } => {
                    let offset = |table: &str| {
                        self.model
                            .layout()
                            .offset_of(&format!("embeddings.{table}.weight"))
                    };
                    embedding::add_sums(&self.batch, g, offset, sum);
                }
            }
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
}
