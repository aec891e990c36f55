//! From hidden states to the loss, and back.

use std::ops::Range;

use super::activation::activate;
use super::layer::NormRecord;
use super::linear::{InputGradient, LinearRecord};
use super::norm_first::{norm_back, normalised};
use super::packed::{Packed, Places};
use super::sums::VectorTaps;
use super::vector::add;
use super::weights::HostWeights;
use super::workspace::Workspace;
use crate::families::{PoolerActivation, StatesRead};
use crate::loss::Loss;
use crate::target::Target;

/// What the head's pass leaves behind.
pub(super) struct HeadRecord {
    /// The pooler's inputs, `[R, hidden]`, and its activation's slope.
    pub(super) pooler: Option<(Vec<f32>, Vec<f32>, LinearRecord)>,
    /// Its normalisation's, where it has one.
    pooler_norm: Option<NormRecord>,
    /// Dropout's mask, `[R, hidden]`.
    mask: Option<Vec<f32>>,
    /// The classifier's inputs, `[R, hidden]`.
    pub(super) pooled: Vec<f32>,
    pub(super) classifier: LinearRecord,
    /// One score a label, `[R, labels]`.
    pub(super) logits: Vec<f32>,
}

impl HostWeights {
    /// One score a label from what [`Self::pool`] reads of each row. `mask` is dropout's.
    pub(super) fn score(
        &self,
        mut pooled: Vec<f32>,
        mask: Option<Vec<f32>>,
        workspace: &mut Workspace,
    ) -> HeadRecord {
        let rows = pooled.len() / self.hidden.max(1);
        let mut pooler = None;
        if let Some(layer) = &self.pooler {
            let (mut y, record) = layer.forward(&pooled, rows, workspace);
            let mut slope = workspace.take(y.len());
            match self.pooler_activation {
                PoolerActivation::Tanh => tanh(&mut y, &layer.bias, &mut slope),
                PoolerActivation::Like(kind) => activate(kind, &mut y, &layer.bias, &mut slope),
            }
            pooler = Some((std::mem::replace(&mut pooled, y), slope, record));
        }
        let mut pooler_norm = None;
        if let Some(norm) = &self.pooler_norm {
            let (normed, record) = normalised(norm, pooled, rows, workspace);
            (pooled, pooler_norm) = (normed, Some(record));
        }
        if let Some(mask) = &mask {
            multiply_each(&mut pooled, mask);
        }
        let (mut logits, classifier) = self.classifier.forward(&pooled, rows, workspace);
        for row in logits.chunks_mut(self.classifier.outputs.max(1)) {
            add(row, &self.classifier.bias);
        }
        HeadRecord {
            pooler,
            pooler_norm,
            mask,
            pooled,
            classifier,
            logits,
        }
    }

    /// `[R, hidden]`: the mean of those of a row's states that are read. `outputs` are the last
    /// layer's: the first state of each row, `[R, hidden]`, where that alone is read, else all hidden
    /// states, `[N, hidden]`.
    pub(super) fn pool(
        &self,
        outputs: &[f32],
        packed: &Packed,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        let width = self.hidden;
        let mut pooled = workspace.zeros(packed.rows.len() * width);
        if self.read == StatesRead::First {
            pooled.copy_from_slice(outputs);
            return pooled;
        }
        for (to, row) in pooled.chunks_mut(width.max(1)).zip(&packed.rows) {
            let read = self.read_of(packed, row);
            let states = &outputs[read.start * width..read.end * width];
            for state in states.chunks(width.max(1)) {
                add(to, state);
            }
            let share = 1.0 / read.len().max(1) as f32;
            to.iter_mut().for_each(|x| *x *= share);
        }
        pooled
    }

    /// From ∂L/∂(logits) `[R, labels]` to the gradient of the last layer's outputs, if it is
    /// `needed`.
    pub(super) fn score_backward(
        &self,
        g_logits: Vec<f32>,
        record: &mut HeadRecord,
        packed: &Packed,
        (needed, vectors): (bool, &mut VectorTaps),
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        let rows = packed.rows.len();
        let pooler_trained = self.pooler.as_ref().is_some_and(|layer| layer.is_trained());
        let mut g = workspace.take(rows * self.hidden);
        let into = if needed || pooler_trained {
            InputGradient::Written(&mut g)
        } else {
            InputGradient::Unneeded
        };
        let head = &mut record.classifier;
        self.classifier
            .backward(g_logits, rows, into, head, workspace);
        if let Some(mask) = &record.mask {
            multiply_each(&mut g, mask);
        }
        if let (Some(norm), Some(own)) = (&self.pooler_norm, &record.pooler_norm)
            && (needed || pooler_trained)
        {
            norm_back(norm, own, &mut g, &packed.units, vectors);
        }
        if let (Some(layer), Some((_, slope, record))) = (&self.pooler, &mut record.pooler) {
            multiply_each(&mut g, slope);
            let mut g_first = workspace.take(rows * self.hidden);
            let into = if needed {
                InputGradient::Written(&mut g_first)
            } else {
                InputGradient::Unneeded
            };
            layer.backward(g, rows, into, record, workspace);
            g = g_first;
        }
        if needed && self.read == StatesRead::First {
            return Some(g);
        }
        let g_hidden = needed.then(|| self.unpool(&g, packed, workspace));
        workspace.give(g);
        g_hidden
    }

    /// The tokens of a row whose states are read.
    fn read_of(&self, packed: &Packed, row: &Range<usize>) -> Range<usize> {
        let places = self.read.places(&packed.ids[row.clone()]);
        row.start + places.start..row.start + places.end
    }

    /// From ∂L/∂(mean) `[R, hidden]` to ∂L/∂(hidden states) `[N, hidden]`.
    fn unpool(&self, g: &[f32], packed: &Packed, workspace: &mut Workspace) -> Vec<f32> {
        let width = self.hidden;
        let mut g_hidden = workspace.take(packed.count(Places::Tokens) * width);
        for (g, row) in g.chunks(width.max(1)).zip(&packed.rows) {
            let read = self.read_of(packed, row);
            g_hidden[row.start * width..row.end * width].fill(0.0);
            let states = &mut g_hidden[read.start * width..read.end * width];
            let share = 1.0 / read.len().max(1) as f32;
            for state in states.chunks_mut(width.max(1)) {
                for (state, g) in state.iter_mut().zip(g) {
                    *state = g * share;
                }
            }
        }
        g_hidden
    }
}

impl HeadRecord {
    /// Each row's loss, and ∂(their sum)/∂(logits), `[R, labels]`.
    pub(super) fn losses(
        &self,
        loss: &Loss,
        targets: &[Target],
        workspace: &mut Workspace,
    ) -> (Vec<f64>, Vec<f32>) {
        let mut g = workspace.take(self.logits.len());
        let count = (self.logits.len() / targets.len().max(1)).max(1);
        let rows = self.logits.chunks(count).zip(g.chunks_mut(count));
        let losses = rows.zip(targets).map(|((scores, g), target)| {
            loss.gradient(scores, target, g);
            loss.of_row(scores, target)
        });
        let losses = losses.collect();
        (losses, g)
    }

    /// Takes what was read of each row, `[R, hidden]`. Nobody goes back through what is left.
    pub(super) fn take_states(&mut self) -> Vec<f32> {
        std::mem::take(match &mut self.pooler {
            Some((input, _, _)) => input,
            None => &mut self.pooled,
        })
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        if let Some((input, slope, record)) = self.pooler {
            workspace.give(input);
            workspace.give(slope);
            record.give(workspace);
        }
        if let Some(norm) = self.pooler_norm {
            norm.give(workspace);
        }
        if let Some(mask) = self.mask {
            workspace.give(mask);
        }
        workspace.give(self.pooled);
        self.classifier.give(workspace);
        workspace.give(self.logits);
    }
}

/// Adds the bias to each row of `x`, puts tanh in its place, and 1 - tanh², its slope, into
/// `slope`.
fn tanh(x: &mut [f32], bias: &[f32], slope: &mut [f32]) {
    let width = bias.len().max(1);
    for (x, slope) in x.chunks_mut(width).zip(slope.chunks_mut(width)) {
        add(x, bias);
        for (x, slope) in x.iter_mut().zip(slope) {
            *x = x.tanh();
            *slope = 1.0 - *x * *x;
        }
    }
}

/// x ⊙= y.
pub(super) fn multiply_each(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x *= y;
    }
}
