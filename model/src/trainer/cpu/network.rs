//! The network's passes: forward, which keeps what the gradients are made of, and back.

use super::attention::Attention;
use super::disentangled::{NearStates, RelativeStates};
use super::dropout::Masks;
use super::head::multiply_each;
use super::layer::{LayerPass, LayerRecord, NormRecord, add_to_rows};
use super::linear::InputGradient;
use super::norm_first::{norm_back, normalised};
use super::packed::{Packed, Places};
use super::passed::Passed;
use super::rotary::Rotary;
use super::sums::VectorTaps;
use super::uses::Uses;
use super::vector::add;
use super::weights::HostWeights;
use super::workspace::Workspace;
use crate::families::StatesRead;
use crate::parameters::TrainedTables;
use crate::trainer::work::Example;

impl HostWeights {
    /// The lowest layer that the pass back goes through; the number of layers for none.
    pub(super) fn lowest_trained(&self) -> usize {
        let bias = self.relative_bias.as_ref();
        let states = self.relative_states.as_ref();
        if self.embeddings.is_trained()
            || bias.is_some_and(|bias| bias.offset.is_some())
            || states.is_some_and(RelativeStates::is_trained)
        {
            return 0;
        }
        let trained = self.layers.iter().position(|layer| layer.is_trained());
        trained.unwrap_or(self.layers.len())
    }

    /// Runs a tile through the network. Records are kept where the pass back needs them, or
    /// not at all unless `training`.
    pub(super) fn forward(
        &self,
        packed: &Packed,
        masks: &mut Masks,
        training: bool,
        workspace: &mut Workspace,
    ) -> Passed {
        let lowest = if training {
            self.lowest_trained()
        } else {
            self.layers.len()
        };
        let (mut hidden, embedding_norm, embedding_mask) = self.embed(packed, masks, workspace);
        let mut projection = None;
        if let Some(layer) = &self.embeddings.projection {
            let (mut projected, record) =
                layer.forward(&hidden, packed.count(Places::Tokens), workspace);
            add_to_rows(&mut projected, &layer.bias);
            projection = Some((std::mem::replace(&mut hidden, projected), record));
        }
        let rotaries = self.rotaries(packed);
        let states = self.relative_states.as_ref();
        let near = states.map(|states| states.near(packed, workspace));
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let near = (near.as_ref(), rotaries.as_slice());
            let pass = self.layer_pass(index, packed, near, !training);
            let (next, record) = pass.forward(layer, hidden, masks, workspace);
            hidden = next;
            // Below the lowest trained layer nobody goes back: its memory serves the next layer.
            if index < lowest {
                record.give(workspace);
                layers.push(None);
            } else {
                layers.push(Some(record));
            }
        }
        let mut last_norm = None;
        if let Some(norm) = &self.last_norm {
            let n = packed.count(self.last_outputs());
            let (normed, record) = normalised(norm, hidden, n, workspace);
            (hidden, last_norm) = (normed, Some(record));
        }
        let mask = masks.draw(packed.rows.len() * self.hidden, workspace);
        let pooled = self.pool(&hidden, packed, workspace);
        workspace.give(hidden);
        let head = self.score(pooled, mask, workspace);
        Passed {
            embedding_norm,
            embedding_mask,
            projection,
            layers,
            uses: None,
            last_norm,
            near,
            rotaries,
            head,
            vectors: Vec::new(),
            embedding: None,
        }
    }

    /// What layer `index` works with. The head may read the last layer's states of first tokens
    /// alone: then that layer takes no others further than their keys and values.
    fn layer_pass<'a>(
        &'a self,
        index: usize,
        packed: &'a Packed,
        (near, rotaries): (Option<&'a NearStates>, &'a [Rotary]),
        only_forward: bool,
    ) -> LayerPass<'a> {
        let rotation = self.rotations.get(index);
        LayerPass {
            attention: Attention {
                reach: rotation.and_then(|rotation| rotation.reach),
                kinds: if near.is_some() { 3 } else { 1 },
                ..self.attention()
            },
            activation: self.activation,
            gated: self.gated,
            relative_bias: self.relative_bias.as_ref(),
            rotary: rotaries
                .iter()
                .find(|rotary| Some(&rotary.rotation) == rotation),
            near,
            packed,
            outputs: match index + 1 == self.layers.len() {
                true => self.last_outputs(),
                false => Places::Tokens,
            },
            only_forward,
        }
    }

    /// Attention as all layers have it.
    fn attention(&self) -> Attention {
        Attention {
            hidden: self.hidden,
            heads: self.heads,
            key_value_heads: self.key_value_heads,
            causal: self.causal,
            reach: None,
            kinds: 1,
        }
    }

    /// The layers' rotations, each once, for a tile's rows.
    fn rotaries(&self, packed: &Packed) -> Vec<Rotary> {
        let longest = packed.longest();
        let mut rotaries: Vec<Rotary> = Vec::new();
        for rotation in &self.rotations {
            if rotaries.iter().all(|known| known.rotation != *rotation) {
                rotaries.push(Rotary::new(*rotation, self.attention(), longest));
            }
        }
        rotaries
    }

    /// Which states the last layer hands on.
    fn last_outputs(&self) -> Places {
        match self.read {
            StatesRead::First => Places::Rows,
            StatesRead::Mean | StatesRead::Last { .. } => Places::Tokens,
        }
    }

    /// Packs `units`, each a list of rows of `examples`.
    pub(super) fn pack(&self, examples: &[Example], units: &[&[usize]]) -> Packed {
        let mut packed = Packed::new(examples, units, self.positions);
        if let Some(states) = &self.relative_states {
            packed = packed.with_relative(states.shape);
        }
        match self.shares_layers {
            true => packed.with_uses(self.layers.len(), self.last_outputs()),
            false => packed,
        }
    }

    fn embed(
        &self,
        packed: &Packed,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, Option<NormRecord>, Option<Vec<f32>>) {
        let (width, n) = (self.embeddings.width, packed.count(Places::Tokens));
        let (embeddings, tables) = (&self.embeddings, &self.embeddings.tables);
        let mut sum = workspace.take(n * width);
        let place = |row: usize| row * width..(row + 1) * width;
        for row in &packed.rows {
            for token in row.clone() {
                let to = &mut sum[place(token)];
                let id = packed.ids[token] as usize;
                to.copy_from_slice(&tables.word[place(id)]);
                if let Some(position) = &tables.position {
                    add(to, &position[place(packed.positions[token] as usize)]);
                }
                if let Some(token_type) = &tables.token_type {
                    add(to, &token_type[place(packed.types[token] as usize)]);
                }
            }
        }
        let (mut hidden, mut record) = (sum, None);
        if let Some(norm) = &embeddings.norm {
            let (normed, own) = normalised(norm, hidden, n, workspace);
            (hidden, record) = (normed, Some(own));
        }
        let mask = masks.draw(hidden.len(), workspace);
        if let Some(mask) = &mask {
            multiply_each(&mut hidden, mask);
        }
        (hidden, record, mask)
    }

    /// Goes back from ∂L/∂(logits) `[R, labels]`, as far down as anything is trained.
    pub(super) fn backward(
        &self,
        passed: &mut Passed,
        packed: &Packed,
        g_logits: Vec<f32>,
        workspace: &mut Workspace,
    ) {
        let lowest = self.lowest_trained();
        let needed = lowest < self.layers.len() || self.embeddings.is_trained();
        let head = &mut passed.head;
        let mut vectors = VectorTaps::default();
        let asked = (needed, &mut vectors);
        let mut g = self.score_backward(g_logits, head, packed, asked, workspace);
        if let (Some(norm), Some(own), Some(g)) = (&self.last_norm, &passed.last_norm, &mut g) {
            norm_back(
                norm,
                own,
                g,
                packed.units_in(self.last_outputs()),
                &mut vectors,
            );
        }
        vectors.add_biases(&self.classifier, &head.classifier.g, &packed.units);
        if let (Some(layer), Some((_, _, record))) = (&self.pooler, &head.pooler) {
            vectors.add_biases(layer, &record.g, &packed.units);
        }
        let bias = self.relative_bias.as_ref();
        let bias = bias.and_then(|bias| Some((bias.offset?, bias.len())));
        let mut g_bias = bias.map(|(_, len)| vec![0.0; packed.rows.len() * len]);
        let states = self.relative_states.as_ref().zip(passed.near.as_ref());
        let states = states.filter(|(states, _)| states.is_trained());
        let places = packed.count(Places::Relative) * self.hidden;
        let mut g_states = states.map(|_| workspace.zeros(places));
        let layers = self.layers.iter().zip(&mut passed.layers).enumerate();
        for (index, (layer, record)) in layers.rev() {
            let (Some(g_out), Some(record)) = (g.take(), record) else {
                break;
            };
            let needed = index > lowest || self.embeddings.is_trained();
            let near = passed.near.as_ref();
            let near = (near, passed.rotaries.as_slice());
            let pass = self.layer_pass(index, packed, near, false);
            let asked = (needed, g_bias.as_deref_mut().or(g_states.as_deref_mut()));
            g = pass.backward(layer, record, g_out, asked, &mut vectors, workspace);
        }
        if let (Some((offset, len)), Some(g_bias)) = (bias, &g_bias) {
            vectors.add_rows(offset, g_bias, len, &packed.units);
        }
        if let (Some((states, near)), Some(g_states)) = (states, g_states) {
            states.backward(near, g_states, packed, &mut vectors, workspace);
        }
        if let Some(mut g) = g.filter(|_| self.embeddings.is_trained()) {
            let units = packed.units_in(Places::Tokens);
            if let (Some(layer), Some((_, record))) =
                (&self.embeddings.projection, &mut passed.projection)
            {
                vectors.add_biases(layer, &g, units);
                let n = packed.count(Places::Tokens);
                let mut g_embeddings = workspace.take(n * self.embeddings.width);
                let into = InputGradient::Written(&mut g_embeddings);
                layer.backward(g, n, into, record, workspace);
                record.give_unneeded(layer, workspace);
                g = g_embeddings;
            }
            if let Some(mask) = &passed.embedding_mask {
                multiply_each(&mut g, mask);
            }
            if let (Some(norm), Some(own)) = (&self.embeddings.norm, &passed.embedding_norm) {
                norm_back(norm, own, &mut g, units, &mut vectors);
            }
            if self.embeddings.trained != TrainedTables::None {
                passed.embedding = Some(g);
            } else {
                workspace.give(g);
            }
        }
        passed.vectors = vectors.into_taps();
        let records: Vec<LayerRecord> = match self.shares_layers {
            true => passed.layers.drain(..).flatten().collect(),
            false => Vec::new(),
        };
        if let (Some(layer), false) = (self.layers.first(), records.is_empty()) {
            passed.uses = Some(Uses::gather(layer, records, packed, workspace));
        }
        // XᵀG of the last layer is all that X is still needed for.
        if self.head_scale != 1.0 {
            let inputs = &mut passed.head.pooled;
            inputs.iter_mut().for_each(|x| *x *= self.head_scale);
        }
    }
}
