//! The pass forward: embeddings, layers, pooling and scores.

use std::iter;

use burn::tensor::{Int, Tensor, TensorData, activation, module};

use super::sight::Sight;
use super::{Batch, EncoderLayer, LayerNorm, Network, Projections, RELATIVE_BIAS, Tape, gelu};
use crate::families::relative::bucket;
use crate::families::{Activation, PoolerActivation, StatesRead};

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

impl Network {
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
        let sights = self.sights(batch, &bias, tape);
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
            // One for all layers, or one for each.
            let Some(sight) = sights.get(index).or(sights.first()) else {
                break;
            };
            hidden = match self.spec.layer.norm_first {
                true => self.norm_first(layer, hidden, sight, outputs, tape),
                false => self.norm_last(layer, hidden, sight, outputs, tape),
            };
        }
        match &self.last_norm {
            Some(norm) => tape.norm(norm, hidden),
            None => hidden,
        }
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
        let pooled = self.pooled(batch, tape);
        let pooled = tape.dropout(pooled);
        let scores = tape.linear(&self.classifier, pooled);
        let [rows, _, labels] = scores.dims();
        scores.reshape([rows, labels])
    }

    /// What the last layer reads of each text, `[batch, 1, hidden]`.
    pub(crate) fn pooled(&self, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<3> {
        let outputs = match self.spec.read(self.pooling) {
            StatesRead::First => Outputs::First,
            StatesRead::Mean | StatesRead::Last { .. } => Outputs::All,
        };
        let outputs = self.encode(batch, outputs, tape);
        self.pool(outputs, batch, tape)
    }

    fn embed(&self, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<3> {
        let [_, tokens] = batch.shape();
        let embeddings = &self.embeddings;
        let width = self.spec.embedding_size;
        let words = module::embedding(embeddings.word.clone(), batch.tokens());
        let positions = match (embeddings.position.clone(), batch.positions()) {
            (Some(table), Some(rows)) => Some(module::embedding(table, rows)),
            (Some(table), None) => Some(table.slice([0..tokens, 0..width]).unsqueeze()),
            (None, _) => None,
        };
        let types = match (embeddings.token_type.clone(), batch.types()) {
            (Some(table), Some(types)) => Some(module::embedding(table, types)),
            // One text is of type 0 throughout.
            (Some(table), None) => Some(table.slice([0..1, 0..width]).unsqueeze()),
            (None, _) => None,
        };
        let sum = match (positions, types) {
            (Some(positions), Some(types)) => words + (positions + types),
            (Some(rest), None) | (None, Some(rest)) => words + rest,
            (None, None) => words,
        };
        let sum = tape.embedding(sum);
        let normed = normed(embeddings.norm.as_ref(), sum, tape);
        let normed = tape.dropout(normed);
        match &embeddings.projection {
            Some(projection) => tape.linear(projection, normed),
            None => normed,
        }
    }

    /// A layer that normalises behind attention and behind the feed-forward layers.
    fn norm_last(
        &self,
        layer: &EncoderLayer,
        hidden: Tensor<3>,
        sight: &Sight,
        outputs: Outputs,
        tape: &mut Tape<'_>,
    ) -> Tensor<3> {
        let context = self.attend(layer, hidden.clone(), sight, outputs, tape);
        let attended = tape.linear(&layer.attention_output, context);
        let hidden = outputs.of(hidden) + tape.dropout(attended);
        let hidden = normed(layer.attention_norm.as_ref(), hidden, tape);
        let output = self.feed_forward(layer, hidden.clone(), tape);
        tape.norm(&layer.output_norm, hidden + output)
    }

    /// A layer that normalises before attention and before the feed-forward layers.
    fn norm_first(
        &self,
        layer: &EncoderLayer,
        hidden: Tensor<3>,
        sight: &Sight,
        outputs: Outputs,
        tape: &mut Tape<'_>,
    ) -> Tensor<3> {
        let inputs = normed(layer.attention_norm.as_ref(), hidden.clone(), tape);
        let context = self.attend(layer, inputs, sight, outputs, tape);
        let attended = tape.linear(&layer.attention_output, context);
        let hidden = outputs.of(hidden) + tape.dropout(attended);
        let inputs = tape.norm(&layer.output_norm, hidden.clone());
        hidden + self.feed_forward(layer, inputs, tape)
    }

    fn feed_forward(&self, layer: &EncoderLayer, x: Tensor<3>, tape: &mut Tape<'_>) -> Tensor<3> {
        let middle = tape.linear(&layer.intermediate, x.clone());
        let middle = match (self.spec.layer.gated, &layer.gated) {
            (true, Some(gated)) => activate(self.spec.activation, middle) * tape.linear(gated, x),
            (true, None) => {
                let [rows, tokens, wide] = middle.dims();
                let half = |from, to| middle.clone().slice([0..rows, 0..tokens, from..to]);
                let width = wide / 2;
                activate(self.spec.activation, half(0, width)) * half(width, wide)
            }
            (false, _) => activate(self.spec.activation, middle),
        };
        let output = tape.linear(&layer.output, middle);
        tape.dropout(output)
    }

    /// Multi-head self-attention (Vaswani et al. 2017, §3.2), up to the output projection.
    fn attend(
        &self,
        layer: &EncoderLayer,
        hidden: Tensor<3>,
        sight: &Sight,
        outputs: Outputs,
        tape: &mut Tape<'_>,
    ) -> Tensor<3> {
        let heads = self.spec.heads;
        let width = self.spec.hidden_size / heads;
        let split = |x: Tensor<3>| {
            let [rows, tokens, all] = x.dims();
            x.reshape([rows, tokens, all / width, width])
                .swap_dims(1, 2)
        };
        let [query, key, value] = match &layer.projections {
            Projections::Apart(all) => {
                let [query, key, value] = &**all;
                [
                    tape.linear(query, outputs.of(hidden.clone())),
                    tape.linear(key, hidden.clone()),
                    tape.linear(value, hidden),
                ]
            }
            Projections::Joint(joint) => {
                let all = tape.linear(joint, hidden);
                let [rows, tokens, wide] = all.dims();
                let third = wide / 3;
                let [query, key, value] = [0, 1, 2].map(|which| {
                    let columns = which * third..(which + 1) * third;
                    all.clone().slice([0..rows, 0..tokens, columns])
                });
                [outputs.of(query), key, value]
            }
        };
        let [rows, asked, hidden] = query.dims();
        let [query, key] = [query, key].map(|x| sight.turned(split(x)));
        let [key, value] = [key, split(value)].map(|x| for_all_heads(x, heads));
        // Scores by content, and by content against places both ways, count alike.
        let kinds = if sight.places.is_some() { 3 } else { 1 };
        let scale = ((kinds * width) as f64).sqrt().recip();
        // One row for all queries, or one for each, of which the first may be the only one.
        let [batch, biased, queries, tokens] = sight.bias.dims();
        let queries = queries.min(asked);
        let bias = sight
            .bias
            .clone()
            .slice([0..batch, 0..biased, 0..queries, 0..tokens]);
        let query = query.mul_scalar(scale);
        let mut scores = query.clone().matmul(key.clone().swap_dims(2, 3)) + bias;
        if let (Some(places), Projections::Apart(all)) = (&sight.places, &layer.projections) {
            let [asking, asked, _] = &**all;
            let states = || places.states.clone();
            let [queries, keys] = [asking, asked].map(|layer| split(tape.linear(layer, states())));
            scores = scores + places.scores(&query, &key.mul_scalar(scale), queries, keys);
        }
        let weights = tape.dropout(activation::softmax(scores, 3));
        weights
            .matmul(value)
            .swap_dims(1, 2)
            .reshape([rows, asked, hidden])
    }

    /// From what the last layer hands out, to `[batch, 1, hidden]`.
    fn pool(&self, outputs: Tensor<3>, batch: &Batch, tape: &mut Tape<'_>) -> Tensor<3> {
        let state = match self.spec.read(self.pooling) {
            StatesRead::First => outputs,
            StatesRead::Mean | StatesRead::Last { .. } => {
                (outputs * batch.state_weights()).sum_dim(1)
            }
        };
        let Some(pooler) = &self.pooler else {
            return state;
        };
        let pooled = tape.linear(pooler, state);
        let pooled = match self.spec.pooler.activation {
            PoolerActivation::Tanh => pooled.tanh(),
            PoolerActivation::Like(kind) => activate(kind, pooled),
        };
        normed(self.pooler_norm.as_ref(), pooled, tape)
    }
}

fn normed(norm: Option<&LayerNorm>, x: Tensor<3>, tape: &mut Tape<'_>) -> Tensor<3> {
    match norm {
        Some(norm) => tape.norm(norm, x),
        None => x,
    }
}

/// Keys or values of each of `heads` heads, from those of as many or of fewer: `[batch, heads, tokens,
/// width]`.
fn for_all_heads(x: Tensor<4>, heads: usize) -> Tensor<4> {
    let [rows, own, tokens, width] = x.dims();
    if own == heads {
        return x;
    }
    x.reshape([rows, own, 1, tokens, width])
        .repeat_dim(2, heads / own)
        .reshape([rows, heads, tokens, width])
}

fn activate(kind: Activation, x: Tensor<3>) -> Tensor<3> {
    match kind {
        Activation::Gelu => gelu::gelu(x),
        Activation::GeluTanh => activation::gelu_approximate(x),
        Activation::Relu => activation::relu(x),
        Activation::Silu => x.clone() * activation::sigmoid(x),
    }
}
