//! A network's weights in the host's memory, with the places of those that are trained.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use super::disentangled::RelativeStates;
use super::linear::{HostAdapter, HostLinear, LinearPart};
use super::norms::{HostNorm, HostNorms, NormsFirst, NormsLast};
use super::relative_bias::RelativeBias;
use crate::families::{
    Activation, Disentangled, PoolerActivation, Positions, Rotation, StatesRead, TransformerSpec,
};
use crate::lora::adapted_layers;
use crate::model::Model;
use crate::network::{RELATIVE_BIAS, RELATIVE_NORM, RELATIVE_STATES};
use crate::parameters::{ParameterLayout, Role, TrainedTables};
use umbel_proto::classifier::{Pooling, TrainableSet};
use umbel_proto::lora::LoraTarget;

/// All of a classifier's weights.
pub(crate) struct HostWeights {
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) key_value_heads: usize,
    /// Whether tokens see only themselves and those before.
    pub(super) causal: bool,
    pub(super) activation: Activation,
    pub(super) positions: Positions,
    /// Whether the first feed-forward layer has a gate.
    pub(super) gated: bool,
    /// Each layer's, in families that turn queries and keys.
    pub(super) rotations: Vec<Rotation>,
    /// Which of each row's states the head reads.
    pub(super) read: StatesRead,
    pub(super) pooler_activation: PoolerActivation,
    pub(super) embeddings: HostEmbeddings,
    pub(super) relative_bias: Option<RelativeBias>,
    pub(super) relative_states: Option<RelativeStates>,
    /// Each depth's; one and the same where they share it.
    pub(super) layers: Vec<Arc<HostLayer>>,
    /// Whether they do.
    pub(super) shares_layers: bool,
    /// Behind the last layer, where layers normalise first.
    pub(super) last_norm: Option<HostNorm>,
    pub(super) pooler: Option<HostLinear>,
    /// And its normalisation, where it has one.
    pub(super) pooler_norm: Option<HostNorm>,
    pub(super) classifier: HostLinear,
    /// What the gradient of its weights is multiplied by.
    pub(super) head_scale: f32,
    /// Where the trained parameters begin that aren't in an embedding table.
    base: usize,
    /// How many there are from there on.
    dense: usize,
}

/// The embeddings.
pub(super) struct HostEmbeddings {
    pub(super) tables: HostTables,
    /// Which tables are trained.
    pub(super) trained: TrainedTables,
    pub(super) width: usize,
    /// In families that normalise them.
    pub(super) norm: Option<HostNorm>,
    /// To the hidden states' width, where the embeddings have another.
    pub(super) projection: Option<HostLinear>,
}

impl HostEmbeddings {
    /// Whether anything of them is trained.
    pub(super) fn is_trained(&self) -> bool {
        let (norm, projection) = (self.norm.as_ref(), self.projection.as_ref());
        self.trained != TrainedTables::None
            || norm.is_some_and(HostNorm::is_trained)
            || projection.is_some_and(HostLinear::is_trained)
    }
}

/// The embeddings' tables; clones share them.
#[derive(Clone)]
pub(crate) struct HostTables {
    /// `[vocab, width]`
    pub(super) word: Arc<Vec<f32>>,
    /// `[positions, width]`, where the family has such a table.
    pub(super) position: Option<Arc<Vec<f32>>>,
    /// `[types, width]`, where the family has segments.
    pub(super) token_type: Option<Arc<Vec<f32>>>,
}

/// One encoder layer.
pub(super) struct HostLayer {
    /// Queries, keys and values, side by side.
    pub(super) qkv: HostLinear,
    pub(super) attention_output: HostLinear,
    pub(super) intermediate: HostLinear,
    pub(super) output: HostLinear,
    pub(super) norms: HostNorms,
}

impl HostLayer {
    /// Its linear layers.
    pub(super) fn linears(&self) -> [&HostLinear; 4] {
        [
            &self.qkv,
            &self.attention_output,
            &self.intermediate,
            &self.output,
        ]
    }

    /// Whether anything of it is trained.
    pub(super) fn is_trained(&self) -> bool {
        self.linears().into_iter().any(HostLinear::is_trained)
            || match &self.norms {
                HostNorms::First(NormsFirst { attention, output }) => {
                    output.is_trained() || attention.as_ref().is_some_and(HostNorm::is_trained)
                }
                HostNorms::Last(NormsLast { attention, output }) => {
                    output.is_trained() || attention.is_trained()
                }
            }
    }
}

/// What isn't trained of a model's weights: others of its models, however far trained, have the same.
pub(super) struct Frozen {
    tables: Option<HostTables>,
    layers: Vec<Option<Arc<HostLayer>>>,
}

impl Frozen {
    /// Whether a weight of this name is in it.
    fn has(&self, name: &str, role: Role) -> bool {
        let layer = name.strip_prefix(LAYER).and_then(|rest| {
            let (index, _) = rest.split_once('.')?;
            self.layer(index.parse().ok()?)
        });
        let is_table = matches!(role, Role::WordTable | Role::Table);
        layer.is_some() || (is_table && self.tables.is_some())
    }

    fn layer(&self, index: usize) -> Option<&Arc<HostLayer>> {
        self.layers.get(index)?.as_ref()
    }
}

/// What names of a layer's weights begin with, before its number.
const LAYER: &str = "encoder.layer.";

impl HostWeights {
    /// Copies a classifier's weights, but for those that are `frozen`.
    pub(super) fn of(model: &Model, frozen: Option<&Frozen>) -> Self {
        let mut values = HashMap::new();
        // Clones share the tensors' memory.
        let Ok(()) = model
            .network()
            .clone()
            .visit(&mut |name, (_, role), weight| {
                if !frozen.is_some_and(|frozen| frozen.has(name, role)) {
                    let shape = weight.shape();
                    values.insert(name.to_owned(), (shape, weight.host_values()));
                }
                Ok::<(), Infallible>(())
            });
        let spec = model.spec();
        let tables = |name: &str| name.ends_with("_embeddings.weight");
        let entries = model.layout().entries().iter();
        let base = entries
            .filter(|entry| tables(&entry.name))
            .map(|entry| entry.shape.iter().product::<usize>())
            .sum();
        let mut reader = Reader {
            values,
            layout: model.layout(),
            train: model.options().train,
            epsilon: spec.layer_norm_epsilon as f32,
            centred: spec.layer.centred,
        };
        let pooling = model.options().pooling;
        let pools = pooling == Pooling::Pooler;
        let tables = frozen.and_then(|frozen| frozen.tables.as_ref());
        let embeddings = reader.embeddings(tables, spec);
        let relative_bias = spec.relative_bias.then(|| reader.relative_bias());
        let relative_states = spec.disentangled.map(|shape| reader.relative_states(shape));
        let mut layer = |index| match frozen.and_then(|frozen| frozen.layer(index)) {
            Some(frozen) => Arc::clone(frozen),
            None => Arc::new(reader.layer(index, spec)),
        };
        let own: Vec<Arc<HostLayer>> = (0..spec.own_layers()).map(&mut layer).collect();
        Self {
            hidden: spec.hidden_size,
            heads: spec.heads,
            key_value_heads: spec.key_value_heads,
            causal: spec.causal,
            activation: spec.activation,
            positions: spec.positions,
            gated: spec.layer.gated,
            rotations: spec.rotations.clone(),
            read: spec.read(pooling),
            pooler_activation: spec.pooler.activation,
            embeddings,
            relative_bias,
            relative_states,
            layers: own.iter().cycle().take(spec.layers).cloned().collect(),
            shares_layers: spec.shared_layers,
            last_norm: spec
                .layer
                .norm_first
                .then(|| reader.norm("encoder.LayerNorm")),
            pooler: pools.then(|| reader.linear(&["pooler.dense".into()])),
            pooler_norm: (pools && spec.pooler.has_norm).then(|| reader.norm("pooler.LayerNorm")),
            classifier: reader.linear(&["classifier".into()]),
            head_scale: model.options().head_scale.get() as f32,
            base,
            dense: model.layout().len() - base,
        }
    }

    /// What isn't trained of them.
    pub(super) fn frozen(&self) -> Frozen {
        let embeddings = &self.embeddings;
        let layer = |layer: &Arc<HostLayer>| (!layer.is_trained()).then(|| Arc::clone(layer));
        Frozen {
            tables: (embeddings.trained == TrainedTables::None).then(|| embeddings.tables.clone()),
            layers: self.layers.iter().map(layer).collect(),
        }
    }

    /// Where the trained parameters begin that aren't in an embedding table, and how many
    /// there are: the tables come first.
    pub(crate) fn dense(&self) -> (usize, usize) {
        (self.base, self.dense)
    }
}

/// Hands out weights by name.
struct Reader<'a> {
    /// Shapes and numbers.
    values: HashMap<String, (Vec<usize>, Vec<f32>)>,
    layout: &'a ParameterLayout,
    train: TrainableSet,
    epsilon: f32,
    centred: bool,
}

impl Reader<'_> {
    fn take(&mut self, name: &str) -> (Vec<f32>, Option<usize>) {
        let (_, values) = self.values.remove(name).unwrap_or_default();
        (values, self.layout.offset_of(name))
    }

    fn embeddings(
        &mut self,
        frozen: Option<&HostTables>,
        spec: &TransformerSpec,
    ) -> HostEmbeddings {
        let mut table = |name: &str| Arc::new(self.take(&table_name(name)).0);
        let tables = frozen.cloned().unwrap_or_else(|| HostTables {
            word: table("word"),
            position: (spec.positions != Positions::Nowhere).then(|| table("position")),
            token_type: spec.token_types.map(|_| table("token_type")),
        });
        HostEmbeddings {
            tables,
            trained: TrainedTables::of(self.train),
            width: spec.embedding_size,
            norm: spec
                .norms_embeddings
                .then(|| self.norm("embeddings.LayerNorm")),
            projection: spec
                .projects_embeddings
                .then(|| self.linear(&["embeddings_project".into()])),
        }
    }

    fn relative_bias(&mut self) -> RelativeBias {
        let (table, offset) = self.take(&format!("{RELATIVE_BIAS}.weight"));
        RelativeBias::new(table, offset)
    }

    fn relative_states(&mut self, shape: Disentangled) -> RelativeStates {
        let (table, offset) = self.take(&format!("{RELATIVE_STATES}.weight"));
        RelativeStates {
            shape,
            table,
            offset,
            norm: self.norm(RELATIVE_NORM),
        }
    }

    fn layer(&mut self, index: usize, spec: &TransformerSpec) -> HostLayer {
        let shape = spec.layer;
        let name = |rest: &str| format!("{LAYER}{index}.{rest}");
        let named = |target: LoraTarget| -> Vec<String> {
            let layers = adapted_layers(target, shape).iter();
            layers.map(|layer| name(layer)).collect()
        };
        let mut projections = [LoraTarget::Query, LoraTarget::Key, LoraTarget::Value]
            .map(named)
            .concat();
        // One name where they are one layer.
        projections.dedup();
        let attention_norm = name(shape.attention_norm());
        let output_norm = name(shape.output_norm());
        HostLayer {
            qkv: self.linear(&projections),
            attention_output: self.linear(&named(LoraTarget::AttentionOutput)),
            intermediate: self.linear(&named(LoraTarget::Intermediate)),
            output: self.linear(&named(LoraTarget::Output)),
            norms: match shape.norm_first {
                true => HostNorms::First(NormsFirst {
                    attention: spec
                        .has_attention_norm(index)
                        .then(|| self.norm(&attention_norm)),
                    output: self.norm(&output_norm),
                }),
                false => HostNorms::Last(NormsLast {
                    attention: self.norm(&attention_norm),
                    output: self.norm(&output_norm),
                }),
            },
        }
    }

    fn norm(&mut self, name: &str) -> HostNorm {
        let (gamma, gamma_offset) = self.take(&format!("{name}.weight"));
        let (mut beta, beta_offset) = self.take(&format!("{name}.bias"));
        // One that isn't there adds nothing.
        beta.resize(gamma.len(), 0.0);
        HostNorm {
            gamma,
            beta,
            epsilon: self.epsilon,
            centred: self.centred,
            gamma_offset,
            beta_offset,
        }
    }

    /// One layer of several with the same inputs.
    fn linear(&mut self, names: &[String]) -> HostLinear {
        let mut weights = Vec::new();
        let mut bias = Vec::new();
        let mut parts = Vec::new();
        let mut inputs = 0;
        for name in names {
            let weight_name = format!("{name}.weight");
            let shape = self
                .values
                .get(&weight_name)
                .map(|(shape, _)| shape.as_slice());
            let outputs = match shape {
                Some(&[rows, columns]) => {
                    inputs = rows;
                    columns
                }
                _ => 0,
            };
            let (weight, weight_offset) = self.take(&weight_name);
            let (mut part_bias, bias_offset) = self.take(&format!("{name}.bias"));
            // One that isn't there adds nothing.
            part_bias.resize(outputs, 0.0);
            let columns = bias.len()..bias.len() + outputs;
            parts.push(LinearPart {
                adapter: self.adapter(name, inputs, columns.len()),
                columns,
                weight_offset,
                bias_offset,
            });
            bias.extend(part_bias);
            weights.push(weight);
        }
        HostLinear {
            inputs,
            outputs: bias.len(),
            weight: side_by_side(&weights, inputs),
            bias,
            parts,
        }
    }

    fn adapter(&mut self, name: &str, inputs: usize, outputs: usize) -> Option<HostAdapter> {
        let scale = self.train.lora()?.scale() as f32;
        let (a, a_offset) = self.take(&format!("{name}.lora_A.weight"));
        let (b, b_offset) = self.take(&format!("{name}.lora_B.weight"));
        let rank = b.len() / outputs.max(1);
        (rank > 0 && a.len() == inputs * rank).then_some(HostAdapter {
            rank,
            scale,
            a,
            b,
            a_offset,
            b_offset,
        })
    }
}

fn table_name(name: &str) -> String {
    format!("embeddings.{name}_embeddings.weight")
}

/// Matrices of `rows` rows each as one.
fn side_by_side(matrices: &[Vec<f32>], rows: usize) -> Vec<f32> {
    if let [only] = matrices {
        return only.clone();
    }
    let mut joined = Vec::with_capacity(matrices.iter().map(Vec::len).sum());
    for row in 0..rows {
        for matrix in matrices {
            let width = matrix.len() / rows;
            joined.extend_from_slice(&matrix[row * width..(row + 1) * width]);
        }
    }
    joined
}
