//! A plain network whose weights burn's own autodiff tracks, for tests: single rows, no tap, no batch,
//! no padding, no operation of this crate.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use umbel_proto::task::Task;

use super::task_tests::plain_loss;
use super::{Clipping, Example};
use crate::families::relative::bucket;
use crate::families::{Activation, PoolerActivation, Positions, TransformerSpec};
use crate::network::Weight;
use crate::tokens::TokenRow;
use crate::{Classifier, Pooling};

/// A classifier's weights by name, tracked by autodiff.
pub(super) struct Plain<'a> {
    model: &'a Classifier,
    matrices: BTreeMap<String, Tensor<2>>,
    vectors: BTreeMap<String, Tensor<1>>,
}

impl<'a> Plain<'a> {
    pub(super) fn of(model: &'a Classifier) -> Self {
        let (mut matrices, mut vectors) = (BTreeMap::new(), BTreeMap::new());
        let Ok(()) = model.network().clone().visit(&mut |name, _, weight| {
            match weight {
                Weight::Matrix(tensor) | Weight::Table(tensor) => {
                    let tracked = tensor.clone().autodiff().require_grad();
                    matrices.insert(name.to_owned(), tracked);
                }
                Weight::Vector(tensor) => {
                    let tracked = tensor.clone().autodiff().require_grad();
                    vectors.insert(name.to_owned(), tracked);
                }
            }
            Ok::<(), std::convert::Infallible>(())
        });
        Self {
            model,
            matrices,
            vectors,
        }
    }

    fn matrix(&self, name: &str) -> Tensor<2> {
        self.matrices[name].clone()
    }

    fn vector(&self, name: &str) -> Tensor<2> {
        self.vectors[name].clone().unsqueeze()
    }

    pub(super) fn spec(&self) -> &TransformerSpec {
        self.model.spec()
    }

    pub(super) fn device(&self) -> &Device {
        self.model.device()
    }

    pub(super) fn linear(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let y = x.clone().matmul(self.matrix(&format!("{name}.weight")));
        let y = self.plus_bias(name, y);
        match self.matrices.get(&format!("{name}.lora_A.weight")) {
            Some(a) => {
                let lora = self.model.options().train.lora().expect("adapters");
                let b = self.matrix(&format!("{name}.lora_B.weight"));
                let scale = lora.alpha.get() / lora.rank.get() as f64;
                y + x.matmul(a.clone()).matmul(b).mul_scalar(scale)
            }
            None => y,
        }
    }

    fn plus_bias(&self, name: &str, y: Tensor<2>) -> Tensor<2> {
        match self.vectors.get(&format!("{name}.bias")) {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        }
    }

    pub(super) fn norm(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let centred = match self.spec().layer.centred {
            true => x.clone() - x.mean_dim(1),
            false => x,
        };
        let variance = centred.clone().powi_scalar(2).mean_dim(1);
        let epsilon = self.model.spec().layer_norm_epsilon;
        let scaled =
            centred / variance.add_scalar(epsilon).sqrt() * self.vector(&format!("{name}.weight"));
        self.plus_bias(name, scaled)
    }

    /// One row's cross-entropy.
    fn loss(&self, example: &Example) -> Tensor<1> {
        let device = self.model.device();
        let count = example.tokens.len();
        let ids: Vec<i32> = example.tokens.iter().map(|id| id.cast_signed()).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), device);
        let words = self.matrix("embeddings.word_embeddings.weight");
        let mut sum = words.select(0, ids);
        if self.model.spec().positions != Positions::Nowhere {
            let positions = self.matrix("embeddings.position_embeddings.weight");
            sum = sum + positions.select(0, self.positions(&example.tokens));
        }
        if self.model.spec().token_types.is_some() {
            let types = self.matrix("embeddings.token_type_embeddings.weight");
            let kinds = TokenRow::from(&example.tokens)
                .types()
                .map(u32::cast_signed);
            let kinds = TensorData::new(kinds.collect::<Vec<i32>>(), [count]);
            let kinds = Tensor::<1, Int>::from_data(kinds, self.model.device());
            sum = sum + types.select(0, kinds);
        }
        let mut hidden = match self.spec().norms_embeddings {
            true => self.norm("embeddings.LayerNorm", sum),
            false => sum,
        };
        if self.model.spec().projects_embeddings {
            hidden = self.linear("embeddings_project", hidden);
        }
        for layer in 0..self.model.spec().layers {
            let layer = if self.model.spec().shared_layers {
                0
            } else {
                layer
            };
            let name = format!("encoder.layer.{layer}");
            hidden = match (self.spec().causal, self.spec().layer.norm_first) {
                (true, _) => self.decoder_layer(layer, hidden),
                (false, true) => self.norm_first(layer, &name, hidden),
                (false, false) => self.layer(&name, hidden),
            };
        }
        if self.model.spec().layer.norm_first {
            hidden = self.norm("encoder.LayerNorm", hidden);
        }
        let width = self.model.spec().hidden_size;
        let first = hidden.clone().slice([0..1, 0..width]);
        let pooled = match self.model.options().pooling {
            Pooling::Mean => hidden.mean_dim(0),
            Pooling::Cls => first,
            Pooling::Last => self.last(hidden, &example.tokens),
            Pooling::Pooler => {
                let state = match self.model.spec().pooler.of_mean {
                    true => hidden.mean_dim(0),
                    false => first,
                };
                let pooled = self.linear("pooler.dense", state);
                let pooled = match self.model.spec().pooler.activation {
                    PoolerActivation::Tanh => pooled.tanh(),
                    PoolerActivation::Like(Activation::Relu) => activation::relu(pooled),
                    PoolerActivation::Like(_) => gelu(pooled),
                };
                match self.model.spec().pooler.has_norm {
                    true => self.norm("pooler.LayerNorm", pooled),
                    false => pooled,
                }
            }
        };
        let scores = self.linear("classifier", pooled);
        plain_loss(scores, &example.target, self.model.options())
    }

    /// The row of each token in the position table: counted one by one, as its definition has it.
    fn positions(&self, tokens: &[u32]) -> Tensor<1, Int> {
        let row = |place: usize| match self.model.spec().positions {
            Positions::Nowhere | Positions::FromZero => place as i32,
            Positions::AfterPadding(padding) => {
                let counted = tokens[..=place].iter().filter(|id| **id != padding);
                let counts = tokens[place] != padding;
                padding.cast_signed() + if counts { counted.count() as i32 } else { 0 }
            }
        };
        let rows: Vec<i32> = (0..tokens.len()).map(row).collect();
        Tensor::from_data(TensorData::new(rows, [tokens.len()]), self.model.device())
    }

    fn layer(&self, name: &str, hidden: Tensor<2>) -> Tensor<2> {
        let [tokens, width] = hidden.dims();
        let heads = self.model.spec().heads;
        let split = |which: &str| {
            self.linear(&format!("{name}.attention.self.{which}"), hidden.clone())
                .reshape([tokens, heads, width / heads])
                .swap_dims(0, 1)
        };
        let kinds = if self.model.spec().disentangled.is_some() {
            3
        } else {
            1
        };
        let scale = ((kinds * width / heads) as f64).sqrt();
        let mut scores = split("query").matmul(split("key").swap_dims(1, 2)) / scale;
        if let Some(shape) = self.model.spec().disentangled {
            let places = |which: &str| self.places(&format!("{name}.attention.self.{which}"));
            let against = |content: Tensor<3>, places: Tensor<3>| {
                let count = places.dims()[1];
                let all = content.matmul(places.swap_dims(1, 2));
                let all = all.reshape([heads, tokens, 1, count]);
                all.repeat_dim(2, tokens)
            };
            // One of the places for each pair, the others times zero.
            let chosen = |transposed: bool| {
                let rows = shape.table_rows();
                let mut chosen = vec![0.0_f32; tokens * tokens * rows];
                for (pair, chosen) in chosen.chunks_mut(rows).enumerate() {
                    let (one, other) = (pair / tokens, pair % tokens);
                    let row = match transposed {
                        false => shape.row(one, other),
                        true => shape.row(other, one),
                    };
                    chosen[row] = 1.0;
                }
                let shape = [1, tokens, tokens, rows];
                Tensor::<4>::from_data(TensorData::new(chosen, shape), self.model.device())
            };
            let sum = |all: Tensor<4>| all.sum_dim(3).reshape([heads, tokens, tokens]);
            let forth = sum(against(split("query"), places("key")) * chosen(false));
            let back = sum(against(split("key"), places("query")) * chosen(true));
            scores = scores + (forth + back.swap_dims(1, 2)) / scale;
        }
        if self.model.spec().relative_bias {
            scores = scores + self.relative_bias(tokens);
        }
        let context = activation::softmax(scores, 2)
            .matmul(split("value"))
            .swap_dims(0, 1)
            .reshape([tokens, width]);
        let attended = self.linear(&format!("{name}.attention.output.dense"), context);
        let attention_norm = format!("{name}.attention.output.LayerNorm");
        let hidden = self.norm(&attention_norm, hidden + attended);
        let middle = self.linear(&format!("{name}.intermediate.dense"), hidden.clone());
        let output = self.linear(&format!("{name}.output.dense"), self.activate(middle));
        self.norm(&format!("{name}.output.LayerNorm"), hidden + output)
    }

    /// A layer of ModernBERT: normalised first, gated, its queries and keys turned pair by pair.
    fn norm_first(&self, index: usize, name: &str, hidden: Tensor<2>) -> Tensor<2> {
        let spec = self.model.spec();
        let [tokens, width] = hidden.dims();
        let (heads, rotation) = (spec.heads, spec.rotations[index]);
        let inputs = match index {
            0 => hidden.clone(),
            _ => self.norm(&format!("{name}.attention.LayerNorm"), hidden.clone()),
        };
        let all = self.linear(&format!("{name}.attention.self.qkv"), inputs);
        let split = |which: usize| {
            all.clone()
                .slice([0..tokens, which * width..(which + 1) * width])
                .reshape([tokens, heads, width / heads])
                .swap_dims(0, 1)
        };
        let turned = |x: Tensor<3>| self.turned(x, rotation.theta);
        let scores = turned(split(0)).matmul(turned(split(1)).swap_dims(1, 2))
            / ((width / heads) as f64).sqrt();
        let pairs = (0..tokens * tokens).map(|pair| (pair / tokens).abs_diff(pair % tokens));
        let far = pairs.map(
            |apart| match rotation.reach.is_some_and(|reach| apart > reach) {
                true => -1e9_f32,
                false => 0.0,
            },
        );
        let far = TensorData::new(far.collect::<Vec<f32>>(), [1, tokens, tokens]);
        let scores = scores + Tensor::from_data(far, self.model.device());
        let context = activation::softmax(scores, 2)
            .matmul(split(2))
            .swap_dims(0, 1)
            .reshape([tokens, width]);
        let hidden = hidden + self.linear(&format!("{name}.attention.output.dense"), context);
        let inputs = self.norm(&format!("{name}.intermediate.LayerNorm"), hidden.clone());
        let wide = self.linear(&format!("{name}.intermediate.dense"), inputs);
        let middle = spec.intermediate_size;
        let half = |from: usize| wide.clone().slice([0..tokens, from..from + middle]);
        let gated = self.activate(half(0)) * half(middle);
        hidden + self.linear(&format!("{name}.output.dense"), gated)
    }

    /// `[heads, tokens, width]`, each pair of coordinates turned by its angle at each place: as a
    /// product with that place's own matrix.
    pub(super) fn turned(&self, x: Tensor<3>, theta: f32) -> Tensor<3> {
        let [heads, tokens, width] = x.dims();
        let half = width / 2;
        let places = (0..tokens).map(|place| {
            let mut matrix = vec![0.0_f32; width * width];
            for pair in 0..half {
                let angle = place as f64 * f64::from(theta).powf(-2.0 * pair as f64 / width as f64);
                let (sine, cosine) = angle.sin_cos();
                let (first, second) = (pair, pair + half);
                matrix[first * width + first] = cosine as f32;
                matrix[second * width + second] = cosine as f32;
                matrix[first * width + second] = sine as f32;
                matrix[second * width + first] = -sine as f32;
            }
            let matrix = TensorData::new(matrix, [1, width, width]);
            let matrix = Tensor::<3>::from_data(matrix, self.model.device());
            let row = x.clone().slice([0..heads, place..place + 1, 0..width]);
            row.matmul(matrix.repeat_dim(0, heads))
        });
        Tensor::cat(places.collect(), 1)
    }

    pub(super) fn activate(&self, x: Tensor<2>) -> Tensor<2> {
        match self.model.spec().activation {
            Activation::Gelu => gelu(x),
            Activation::GeluTanh => activation::gelu_approximate(x),
            Activation::Relu => activation::relu(x),
            Activation::Silu => activation::silu(x),
        }
    }

    /// A layer's projection of all states of relative places, `[heads, rows, width / heads]`.
    fn places(&self, layer: &str) -> Tensor<3> {
        let states = self.matrix("encoder.relative_states.weight");
        let projected = self.linear(layer, self.norm("encoder.relative_norm.LayerNorm", states));
        let [rows, width] = projected.dims();
        let heads = self.model.spec().heads;
        projected
            .reshape([rows, heads, width / heads])
            .swap_dims(0, 1)
    }

    /// `[heads, tokens, tokens]`
    fn relative_bias(&self, tokens: usize) -> Tensor<3> {
        let places = (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key)));
        let buckets = places.map(|(query, key)| bucket(query, key) as i32);
        let buckets = TensorData::new(buckets.collect::<Vec<i32>>(), [tokens * tokens]);
        let buckets = Tensor::<1, Int>::from_data(buckets, self.model.device());
        let table = self.matrix("encoder.relative_attention_bias.weight");
        let heads = self.model.spec().heads;
        table
            .select(0, buckets)
            .swap_dims(0, 1)
            .reshape([heads, tokens, tokens])
    }

    /// One row's loss.
    fn loss_of(&self, example: &Example) -> f64 {
        let loss = self.loss(example).into_data();
        loss.iter::<f64>().next().expect("a loss")
    }

    /// One row's gradient, in layout order.
    pub(super) fn gradient(&self, example: &Example) -> Vec<f64> {
        let gradients = self.loss(example).backward();
        let mut flat = Vec::new();
        for entry in self.model.layout().entries() {
            let data = match entry.shape.len() {
                1 => self.vectors[&entry.name]
                    .grad(&gradients)
                    .map(Tensor::into_data),
                _ => self.matrices[&entry.name]
                    .grad(&gradients)
                    .map(Tensor::into_data),
            };
            let scale = match entry.name.as_str() {
                "classifier.weight" => self.model.options().head_scale.get(),
                "embeddings.word_embeddings.weight" => {
                    let lora = self.model.options().train.lora();
                    let words = lora.and_then(|lora| lora.words);
                    words.map_or(1.0, |words| words.get())
                }
                _ => 1.0,
            };
            let values = data.expect("a gradient");
            flat.extend(values.iter::<f64>().map(|g| scale * g));
        }
        flat
    }

    /// The clipped sum as its definition has it.
    pub(super) fn clipped_sum(
        &self,
        rows: &[Example],
        units: &[Vec<usize>],
        clipping: Clipping,
    ) -> Vec<f64> {
        let each: Vec<Vec<f64>> = rows.iter().map(|row| self.gradient(row)).collect();
        let mut total = vec![0.0; self.model.layout().len()];
        for unit in units {
            let mut gradient = vec![0.0; total.len()];
            for row in unit {
                add(&mut gradient, 1.0, &each[*row]);
            }
            let norm = norm(&gradient);
            let factor = match clipping {
                Clipping::None => 1.0,
                Clipping::Flat(c) => (c / norm).min(1.0),
                Clipping::Automatic(c) => c / (norm + 0.01),
                Clipping::Residual(c) => {
                    let losses = unit.iter().map(|row| self.loss_of(&rows[*row]));
                    let mean = losses.sum::<f64>() / unit.len().max(1) as f64;
                    let residual = match self.model.options().task {
                        Task::Regression(_) => (1.0 - (-mean).exp()).sqrt(),
                        _ => 1.0 - (-mean).exp(),
                    };
                    (2.0 * residual).min(1.0) * c / (norm + 0.01)
                }
            };
            if norm > 0.0 {
                add(&mut total, factor, &gradient);
            }
        }
        total
    }
}

/// The library's own GELU has no exact slope on every device.
fn gelu(x: Tensor<2>) -> Tensor<2> {
    let phi = (x.clone() / 2.0_f64.sqrt()).erf().add_scalar(1.0) * 0.5;
    x * phi
}

fn add(sum: &mut [f64], factor: f64, x: &[f64]) {
    sum.iter_mut().zip(x).for_each(|(s, x)| *s += factor * x);
}

pub(super) fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}
