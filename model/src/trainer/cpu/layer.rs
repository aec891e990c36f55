//! An encoder layer's passes: forward, which keeps what the gradients are made of, and back. Layers
//! that normalise behind what they compute are in [`super::norm_last`], the others in
//! [`super::norm_first`]. Both go through attention, [`super::context`] and [`super::feed_forward`].

use std::ops::Range;

use super::attention::{Attended, Attention, Beside, Span};
use super::disentangled::NearStates;
use super::dropout::Masks;
use super::linear::Passage;
use super::norm_first::FirstRecord;
use super::norm_last::LastRecord;
use super::norms::HostNorms;
use super::packed::{Packed, Places};
use super::relative_bias::RelativeBias;
use super::rotary::Rotary;
use super::sums::VectorTaps;
use super::vector::{add, widely};
use super::weights::HostLayer;
use super::workspace::Workspace;
use crate::families::Activation;

/// What a layer's passes work with, beside its weights. Notation: N tokens go in, and states of
/// M `outputs` come out, which are all of the N, or each row's first.
pub(super) struct LayerPass<'a> {
    pub(super) attention: Attention,
    pub(super) activation: Activation,
    /// Whether the first feed-forward layer has a gate.
    pub(super) gated: bool,
    pub(super) relative_bias: Option<&'a RelativeBias>,
    pub(super) rotary: Option<&'a Rotary>,
    pub(super) near: Option<&'a NearStates>,
    pub(super) packed: &'a Packed,
    pub(super) outputs: Places,
    /// Whether nothing is kept, as no pass back follows.
    pub(super) only_forward: bool,
}

/// A normalisation's record.
pub(super) struct NormRecord {
    /// x̂, `[n, hidden]`
    pub(super) normalised: Vec<f32>,
    /// `[n]`
    pub(super) inverse: Vec<f32>,
}

/// An encoder layer's record, by where it normalises.
pub(super) enum LayerRecord {
    First(FirstRecord),
    Last(LastRecord),
}

impl LayerPass<'_> {
    /// From hidden states `[N, hidden]` to those of the outputs, `[M, hidden]`.
    pub(super) fn forward(
        &self,
        layer: &HostLayer,
        input: Vec<f32>,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, LayerRecord) {
        match &layer.norms {
            HostNorms::First(norms) => {
                let (hidden, record) = self.norm_first(layer, norms, input, masks, workspace);
                (hidden, LayerRecord::First(record))
            }
            HostNorms::Last(norms) => {
                let (hidden, record) = self.norm_last(layer, norms, input, masks, workspace);
                (hidden, LayerRecord::Last(record))
            }
        }
    }

    /// From ∂L/∂(outputs) `[M, hidden]` to ∂L/∂(input) `[N, hidden]`, if that is `needed`. Each
    /// row's gradient of attention's bias, or each unit's of the states of relative places, is added
    /// to what is `asked` for it, where that is trained.
    pub(super) fn backward(
        &self,
        layer: &HostLayer,
        record: &mut LayerRecord,
        g: Vec<f32>,
        asked: (bool, Option<&mut [f32]>),
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        match (&layer.norms, record) {
            (HostNorms::First(norms), LayerRecord::First(record)) => {
                self.norm_first_back((layer, norms), record, g, asked, vectors, workspace)
            }
            (HostNorms::Last(norms), LayerRecord::Last(record)) => {
                self.norm_last_back((layer, norms), record, g, asked, vectors, workspace)
            }
            // No layer has the other kind's record.
            _ => None,
        }
    }

    /// From queries, keys and values to the context of all outputs, `[M, hidden]`.
    pub(super) fn attend(
        &self,
        qkv: &[f32],
        spans: &[Span],
        beside: Beside<'_>,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, Attended) {
        let attention = self.attention;
        let mask = masks.draw(attention.weights(spans), workspace);
        let m = self.packed.count(self.outputs);
        let mut context = workspace.take(m * attention.hidden);
        let attended = if self.only_forward {
            attention.forward_only(qkv, spans, beside, &mut context, workspace)
        } else {
            attention.forward(qkv, spans, beside, mask, &mut context, workspace)
        };
        (context, attended)
    }

    /// Each row's tokens, and which of the outputs are theirs.
    pub(super) fn spans(&self) -> Vec<Span> {
        let rows = self.packed.rows.iter().enumerate();
        let span = |(index, row): (usize, &Range<usize>)| Span {
            tokens: row.clone(),
            outputs: match self.outputs {
                Places::Rows => index..index + 1,
                _ => row.clone(),
            },
        };
        rows.map(span).collect()
    }

    /// Of states `[N, hidden]` those of the outputs, `[M, hidden]`; `None` where that is all.
    pub(super) fn outputs_of(&self, states: &[f32], workspace: &mut Workspace) -> Option<Vec<f32>> {
        if self.outputs == Places::Tokens {
            return None;
        }
        let width = self.attention.hidden;
        let mut first = workspace.take(self.packed.rows.len() * width);
        for (to, row) in first.chunks_mut(width.max(1)).zip(&self.packed.rows) {
            to.copy_from_slice(&states[row.start * width..(row.start + 1) * width]);
        }
        Some(first)
    }

    /// The way back of [`Self::outputs_of`]: from `[M, hidden]` to `[N, hidden]`.
    pub(super) fn g_around(&self, g: &[f32], workspace: &mut Workspace) -> Vec<f32> {
        if self.outputs == Places::Tokens {
            return copy(g, workspace);
        }
        let width = self.attention.hidden;
        let mut g_input = workspace.zeros(self.packed.count(Places::Tokens) * width);
        for (g, row) in g.chunks(width.max(1)).zip(&self.packed.rows) {
            g_input[row.start * width..(row.start + 1) * width].copy_from_slice(g);
        }
        g_input
    }
}

/// Adds the bias to each row.
pub(super) fn add_to_rows(x: &mut [f32], bias: &[f32]) {
    widely(
        #[inline(always)]
        || {
            for row in x.chunks_mut(bias.len().max(1)) {
                add(row, bias);
            }
        },
    );
}

pub(super) fn copy(x: &[f32], workspace: &mut Workspace) -> Vec<f32> {
    let mut copy = workspace.take(x.len());
    copy.copy_from_slice(x);
    copy
}

impl NormRecord {
    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.normalised);
        workspace.give(self.inverse);
    }
}

impl LayerRecord {
    /// The linear layers.
    pub(super) fn linears<'a>(&'a self, layer: &'a HostLayer) -> [Passage<'a>; 4] {
        match self {
            Self::First(record) => record.linears(layer),
            Self::Last(record) => record.linears(layer),
        }
    }

    /// Applies `scale` to one side of each trained matrix's product.
    pub(super) fn scale(&mut self, layer: &HostLayer, scale: impl Fn(&mut [f32], usize, Places)) {
        match self {
            Self::First(record) => record.scale(layer, scale),
            Self::Last(record) => record.scale(layer, scale),
        }
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        match self {
            Self::First(record) => record.give(workspace),
            Self::Last(record) => record.give(workspace),
        }
    }
}
