//! Clipped sums against a loop of single rows through a plain network whose weights burn's
//! own autodiff tracks: no tap, no batch, no padding, no operation of this crate.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData, activation};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::cpu::CpuTrainer;
use super::gpu::GpuTrainer;
use super::support::{lora, options, small, tiny_of};
use super::task_tests::plain_loss;
use super::{Clipping, Example, PhysicalBatch, Trainer};
use crate::families::relative::bucket;
use crate::families::{
    Activation, BERT, FAMILIES, Family, PoolerActivation, Positions, TransformerSpec,
};
use crate::network::Weight;
use crate::tokens::TokenRow;
use crate::{
    Classifier, ClassifierOptions, DeviceChoice, Pooling, Target, TrainableSet, gradient_sum,
};

/// A classifier's weights by name, tracked by autodiff.
struct Plain<'a> {
    model: &'a Classifier,
    matrices: BTreeMap<String, Tensor<2>>,
    vectors: BTreeMap<String, Tensor<1>>,
}

impl<'a> Plain<'a> {
    fn of(model: &'a Classifier) -> Self {
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

    fn linear(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let y = x.clone().matmul(self.matrix(&format!("{name}.weight")))
            + self.vector(&format!("{name}.bias"));
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

    fn norm(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().powi_scalar(2).mean_dim(1);
        let epsilon = self.model.spec().layer_norm_epsilon;
        centred / variance.add_scalar(epsilon).sqrt() * self.vector(&format!("{name}.weight"))
            + self.vector(&format!("{name}.bias"))
    }

    /// One row's cross-entropy.
    fn loss(&self, example: &Example) -> Tensor<1> {
        let device = self.model.device();
        let count = example.tokens.len();
        let ids: Vec<i32> = example.tokens.iter().map(|id| id.cast_signed()).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), device);
        let words = self.matrix("embeddings.word_embeddings.weight");
        let positions = self.matrix("embeddings.position_embeddings.weight");
        let mut sum = words.select(0, ids) + positions.select(0, self.positions(&example.tokens));
        if self.model.spec().token_types.is_some() {
            let types = self.matrix("embeddings.token_type_embeddings.weight");
            let kinds = TokenRow::from(&example.tokens)
                .types()
                .map(u32::cast_signed);
            let kinds = TensorData::new(kinds.collect::<Vec<i32>>(), [count]);
            let kinds = Tensor::<1, Int>::from_data(kinds, self.model.device());
            sum = sum + types.select(0, kinds);
        }
        let mut hidden = self.norm("embeddings.LayerNorm", sum);
        if self.model.spec().projects_embeddings {
            hidden = self.linear("embeddings_project", hidden);
        }
        for layer in 0..self.model.spec().layers {
            let layer = if self.model.spec().shared_layers {
                0
            } else {
                layer
            };
            hidden = self.layer(&format!("encoder.layer.{layer}"), hidden);
        }
        let width = self.model.spec().hidden_size;
        let first = hidden.clone().slice([0..1, 0..width]);
        let pooled = match self.model.options().pooling {
            Pooling::Mean => hidden.mean_dim(0),
            Pooling::Cls => first,
            Pooling::Pooler => {
                let pooled = self.linear("pooler.dense", first);
                match self.model.spec().pooler_activation {
                    PoolerActivation::Tanh => pooled.tanh(),
                    PoolerActivation::Like(Activation::Relu) => activation::relu(pooled),
                    PoolerActivation::Like(_) => gelu(pooled),
                }
            }
        };
        let scores = self.linear("classifier", pooled);
        plain_loss(scores, &example.target, self.model.options())
    }

    /// The row of each token in the position table: counted one by one, as its definition has it.
    fn positions(&self, tokens: &[u32]) -> Tensor<1, Int> {
        let row = |place: usize| match self.model.spec().positions {
            Positions::FromZero => place as i32,
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
        let mut scores =
            split("query").matmul(split("key").swap_dims(1, 2)) / ((width / heads) as f64).sqrt();
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

    fn activate(&self, x: Tensor<2>) -> Tensor<2> {
        match self.model.spec().activation {
            Activation::Gelu => gelu(x),
            Activation::GeluTanh => activation::gelu_approximate(x),
            Activation::Relu => activation::relu(x),
        }
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

    /// One row's gradient, in layout order.
    fn gradient(&self, example: &Example) -> Vec<f64> {
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
                _ => 1.0,
            };
            let values = data.expect("a gradient");
            flat.extend(values.iter::<f64>().map(|g| scale * g));
        }
        flat
    }

    /// The clipped sum as its definition has it.
    fn clipped_sum(&self, rows: &[Example], units: &[Vec<usize>], clipping: Clipping) -> Vec<f64> {
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

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Rows of one to 32 tokens, so that a layer's norm is taken now one way and now the other,
/// with tokens that occur twice in a row and in several rows.
pub(super) fn rows() -> Vec<Example> {
    let long: Vec<u32> = (0..32).map(|i| (i * 7) % 50).collect();
    let row = |tokens: &[u32], label| Example {
        tokens: tokens.to_vec().into(),
        target: Target::Class(label),
    };
    vec![
        row(&[2, 5, 5, 9, 3], 0),
        row(&[2], 1),
        row(&[2, 12, 9, 40, 12, 12, 31, 5, 49, 3], 2),
        // 1 is the padding of some families, whose positions leave it out.
        row(&[2, 1, 7, 8, 1, 3], 1),
        row(&long, 0),
        row(&[5; 13], 2),
    ]
}

/// Compares whole sums, and each tensor's part of them, to a relative 1e-4. A part that is
/// zero but for rounding (of attention's keys, the bias) has noise in proportion to the whole.
fn compare(model: &Classifier, found: &[f64], expected: &[f64], what: &str) -> f64 {
    let error = |range: std::ops::Range<usize>| {
        let pairs = found[range.clone()].iter().zip(&expected[range]);
        norm(&pairs.map(|(x, y)| x - y).collect::<Vec<_>>())
    };
    let whole = norm(expected);
    assert!(whole > 0.0, "{what}: a gradient of zero shows nothing");
    for entry in model.layout().entries() {
        let end = entry.offset + entry.shape.iter().product::<usize>();
        let allowed = 1e-4 * norm(&expected[entry.offset..end]) + 1e-6 * whole;
        let error = error(entry.offset..end);
        assert!(error <= allowed, "{what}, {}: {error:e}", entry.name);
    }
    let relative = error(0..found.len()) / whole;
    assert!(relative <= 1e-4, "{what}: {relative:e}");
    relative
}

/// Every trainable set, with adapters on few and on all layers.
fn sets() -> [TrainableSet; 7] {
    [
        TrainableSet::Full,
        TrainableSet::Encoder,
        TrainableSet::Bias,
        TrainableSet::Head,
        lora(&["query", "value"], false),
        lora(&["all"], false),
        lora(&["all"], true),
    ]
}

/// Units of one row each; of several, with an empty one among them and a row in two of them;
/// and one row alone.
fn unit_lists() -> [Vec<Vec<usize>>; 3] {
    [
        (0..6).map(|row| vec![row]).collect(),
        vec![
            vec![4, 1],
            vec![],
            vec![0, 2, 3],
            vec![5],
            vec![1, 5],
            vec![2],
        ],
        vec![vec![3]],
    ]
}

/// A family of each kind of network: the others are one of these by another name.
fn kinds() -> Vec<&'static dyn Family> {
    let network = |family: &dyn Family| TransformerSpec {
        family: BERT,
        ..small(family)
    };
    let mut kinds: Vec<&'static dyn Family> = Vec::new();
    for family in FAMILIES {
        if kinds.iter().all(|kind| network(*kind) != network(*family)) {
            kinds.push(*family);
        }
    }
    kinds
}

fn compare_all(
    family: &dyn Family,
    device: &DeviceChoice,
    (poolings, sets): (&[Pooling], &[TrainableSet]),
    micro_batches: &[usize],
) {
    for pooling in poolings {
        for train in sets {
            let options = options(*pooling, *train);
            if let Err(reason) = compare_one(family, device, options, micro_batches) {
                return println!("skipped: {reason}");
            }
        }
    }
}

/// Compares for one classifier, or says why the device can't be used.
fn compare_one(
    family: &dyn Family,
    device: &DeviceChoice,
    options: ClassifierOptions,
    micro_batches: &[usize],
) -> Result<(), String> {
    let what = format!("{family:?} {device} {} {}", options.pooling, options.train);
    let model = tiny_of(family, device, options)?;
    compare_sums(&model, &rows(), micro_batches, &what);
    Ok(())
}

/// The gradient of the last layer's weights is multiplied before anything is measured: it counts
/// as much less in a unit's norm as it is added.
#[test]
fn a_heads_scale_is_in_norms_and_sums_on_every_device() {
    let sets = [TrainableSet::Encoder, TrainableSet::Head];
    let poolings = [Pooling::Mean, Pooling::Pooler];
    for device in [DeviceChoice::Cpu, DeviceChoice::Gpu(None)] {
        for (pooling, train) in poolings.into_iter().zip(sets) {
            let options = ClassifierOptions {
                head_scale: 0.25.try_into().expect("a scale"),
                ..options(pooling, train)
            };
            if let Err(reason) = compare_one(BERT, &device, options, &[2, 64]) {
                println!("skipped: {reason}");
            }
        }
    }
}

/// Compares sums of a model by each clipping and in micro-batches of so many rows.
pub(super) fn compare_sums(
    model: &Classifier,
    rows: &[Example],
    micro_batches: &[usize],
    what: &str,
) {
    let plain = Plain::of(model);
    let mut worst = 0.0_f64;
    for units in unit_lists() {
        // Between the norms of the units, so that some are clipped and some aren't.
        let c = 0.7 * norm(&plain.gradient(&rows[0]));
        for clipping in [Clipping::None, Clipping::Flat(c), Clipping::Automatic(c)] {
            let expected = plain.clipped_sum(rows, &units, clipping);
            for micro_batch in micro_batches {
                let mut rng = ChaCha12Rng::seed_from_u64(0);
                let batch = PhysicalBatch::of_rows(*micro_batch);
                let found = gradient_sum(model, rows, &units, clipping, batch, &mut rng);
                let found = found.expect("gradients");
                let what = format!("{what} {clipping:?} by {micro_batch}");
                worst = worst.max(compare(model, &found.sum, &expected, &what));
                assert_eq!(found.rejected, 0);
            }
        }
    }
    println!("{what}: relative errors of {worst:e} at most");
}

#[test]
fn clipped_sums_are_those_of_a_loop_of_single_rows_on_the_cpu() {
    let poolings = [Pooling::Mean, Pooling::Pooler, Pooling::Cls];
    for family in kinds() {
        let cpu = DeviceChoice::Cpu;
        compare_all(family, &cpu, (&poolings, &sets()), &[1, 2, 3, 64]);
    }
}

#[test]
fn clipped_sums_are_those_of_a_loop_of_single_rows_on_a_gpu() {
    // A software device is slow; the pooler has the most kinds of layers.
    let gpu = DeviceChoice::Gpu(None);
    compare_all(BERT, &gpu, (&[Pooling::Pooler], &sets()), &[64]);
    // All states count, and units are too large for a micro-batch, or alone in one.
    let few = [TrainableSet::Full, lora(&["all"], false)];
    for family in kinds() {
        compare_all(family, &gpu, (&[Pooling::Mean], &few), &[2, 64]);
        // Each kind of activation behind the pooler.
        let head = [TrainableSet::Head];
        compare_all(family, &gpu, (&[Pooling::Pooler], &head), &[64]);
    }
}

#[test]
fn scores_on_the_cpu_are_those_of_the_operations_of_any_device() {
    let rows = rows();
    let tokens: Vec<TokenRow<'_>> = rows.iter().map(|row| (&row.tokens).into()).collect();
    let poolings = [Pooling::Mean, Pooling::Pooler, Pooling::Cls];
    let all = FAMILIES.iter().flat_map(|f| poolings.map(|p| (*f, p)));
    for (family, pooling) in all {
        let options = options(pooling, TrainableSet::Head);
        let model = tiny_of(family, &DeviceChoice::Cpu, options).expect("a model on the CPU");
        let batches = std::slice::from_ref(&tokens);
        let found = CpuTrainer::default()
            .logits(&model, batches)
            .expect("scores");
        let expected = GpuTrainer::default()
            .logits(&model, batches)
            .expect("scores");
        for (x, y) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((x - y).abs() < 1e-5 * (1.0 + y.abs()), "{pooling}: {x} {y}");
        }
        assert_eq!(found.len(), expected.len());
    }
}
