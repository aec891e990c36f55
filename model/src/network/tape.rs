//! The tape: what a forward pass leaves behind for per-unit gradients.
//!
//! A zero tensor that requires a gradient, the *probe*, is added to the output of every
//! trained layer. One backward pass then yields every ∂L/∂(output), and never the summed
//! ∂L/∂W of ordinary training. Layers before the first probe stay outside of autodiff.

use burn::tensor::{FloatDType, Tensor, TensorData, module};
use rand::{Rng, RngExt};

use super::layers::{Adapter, LayerNorm, Linear};
use crate::compute_precision::ComputePrecision;
use crate::parameters::{Part, Role, trains};
use umbel_proto::classifier::TrainableSet;

/// What a trained layer's gradient is made of, beside ∂L/∂(output).
pub(crate) enum Kept {
    /// Weight and bias of a linear layer: its inputs, `[rows, tokens, in]`.
    Linear(Tensor<3>),
    /// Scale and bias of a layer normalisation: its normalised inputs,
    /// `[rows, tokens, hidden]`.
    Norm(Tensor<3>),
    /// A bias alone, of either kind of layer: nothing.
    Bias,
    /// An adapter.
    Adapter(Box<AdapterInputs>),
    /// The embedding tables: nothing, the token ids are known.
    Embedding,
    /// A small matrix that each row has a copy of: nothing, its own is ∂L/∂(copy).
    Copy,
}

/// The inputs of an adapter's two matrices.
pub(crate) struct AdapterInputs {
    /// x, `[rows, tokens, in]`; `None` where A is frozen.
    pub(crate) x: Option<Tensor<3>>,
    /// scale · x A, `[rows, tokens, rank]`
    pub(crate) scaled_xa: Tensor<3>,
    /// scale · Bᵀ, `[out, rank]`
    pub(crate) scaled_b: Tensor<2>,
}

/// One trained layer's record.
pub(crate) struct Tap {
    /// The layer's name.
    pub(crate) name: String,
    /// The rest of its gradient.
    pub(crate) kept: Kept,
    /// Whose gradient is ∂L/∂(output), `[rows, tokens, out]`.
    pub(crate) probe: Tensor<3>,
}

/// Dropout in training: its rate, and where its masks come from.
pub(crate) struct Dropout<'a> {
    /// The share that is dropped.
    pub(crate) rate: f64,
    /// Draws the masks.
    pub(crate) rng: &'a mut dyn Rng,
}

/// Records a forward pass, or nothing.
pub(crate) struct Tape<'a> {
    set: Option<TrainableSet>,
    dropout: Option<Dropout<'a>>,
    precision: ComputePrecision,
    taps: Vec<Tap>,
}

impl<'a> Tape<'a> {
    /// A tape that records nothing: inference.
    pub(crate) fn off() -> Self {
        Self {
            set: None,
            dropout: None,
            precision: ComputePrecision::F32,
            taps: Vec::new(),
        }
    }

    /// A tape that records the layers of a trainable set, whose linear layers multiply in this
    /// precision.
    pub(crate) fn recording(
        set: TrainableSet,
        dropout: Option<Dropout<'a>>,
        precision: ComputePrecision,
    ) -> Self {
        Self {
            set: Some(set),
            dropout,
            precision,
            taps: Vec::new(),
        }
    }

    /// What was recorded.
    pub(crate) fn into_taps(self) -> Vec<Tap> {
        self.taps
    }

    pub(crate) fn linear(&mut self, layer: &Linear, x: Tensor<3>) -> Tensor<3> {
        let y = self.product(layer.part, x.clone(), &layer.weight, layer.bias.as_ref());
        if let Some(adapter) = &layer.adapter {
            return self.adapter(layer, adapter, x, y);
        }
        let kept = match [Role::Weight, Role::Bias].map(|role| self.trains(layer.part, role)) {
            [true, _] => Kept::Linear(x.inner()),
            [false, true] if layer.bias.is_some() => Kept::Bias,
            [false, _] => return y,
        };
        self.tap(&layer.name, y, kept)
    }

    /// Adds an adapter's part to its layer's output `y`. One tap on the sum serves both of its
    /// matrices: with G there, ∂L/∂B = (scale · x A)ᵀ G and ∂L/∂A = xᵀ (scale · G Bᵀ).
    fn adapter(
        &mut self,
        layer: &Linear,
        adapter: &Adapter,
        x: Tensor<3>,
        y: Tensor<3>,
    ) -> Tensor<3> {
        let xa = self
            .product(layer.part, x.clone(), &adapter.a, None)
            .mul_scalar(adapter.scale);
        let y = y + self.product(layer.part, xa.clone(), &adapter.b, None);
        if !self.trains(layer.part, Role::AdapterB) {
            return y;
        }
        let kept = AdapterInputs {
            x: self.trains(layer.part, Role::AdapterA).then(|| x.inner()),
            scaled_xa: xa.inner(),
            scaled_b: adapter.b.clone().transpose().mul_scalar(adapter.scale),
        };
        self.tap(&layer.name, y, Kept::Adapter(Box::new(kept)))
    }

    pub(crate) fn norm(&mut self, layer: &LayerNorm, x: Tensor<3>) -> Tensor<3> {
        let y = layer.forward(x.clone());
        let kept = match [Role::Scale, Role::Bias].map(|role| self.trains(layer.part, role)) {
            [true, _] => Kept::Norm(layer.normalised(x.inner())),
            [false, true] if layer.beta.is_some() => Kept::Bias,
            [false, _] => return y,
        };
        self.tap(&layer.name, y, kept)
    }

    /// Taps the sum of the embeddings.
    pub(crate) fn embedding(&mut self, sum: Tensor<3>) -> Tensor<3> {
        match self.trains(Part::Embeddings, Role::WordTable) {
            true => self.tap("embeddings", sum, Kept::Embedding),
            false => sum,
        }
    }

    /// A copy of a small matrix `[n, m]` for each of so many rows, `[rows, n, m]`, where it is
    /// trained; else one for all, `[1, n, m]`. A row's gradient is then that of its copy, over all
    /// places that use it.
    pub(crate) fn for_each_row(
        &mut self,
        name: &str,
        matrix: &Tensor<2>,
        rows: usize,
    ) -> Tensor<3> {
        let [n, m] = matrix.dims();
        if !self.trains(Part::Encoder, Role::Weight) {
            return matrix.clone().unsqueeze();
        }
        let copies = matrix.clone().reshape([1, 1, n * m]).repeat_dim(0, rows);
        self.tap(name, copies, Kept::Copy).reshape([rows, n, m])
    }

    /// A copy of states `[1, n, m]` for each of so many rows, if anything of the encoder is trained:
    /// layers that read them then have each row's own gradient.
    pub(crate) fn one_for_each_row(&self, states: Tensor<3>, rows: usize) -> Tensor<3> {
        let roles = [
            Role::Weight,
            Role::Bias,
            Role::Scale,
            Role::AdapterA,
            Role::AdapterB,
        ];
        let trained = roles.iter().any(|role| self.trains(Part::Encoder, *role));
        match trained && states.dims()[0] == 1 {
            true => states.repeat_dim(0, rows),
            false => states,
        }
    }

    /// Zeroes a random share of the coordinates and scales up the others, in training.
    pub(crate) fn dropout<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        let Some(dropout) = &mut self.dropout else {
            return x;
        };
        let keep = 1.0 - dropout.rate;
        let scale = (1.0 / keep) as f32;
        let shape = x.shape();
        let draw = |_| {
            if dropout.rng.random::<f64>() < keep {
                scale
            } else {
                0.0
            }
        };
        let mask: Vec<f32> = (0..shape.num_elements()).map(draw).collect();
        let device = x.device().inner();
        x * Tensor::from_data(TensorData::new(mask, shape), &device)
    }

    /// x W + b, the product in the tape's precision in the encoder; the head's are small.
    /// Gradients go back through the same casts, so that the product back is in that precision,
    /// too.
    fn product(
        &self,
        part: Part,
        x: Tensor<3>,
        weight: &Tensor<2>,
        bias: Option<&Tensor<1>>,
    ) -> Tensor<3> {
        let reduced = self.precision.reduced().filter(|_| part == Part::Encoder);
        let Some(reduced) = reduced else {
            return linear(x, weight, bias);
        };
        let product = linear(x.cast(reduced), &weight.clone().cast(reduced), None);
        let product = product.cast(FloatDType::F32);
        match bias {
            Some(bias) => product + bias.clone().unsqueeze(),
            None => product,
        }
    }

    fn trains(&self, part: Part, role: Role) -> bool {
        self.set.is_some_and(|set| trains(set, part, role))
    }

    fn tap(&mut self, name: &str, y: Tensor<3>, kept: Kept) -> Tensor<3> {
        let device = y.device().autodiff();
        let probe = Tensor::<3>::full(y.dims(), 0.0, &device).require_grad();
        self.taps.push(Tap {
            name: name.to_owned(),
            kept,
            probe: probe.clone(),
        });
        y + probe
    }
}

/// x W + b for `[rows, tokens, in]`, as one product over all rows and tokens: a product for
/// each row would prepare the weight's memory anew each time, forward and backward.
pub(crate) fn linear(x: Tensor<3>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Tensor<3> {
    let [rows, tokens, inputs] = x.dims();
    let [_, outputs] = weight.dims();
    let flat = x.reshape([rows * tokens, inputs]);
    module::linear(flat, weight.clone(), bias.cloned()).reshape([rows, tokens, outputs])
}
