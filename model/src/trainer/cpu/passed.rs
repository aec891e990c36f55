//! What a tile's passes leave behind: the records that its gradients are made of.

use super::disentangled::NearStates;
use super::head::HeadRecord;
use super::layer::{LayerRecord, NormRecord};
use super::linear::{LinearRecord, Passage};
use super::packed::Places;
use super::rotary::Rotary;
use super::sums::VectorTap;
use super::uses::Uses;
use super::weights::HostWeights;
use super::workspace::Workspace;

/// A tile after its pass forward, and what its pass back adds.
pub(super) struct Passed {
    /// Of the normalisation of the embeddings, where there is one.
    pub(super) embedding_norm: Option<NormRecord>,
    pub(super) embedding_mask: Option<Vec<f32>>,
    /// The embeddings as they went into their projection, `[N, width]`.
    pub(super) projection: Option<(Vec<f32>, LinearRecord)>,
    /// Of the layers that the pass back goes through; `None` below them.
    pub(super) layers: Vec<Option<LayerRecord>>,
    /// The same of one that all depths share, in place of theirs, once the pass back is over.
    pub(super) uses: Option<Uses>,
    /// Of the normalisation behind the last layer.
    pub(super) last_norm: Option<NormRecord>,
    /// States of relative places, where attention reads them.
    pub(super) near: Option<NearStates>,
    /// Rotations as layers have them, for the longest row.
    pub(super) rotaries: Vec<Rotary>,
    pub(super) head: HeadRecord,
    /// Gradients by unit of trained vectors.
    pub(super) vectors: Vec<VectorTap>,
    /// ∂L/∂(sum of the embeddings), `[N, width]`, where their tables are trained.
    pub(super) embedding: Option<Vec<f32>>,
}

impl Passed {
    /// Of a tile whose head alone was computed, above so many layers.
    pub(super) fn of_head(layers: usize, head: HeadRecord) -> Self {
        Self {
            embedding_norm: None,
            embedding_mask: None,
            projection: None,
            layers: (0..layers).map(|_| None).collect(),
            uses: None,
            last_norm: None,
            near: None,
            rotaries: Vec::new(),
            head,
            vectors: Vec::new(),
            embedding: None,
        }
    }

    /// The linear layers that the pass back went through.
    pub(super) fn linears<'a>(
        &'a self,
        weights: &'a HostWeights,
    ) -> impl Iterator<Item = Passage<'a>> {
        let projection = match (&weights.embeddings.projection, &self.projection) {
            (Some(layer), Some((input, record))) => {
                Some((layer, input.as_slice(), record, Places::Tokens))
            }
            _ => None,
        };
        let layers = weights.layers.iter().zip(&self.layers);
        let encoder = layers
            .filter_map(|(layer, record)| Some((layer, record.as_ref()?)))
            .flat_map(|(layer, record)| record.linears(layer));
        let uses = self.uses.iter().zip(weights.layers.first());
        let uses = uses.flat_map(|(uses, layer)| uses.linears(layer));
        let pooler = match (&weights.pooler, &self.head.pooler) {
            (Some(layer), Some((input, _, record))) => {
                Some((layer, input.as_slice(), record, Places::Rows))
            }
            _ => None,
        };
        let inputs = self.head.pooled.as_slice();
        let record = &self.head.classifier;
        let classifier = (&weights.classifier, inputs, record, Places::Rows);
        let embeddings = projection.filter(|_| weights.embeddings.is_trained());
        embeddings
            .into_iter()
            .chain(encoder)
            .chain(uses)
            .chain(pooler)
            .chain([classifier])
    }

    /// Applies `scale` to one side of each trained matrix's product.
    pub(super) fn scale(
        &mut self,
        weights: &HostWeights,
        scale: impl Fn(&mut [f32], usize, Places),
    ) {
        if let (Some(layer), Some((_, record))) =
            (&weights.embeddings.projection, &mut self.projection)
            && weights.embeddings.is_trained()
        {
            record.scale(layer, |values, width| scale(values, width, Places::Tokens));
        }
        for (layer, record) in weights.layers.iter().zip(&mut self.layers) {
            if let Some(record) = record {
                record.scale(layer, &scale);
            }
        }
        if let (Some(uses), Some(layer)) = (&mut self.uses, weights.layers.first()) {
            uses.scale(layer, &scale);
        }
        let by_row = |values: &mut [f32], width| scale(values, width, Places::Rows);
        if let (Some(layer), Some((_, _, record))) = (&weights.pooler, &mut self.head.pooler) {
            record.scale(layer, by_row);
        }
        self.head.classifier.scale(&weights.classifier, by_row);
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        if let Some(norm) = self.embedding_norm {
            norm.give(workspace);
        }
        if let Some(mask) = self.embedding_mask {
            workspace.give(mask);
        }
        if let Some((input, record)) = self.projection {
            workspace.give(input);
            record.give(workspace);
        }
        for record in self.layers.into_iter().flatten() {
            record.give(workspace);
        }
        if let Some(uses) = self.uses {
            uses.give(workspace);
        }
        if let Some(norm) = self.last_norm {
            norm.give(workspace);
        }
        if let Some(near) = self.near {
            near.give(workspace);
        }
        self.head.give(workspace);
        if let Some(embedding) = self.embedding {
            workspace.give(embedding);
        }
    }
}
