//! The network: a transformer encoder, pooling, and a linear classifier.
//!
//! Weights are never tracked by autodiff. What training needs is recorded on a
//! [`Tape`] as the forward pass goes; without one, the same
//! code is inference.

mod batch;
mod gelu;
mod layers;
mod tape;
mod weight;

pub(crate) use batch::Batch;
pub(crate) use layers::{LayerNorm, Linear};
pub(crate) use tape::{AdapterInputs, Dropout, Kept, Tape, linear};
pub(crate) use weight::Weight;

use std::iter;

use burn::tensor::{Device, Int, Tensor, TensorData, activation, module};
use layers::See;

use crate::families::relative::{BUCKETS, bucket};
use crate::families::{Activation, PoolerActivation, TransformerSpec};
use crate::lora::adapted_layer;
use crate::parameters::{Part, Role};
use umbel_proto::classifier::Pooling;
use umbel_proto::lora::{LoraConfig, LoraTarget};

/// Embeddings of words, positions and segments, and their normalisation.
#[derive(Clone, Debug)]
struct Embeddings {
    /// `[vocab, width]`
    word: Tensor<2>,
    /// `[positions, width]`
    position: Tensor<2>,
    /// `[types, width]`, where the family has segments.
    token_type: Option<Tensor<2>>,
    norm: LayerNorm,
    /// To the hidden states' width, where the embeddings have another.
    projection: Option<Linear>,
}

/// One encoder layer.
#[derive(Clone, Debug)]
struct EncoderLayer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

impl EncoderLayer {
    fn target(&mut self, target: LoraTarget) -> &mut Linear {
        match target {
            LoraTarget::Query => &mut self.query,
            LoraTarget::Key => &mut self.key,
            LoraTarget::Value => &mut self.value,
            LoraTarget::AttentionOutput => &mut self.attention_output,
            LoraTarget::Intermediate => &mut self.intermediate,
            LoraTarget::Output => &mut self.output,
        }
    }
}

/// The name of the table of attention's bias by distance.
pub(crate) const RELATIVE_BIAS: &str = "encoder.relative_attention_bias";

/// Which tokens' states a layer hands on. Where the head reads the first token alone, the last
/// layer takes no others further than their keys and values.
#[derive(Clone, Copy)]
enum Outputs {
    All,
    First,
}

impl Outputs {
    /// `[batch, tokens, n]` of these tokens.
    fn of(self, states: Tensor<3>) -> Tensor<3> {
        let [rows, _, width] = states.dims();
        match self {
            Self::All => states,
            Self::First => states.slice([0..rows, 0..1, 0..width]),
        }
    }
}

/// The whole network, on one device.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    spec: TransformerSpec,
    embeddings: Embeddings,
    /// A bias of attention's scores by distance and head, `[buckets, heads]`, in families that
    /// have one.
    relative_bias: Option<Tensor<2>>,
    /// Those with weights of their own: one where all depths share it.
    layers: Vec<EncoderLayer>,
    pooling: Pooling,
    /// The pooler, where it is used.
    pooler: Option<Linear>,
    classifier: Linear,
}

impl Network {
    /// A network of zeros: the checkpoint, or a random generator, fills it in.
    pub(crate) fn zeros(
        spec: &TransformerSpec,
        pooling: Pooling,
        labels: usize,
        device: &Device,
    ) -> Self {
        let hidden = spec.hidden_size;
        let width = spec.embedding_size;
        let table = |rows| Tensor::zeros([rows, width], device);
        let linear =
            |name: String, part, input, output| Linear::zeros(name, part, input, output, device);
        let norm_of = |name: String, part, width| {
            LayerNorm::zeros(name, part, width, spec.layer_norm_epsilon, device)
        };
        let norm = |name: String, part| norm_of(name, part, hidden);
        let project = || linear("embeddings_project".into(), Part::Embeddings, width, hidden);
        let layer = |index: usize| {
            let name = |rest: &str| format!("encoder.layer.{index}.{rest}");
            let named = |target: LoraTarget, input, output| {
                linear(name(adapted_layer(target)), Part::Encoder, input, output)
            };
            let square = |target| named(target, hidden, hidden);
            let middle = spec.intermediate_size;
            EncoderLayer {
                query: square(LoraTarget::Query),
                key: square(LoraTarget::Key),
                value: square(LoraTarget::Value),
                attention_output: square(LoraTarget::AttentionOutput),
                attention_norm: norm(name("attention.output.LayerNorm"), Part::Encoder),
                intermediate: named(LoraTarget::Intermediate, hidden, middle),
                output: named(LoraTarget::Output, middle, hidden),
                output_norm: norm(name("output.LayerNorm"), Part::Encoder),
            }
        };
        Self {
            embeddings: Embeddings {
                word: table(spec.vocab_size),
                position: table(spec.position_rows),
                token_type: spec.token_types.map(table),
                norm: norm_of("embeddings.LayerNorm".into(), Part::Embeddings, width),
                projection: spec.projects_embeddings.then(project),
            },
            relative_bias: spec
                .relative_bias
                .then(|| Tensor::zeros([BUCKETS, spec.heads], device)),
            layers: (0..spec.own_layers()).map(layer).collect(),
            pooling,
            pooler: (pooling == Pooling::Pooler)
                .then(|| linear("pooler.dense".into(), Part::Head, hidden, hidden)),
            classifier: linear("classifier".into(), Part::Head, hidden, labels),
            spec: spec.clone(),
        }
    }

    /// What it is built from.
    pub(crate) fn spec(&self) -> &TransformerSpec {
        &self.spec
    }

    /// How hidden states become one vector.
    pub(crate) fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Shows every weight with its name in the layout, in layout order, until `see` fails.
    pub(crate) fn visit<E>(&mut self, see: &mut See<'_, E>) -> Result<(), E> {
        let embeddings = &mut self.embeddings;
        let tables = [
            ("word", Some(&mut embeddings.word)),
            ("position", Some(&mut embeddings.position)),
            ("token_type", embeddings.token_type.as_mut()),
        ];
        for (kind, table) in tables {
            let Some(table) = table else { continue };
            let name = format!("embeddings.{kind}_embeddings.weight");
            see(&name, (Part::Embeddings, Role::Table), Weight::Table(table))?;
        }
        embeddings.norm.visit(see)?;
        if let Some(projection) = &mut embeddings.projection {
            projection.visit(see)?;
        }
        if let Some(table) = &mut self.relative_bias {
            let name = format!("{RELATIVE_BIAS}.weight");
            see(&name, (Part::Encoder, Role::Weight), Weight::Table(table))?;
        }
        for layer in &mut self.layers {
            layer.query.visit(see)?;
            layer.key.visit(see)?;
            layer.value.visit(see)?;
            layer.attention_output.visit(see)?;
            layer.attention_norm.visit(see)?;
            layer.intermediate.visit(see)?;
            layer.output.visit(see)?;
            layer.output_norm.visit(see)?;
        }
        if let Some(pooler) = &mut self.pooler {
            pooler.visit(see)?;
        }
        self.classifier.visit(see)
    }

    /// Gives every layer that `lora` names an adapter at its start, which changes no output.
    pub(crate) fn adapt(&mut self, lora: &LoraConfig) {
        for layer in &mut self.layers {
            for target in lora.targets.iter() {
                layer.target(target).adapt(lora);
            }
        }
    }

    /// Puts the adapters into the weights.
    pub(crate) fn merge(&mut self) {
        for layer in &mut self.layers {
            for target in LoraTarget::ALL {
                layer.target(target).merge();
            }
        }
    }

    /// The last hidden states, `[batch, tokens, hidden]`.
    pub(crate) fn hidden(&self, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<3> {
        self.encode(batch, Outputs::All, tape)
    }

    /// The last layer's `outputs`, `[batch, tokens or 1, hidden]`.
    fn encode(&self, batch: &Batch, outputs: Outputs, tape: &mut Tape<'_>) -> Tensor<3> {
        let mut hidden = self.embed(batch, tape);
        let bias = match &self.relative_bias {
            Some(table) => batch.attention_bias() + self.relative_bias(table, batch, tape),
            None => batch.attention_bias(),
        };
        let depths = match self.spec.shared_layers {
            true => self.spec.layers,
            false => 1,
        };
        let layers = self
            .layers
            .iter()
            .flat_map(|layer| iter::repeat_n(layer, depths));
        for (index, layer) in layers.enumerate() {
            let is_last = index + 1 == self.spec.layers;
            let outputs = if is_last { outputs } else { Outputs::All };
            hidden = self.layer(layer, hidden, &bias, outputs, tape);
        }
        hidden
    }

    /// What attention's scores get by distance, `[batch or 1, heads, tokens, tokens]`.
    fn relative_bias(&self, table: &Tensor<2>, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<4> {
        let [_, tokens] = batch.shape();
        let heads = self.spec.heads;
        let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| bucket(query, key)));
        let buckets: Vec<i32> = pairs.map(|bucket| bucket as i32).collect();
        let buckets = TensorData::new(buckets, [tokens * tokens]);
        let buckets = Tensor::<1, Int>::from_data(buckets, &table.device());
        let [rows, _] = batch.shape();
        let table = tape.for_each_row(RELATIVE_BIAS, table, rows);
        let rows = table.dims()[0];
        table
            .select(1, buckets)
            .swap_dims(1, 2)
            .reshape([rows, heads, tokens, tokens])
    }

    /// One score a label, `[batch, labels]`.
    pub(crate) fn logits(&self, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<2> {
        let outputs = match self.pooling.reads_first_alone() {
            false => Outputs::All,
            true => Outputs::First,
        };
        let outputs = self.encode(batch, outputs, tape);
        let pooled = self.pool(outputs, batch, tape);
        let pooled = tape.dropout(pooled);
        let scores = tape.linear(&self.classifier, pooled);
        let [rows, _, labels] = scores.dims();
        scores.reshape([rows, labels])
    }

    fn embed(&self, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<3> {
        let [_, tokens] = batch.shape();
        let embeddings = &self.embeddings;
        let width = self.spec.embedding_size;
        let words = module::embedding(embeddings.word.clone(), batch.tokens());
        let positions = match batch.positions() {
            Some(rows) => module::embedding(embeddings.position.clone(), rows),
            None => {
                let first = embeddings.position.clone().slice([0..tokens, 0..width]);
                first.unsqueeze()
            }
        };
        let sum = match (embeddings.token_type.clone(), batch.types()) {
            (Some(table), Some(types)) => words + (positions + module::embedding(table, types)),
            // One text is of type 0 throughout.
            (Some(table), None) => words + (positions + table.slice([0..1, 0..width]).unsqueeze()),
            (None, _) => words + positions,
        };
        let sum = tape.embedding(sum);
        let normed = tape.norm(&embeddings.norm, sum);
        let normed = tape.dropout(normed);
        match &embeddings.projection {
            Some(projection) => tape.linear(projection, normed),
            None => normed,
        }
    }

    fn layer(
        &self,
        layer: &EncoderLayer,
        hidden: Tensor<3>,
        bias: &Tensor<4>,
        outputs: Outputs,
        tape: &mut Tape<'_>,
    ) -> Tensor<3> {
        let context = self.attend(layer, hidden.clone(), bias, outputs, tape);
        let hidden = outputs.of(hidden);
        let attended = tape.linear(&layer.attention_output, context);
        let attended = tape.dropout(attended);
        let hidden = tape.norm(&layer.attention_norm, hidden + attended);
        let middle = tape.linear(&layer.intermediate, hidden.clone());
        let middle = activate(self.spec.activation, middle);
        let output = tape.linear(&layer.output, middle);
        let output = tape.dropout(output);
        tape.norm(&layer.output_norm, hidden + output)
    }

    /// Multi-head self-attention (Vaswani et al. 2017, §3.2), up to the output projection.
    fn attend(
        &self,
        layer: &EncoderLayer,
        hidden: Tensor<3>,
        bias: &Tensor<4>,
        outputs: Outputs,
        tape: &mut Tape<'_>,
    ) -> Tensor<3> {
        let heads = self.spec.heads;
        let split = |x: Tensor<3>| {
            let [rows, tokens, width] = x.dims();
            x.reshape([rows, tokens, heads, width / heads])
                .swap_dims(1, 2)
        };
        let asking = outputs.of(hidden.clone());
        let [rows, asked, width] = asking.dims();
        let query = split(tape.linear(&layer.query, asking));
        let key = split(tape.linear(&layer.key, hidden.clone()));
        let value = split(tape.linear(&layer.value, hidden));
        let scale = ((width / heads) as f64).sqrt().recip();
        // One row for all queries, or one for each, of which the first may be the only one.
        let [batch, biased, queries, tokens] = bias.dims();
        let queries = queries.min(asked);
        let bias = bias
            .clone()
            .slice([0..batch, 0..biased, 0..queries, 0..tokens]);
        let scores = query.mul_scalar(scale).matmul(key.swap_dims(2, 3)) + bias;
        let weights = tape.dropout(activation::softmax(scores, 3));
        weights
            .matmul(value)
            .swap_dims(1, 2)
            .reshape([rows, asked, width])
    }

    /// From what the last layer hands out, to `[batch, 1, hidden]`.
    fn pool(&self, outputs: Tensor<3>, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<3> {
        match (self.pooling, &self.pooler) {
            (Pooling::Mean, _) => (outputs * batch.mean_weights()).sum_dim(1),
            (_, Some(pooler)) => {
                let pooled = tape.linear(pooler, outputs);
                match self.spec.pooler_activation {
                    PoolerActivation::Tanh => pooled.tanh(),
                    PoolerActivation::Like(kind) => activate(kind, pooled),
                }
            }
            (_, None) => outputs,
        }
    }
}

fn activate(kind: Activation, x: Tensor<3>) -> Tensor<3> {
    match kind {
        Activation::Gelu => gelu::gelu(x),
        Activation::GeluTanh => activation::gelu_approximate(x),
        Activation::Relu => activation::relu(x),
    }
}

/// A matrix's rows, on the host.
pub(crate) fn rows_of(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let width = matrix.dims()[1].max(1);
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}
