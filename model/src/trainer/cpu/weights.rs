//! A network's weights in the host's memory, with the places of those that are trained.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use super::layer_norm::Norm;
use super::linear::{HostAdapter, HostLinear, LinearPart};
use super::relative_bias::RelativeBias;
use crate::families::{Activation, PoolerActivation, Positions, TransformerSpec};
use crate::lora::adapted_layer;
use crate::model::Model;
use crate::network::RELATIVE_BIAS;
use crate::parameters::{ParameterLayout, Role};
use umbel_proto::classifier::Pooling;
use umbel_proto::lora::LoraTarget;

/// All of a classifier's weights.
pub(crate) struct HostWeights {
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) activation: Activation,
    pub(super) positions: Positions,
    pub(super) pooling: Pooling,
    pub(super) pooler_activation: PoolerActivation,
    pub(super) embeddings: HostEmbeddings,
    pub(super) relative_bias: Option<RelativeBias>,
    /// Each depth's; one and the same where they share it.
    pub(super) layers: Vec<Arc<HostLayer>>,
    /// Whether they do.
    pub(super) shares_layers: bool,
    pub(super) pooler: Option<HostLinear>,
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
    /// Whether the tables are trained.
    pub(super) trained: bool,
    pub(super) norm: HostNorm,
    /// To the hidden states' width, where the embeddings have another.
    pub(super) projection: Option<HostLinear>,
}

impl HostEmbeddings {
    /// Their width.
    pub(super) fn width(&self) -> usize {
        self.norm.gamma.len()
    }

    /// Whether anything of them is trained.
    pub(super) fn is_trained(&self) -> bool {
        let projection = self.projection.as_ref();
        self.trained || self.norm.is_trained() || projection.is_some_and(HostLinear::is_trained)
    }
}

/// The embeddings' tables; clones share them.
#[derive(Clone)]
pub(crate) struct HostTables {
    /// `[vocab, width]`
    pub(super) word: Arc<Vec<f32>>,
    /// `[positions, width]`
    pub(super) position: Arc<Vec<f32>>,
    /// `[types, width]`, where the family has segments.
    pub(super) token_type: Option<Arc<Vec<f32>>>,
}

/// One encoder layer.
pub(super) struct HostLayer {
    /// Queries, keys and values, side by side.
    pub(super) qkv: HostLinear,
    pub(super) attention_output: HostLinear,
    pub(super) attention_norm: HostNorm,
    pub(super) intermediate: HostLinear,
    pub(super) output: HostLinear,
    pub(super) output_norm: HostNorm,
}

/// A layer normalisation.
pub(super) struct HostNorm {
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) epsilon: f32,
    pub(super) gamma_offset: Option<usize>,
    pub(super) beta_offset: Option<usize>,
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
            || self.attention_norm.is_trained()
            || self.output_norm.is_trained()
    }
}

impl HostNorm {
    /// What its passes need.
    pub(super) fn view(&self) -> Norm<'_> {
        Norm {
            gamma: &self.gamma,
            beta: &self.beta,
            epsilon: self.epsilon,
        }
    }

    /// Whether anything of it is trained.
    pub(super) fn is_trained(&self) -> bool {
        self.gamma_offset.or(self.beta_offset).is_some()
    }
}

impl HostWeights {
    /// Copies a classifier's weights, but for tables that are `frozen`.
    pub(crate) fn of(model: &Model, frozen: Option<&HostTables>) -> Self {
        let mut values = HashMap::new();
        // Clones share the tensors' memory.
        let Ok(()) = model
            .network()
            .clone()
            .visit(&mut |name, (_, role), weight| {
                if frozen.is_none() || role != Role::Table {
                    values.insert(name.to_owned(), weight.host_values());
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
            adapter_scale: model.options().train.lora().map(|lora| lora.scale() as f32),
            epsilon: spec.layer_norm_epsilon as f32,
        };
        let pooling = model.options().pooling;
        let embeddings = reader.embeddings(frozen, spec);
        let relative_bias = spec.relative_bias.then(|| reader.relative_bias());
        let own: Vec<Arc<HostLayer>> = (0..spec.own_layers())
            .map(|index| Arc::new(reader.layer(index)))
            .collect();
        Self {
            hidden: spec.hidden_size,
            heads: spec.heads,
            activation: spec.activation,
            positions: spec.positions,
            pooling,
            pooler_activation: spec.pooler_activation,
            embeddings,
            relative_bias,
            layers: own.iter().cycle().take(spec.layers).cloned().collect(),
            shares_layers: spec.shared_layers,
            pooler: (pooling == Pooling::Pooler).then(|| reader.linear(&["pooler.dense".into()])),
            classifier: reader.linear(&["classifier".into()]),
            head_scale: model.options().head_scale.get() as f32,
            base,
            dense: model.layout().len() - base,
        }
    }

    /// The tables, unless they are trained.
    pub(crate) fn frozen_tables(&self) -> Option<HostTables> {
        let embeddings = &self.embeddings;
        (!embeddings.trained).then(|| embeddings.tables.clone())
    }

    /// Where the trained parameters begin that aren't in an embedding table, and how many
    /// there are: the tables come first.
    pub(crate) fn dense(&self) -> (usize, usize) {
        (self.base, self.dense)
    }
}

/// Hands out weights by name.
struct Reader<'a> {
    values: HashMap<String, Vec<f32>>,
    layout: &'a ParameterLayout,
    adapter_scale: Option<f32>,
    epsilon: f32,
}

impl Reader<'_> {
    fn take(&mut self, name: &str) -> (Vec<f32>, Option<usize>) {
        let values = self.values.remove(name).unwrap_or_default();
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
            position: table("position"),
            token_type: spec.token_types.map(|_| table("token_type")),
        });
        HostEmbeddings {
            tables,
            trained: self.layout.offset_of(&table_name("word")).is_some(),
            norm: self.norm("embeddings.LayerNorm"),
            projection: spec
                .projects_embeddings
                .then(|| self.linear(&["embeddings_project".into()])),
        }
    }

    fn relative_bias(&mut self) -> RelativeBias {
        let (table, offset) = self.take(&format!("{RELATIVE_BIAS}.weight"));
        RelativeBias::new(table, offset)
    }

    fn layer(&mut self, index: usize) -> HostLayer {
        let name = |rest: &str| format!("encoder.layer.{index}.{rest}");
        let named = |target: LoraTarget| name(adapted_layer(target));
        HostLayer {
            qkv: self.linear(&[
                named(LoraTarget::Query),
                named(LoraTarget::Key),
                named(LoraTarget::Value),
            ]),
            attention_output: self.linear(&[named(LoraTarget::AttentionOutput)]),
            attention_norm: self.norm(&name("attention.output.LayerNorm")),
            intermediate: self.linear(&[named(LoraTarget::Intermediate)]),
            output: self.linear(&[named(LoraTarget::Output)]),
            output_norm: self.norm(&name("output.LayerNorm")),
        }
    }

    fn norm(&mut self, name: &str) -> HostNorm {
        let (gamma, gamma_offset) = self.take(&format!("{name}.weight"));
        let (beta, beta_offset) = self.take(&format!("{name}.bias"));
        HostNorm {
            gamma,
            beta,
            epsilon: self.epsilon,
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
            let (weight, weight_offset) = self.take(&format!("{name}.weight"));
            let (part_bias, bias_offset) = self.take(&format!("{name}.bias"));
            let columns = bias.len()..bias.len() + part_bias.len();
            inputs = weight.len() / part_bias.len().max(1);
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
        let scale = self.adapter_scale?;
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
