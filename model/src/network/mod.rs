//! The network: a transformer encoder, pooling, and a linear classifier.
//!
//! Weights are never tracked by autodiff. What training needs is recorded on a
//! [`Tape`] as the forward pass goes; without one, the same
//! code is inference.

mod batch;
mod forward;
mod gelu;
mod layers;
mod sight;
mod tape;
mod weight;

pub(crate) use batch::Batch;
pub(crate) use layers::{LayerNorm, Linear};
pub(crate) use tape::{AdapterInputs, Dropout, Kept, Tape, linear};
pub(crate) use weight::Weight;

use burn::tensor::{Device, Tensor};
use layers::See;

use crate::families::relative::BUCKETS;
use crate::families::{Positions, TransformerSpec};
use crate::lora::{GATED, adapted_layers};
use crate::parameters::{Part, Role};
use umbel_proto::classifier::Pooling;
use umbel_proto::lora::{LoraConfig, LoraTarget};

/// Embeddings of words, positions and segments, and their normalisation.
#[derive(Clone, Debug)]
struct Embeddings {
    /// `[vocab, width]`
    word: Tensor<2>,
    /// `[positions, width]`, where the family has such a table.
    position: Option<Tensor<2>>,
    /// `[types, width]`, where the family has segments.
    token_type: Option<Tensor<2>>,
    /// In families that normalise them.
    norm: Option<LayerNorm>,
    /// To the hidden states' width, where the embeddings have another.
    projection: Option<Linear>,
}

/// One encoder layer.
#[derive(Clone, Debug)]
struct EncoderLayer {
    projections: Projections,
    attention_output: Linear,
    /// The first layer has none where the embeddings were just normalised.
    attention_norm: Option<LayerNorm>,
    intermediate: Linear,
    /// What the gate multiplies, where that is a layer of its own.
    gated: Option<Linear>,
    output: Linear,
    output_norm: LayerNorm,
}

/// From states to queries, keys and values.
#[derive(Clone, Debug)]
enum Projections {
    /// A layer for each of the three.
    Apart(Box<[Linear; 3]>),
    /// One layer, whose outputs lie side by side.
    Joint(Box<Linear>),
}

impl Projections {
    fn all_mut(&mut self) -> &mut [Linear] {
        match self {
            Self::Apart(all) => &mut **all,
            Self::Joint(one) => std::slice::from_mut(&mut **one),
        }
    }

    /// The layer of queries (0), keys (1) or values (2).
    fn at(&mut self, which: usize) -> &mut Linear {
        match self {
            Self::Apart(all) => &mut all[which],
            Self::Joint(one) => one,
        }
    }
}

impl EncoderLayer {
    /// The layers that a target means: one, or a gate with what it multiplies.
    fn target(&mut self, target: LoraTarget) -> impl Iterator<Item = &mut Linear> {
        let (layer, beside) = match target {
            LoraTarget::Query => (self.projections.at(0), None),
            LoraTarget::Key => (self.projections.at(1), None),
            LoraTarget::Value => (self.projections.at(2), None),
            LoraTarget::AttentionOutput => (&mut self.attention_output, None),
            LoraTarget::Intermediate => (&mut self.intermediate, self.gated.as_mut()),
            LoraTarget::Output => (&mut self.output, None),
        };
        std::iter::once(layer).chain(beside)
    }
}

/// The name of the table of attention's bias by distance.
pub(crate) const RELATIVE_BIAS: &str = "encoder.relative_attention_bias";

/// States of relative places, which all layers share.
#[derive(Clone, Debug)]
struct RelativeStates {
    /// `[rows, hidden]`
    table: Tensor<2>,
    norm: LayerNorm,
}

/// The name of their table.
pub(crate) const RELATIVE_STATES: &str = "encoder.relative_states";

/// The name of their normalisation.
pub(crate) const RELATIVE_NORM: &str = "encoder.relative_norm.LayerNorm";

/// The whole network, on one device.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    spec: TransformerSpec,
    embeddings: Embeddings,
    /// A bias of attention's scores by distance and head, `[buckets, heads]`, in families that
    /// have one.
    relative_bias: Option<Tensor<2>>,
    /// States of relative places, in families whose attention has them.
    relative_states: Option<RelativeStates>,
    /// Those with weights of their own: one where all depths share it.
    layers: Vec<EncoderLayer>,
    /// Behind the last layer, where layers normalise first.
    last_norm: Option<LayerNorm>,
    pooling: Pooling,
    /// The pooler, where it is used.
    pooler: Option<Linear>,
    /// And its normalisation, where it has one.
    pooler_norm: Option<LayerNorm>,
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
        let shape = spec.layer;
        let linear = |name: String, part, input, output| {
            Linear::zeros(name, part, input, output, device).biased(shape.biases)
        };
        let norm_of = |name: String, part, width| {
            let epsilon = spec.layer_norm_epsilon;
            LayerNorm::zeros(name, part, width, epsilon, device)
                .biased(shape.biases)
                .centred(shape.centred)
        };
        let norm = |name: String, part| norm_of(name, part, hidden);
        let project = || linear("embeddings_project".into(), Part::Embeddings, width, hidden);
        let layer = |index: usize| {
            let name = |rest: &str| format!("encoder.layer.{index}.{rest}");
            let within =
                |rest: &str, input, output| linear(name(rest), Part::Encoder, input, output);
            let named = |target: LoraTarget, input, output| {
                within(adapted_layers(target, shape)[0], input, output)
            };
            let middle = spec.intermediate_size;
            let keys = spec.key_value_width();
            let three = [
                (LoraTarget::Query, hidden),
                (LoraTarget::Key, keys),
                (LoraTarget::Value, keys),
            ];
            let attention_norm = || norm(name(shape.attention_norm()), Part::Encoder);
            EncoderLayer {
                projections: match shape.joint {
                    true => {
                        let outputs = hidden + 2 * keys;
                        Projections::Joint(Box::new(named(LoraTarget::Query, hidden, outputs)))
                    }
                    false => {
                        let layer = |(target, outputs)| named(target, hidden, outputs);
                        Projections::Apart(Box::new(three.map(layer)))
                    }
                },
                attention_output: named(LoraTarget::AttentionOutput, hidden, hidden),
                attention_norm: spec.has_attention_norm(index).then(attention_norm),
                intermediate: named(LoraTarget::Intermediate, hidden, spec.inner_outputs()),
                gated: (shape.gated && !shape.joint).then(|| within(GATED, hidden, middle)),
                output: named(LoraTarget::Output, middle, hidden),
                output_norm: norm(name(shape.output_norm()), Part::Encoder),
            }
        };
        let pools = pooling == Pooling::Pooler;
        Self {
            embeddings: Embeddings {
                word: table(spec.vocab_size),
                position: (spec.positions != Positions::Nowhere).then(|| table(spec.position_rows)),
                token_type: spec.token_types.map(table),
                norm: spec
                    .norms_embeddings
                    .then(|| norm_of("embeddings.LayerNorm".into(), Part::Embeddings, width)),
                projection: spec.projects_embeddings.then(project),
            },
            relative_bias: spec
                .relative_bias
                .then(|| Tensor::zeros([BUCKETS, spec.heads], device)),
            relative_states: spec.disentangled.map(|shape| RelativeStates {
                table: Tensor::zeros([shape.table_rows(), hidden], device),
                norm: norm(RELATIVE_NORM.into(), Part::Encoder),
            }),
            layers: (0..spec.own_layers()).map(layer).collect(),
            last_norm: shape
                .norm_first
                .then(|| norm("encoder.LayerNorm".into(), Part::Encoder)),
            pooling,
            pooler: pools.then(|| linear("pooler.dense".into(), Part::Head, hidden, hidden)),
            pooler_norm: (pools && spec.pooler.has_norm)
                .then(|| norm("pooler.LayerNorm".into(), Part::Head)),
            classifier: Linear::zeros("classifier".into(), Part::Head, hidden, labels, device)
                .biased(TransformerSpec::classifier_bias(pooling)),
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
            ("word", Role::WordTable, Some(&mut embeddings.word)),
            ("position", Role::Table, embeddings.position.as_mut()),
            ("token_type", Role::Table, embeddings.token_type.as_mut()),
        ];
        for (kind, role, table) in tables {
            let Some(table) = table else { continue };
            let name = format!("embeddings.{kind}_embeddings.weight");
            see(&name, (Part::Embeddings, role), Weight::Table(table))?;
        }
        if let Some(norm) = &mut embeddings.norm {
            norm.visit(see)?;
        }
        if let Some(projection) = &mut embeddings.projection {
            projection.visit(see)?;
        }
        if let Some(table) = &mut self.relative_bias {
            let name = format!("{RELATIVE_BIAS}.weight");
            see(&name, (Part::Encoder, Role::Weight), Weight::Table(table))?;
        }
        if let Some(states) = &mut self.relative_states {
            let name = format!("{RELATIVE_STATES}.weight");
            let table = Weight::Table(&mut states.table);
            see(&name, (Part::Encoder, Role::Weight), table)?;
            states.norm.visit(see)?;
        }
        for layer in &mut self.layers {
            for projection in layer.projections.all_mut() {
                projection.visit(see)?;
            }
            layer.attention_output.visit(see)?;
            if let Some(norm) = &mut layer.attention_norm {
                norm.visit(see)?;
            }
            layer.intermediate.visit(see)?;
            if let Some(gated) = &mut layer.gated {
                gated.visit(see)?;
            }
            layer.output.visit(see)?;
            layer.output_norm.visit(see)?;
        }
        if let Some(norm) = &mut self.last_norm {
            norm.visit(see)?;
        }
        if let Some(pooler) = &mut self.pooler {
            pooler.visit(see)?;
        }
        if let Some(norm) = &mut self.pooler_norm {
            norm.visit(see)?;
        }
        self.classifier.visit(see)
    }

    /// Gives every layer that `lora` names an adapter at its start, which changes no output.
    pub(crate) fn adapt(&mut self, lora: &LoraConfig) {
        for layer in &mut self.layers {
            for target in lora.targets.iter() {
                layer.target(target).for_each(|linear| linear.adapt(lora));
            }
        }
    }

    /// Puts the adapters into the weights.
    pub(crate) fn merge(&mut self) {
        for layer in &mut self.layers {
            for target in LoraTarget::ALL {
                layer.target(target).for_each(Linear::merge);
            }
        }
    }
}

/// A matrix's rows, on the host.
pub(crate) fn rows_of(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let width = matrix.dims()[1].max(1);
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}
