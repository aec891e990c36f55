//! Layers that normalise before they compute: what goes around attention and around the
//! feed-forward layers is added as it is.

use super::attention::{Attended, Beside};
use super::context::ContextRecord;
use super::dropout::Masks;
use super::feed_forward::FeedForwardRecord;
use super::head::multiply_each;
use super::layer::{LayerPass, NormRecord, add_to_rows, copy};
use super::linear::{InputGradient, LinearRecord, Passage};
use super::norms::{HostNorm, NormsFirst};
use super::packed::Places;
use super::rotary::Turn;
use super::sums::VectorTaps;
use super::vector::{add, widely};
use super::weights::HostLayer;
use super::workspace::Workspace;

/// Such a layer's record.
pub(super) struct FirstRecord {
    /// What came out.
    outputs: Places,
    /// What attention read, `[N, hidden]`: the states that came in, normalised if they are to be.
    input: Vec<f32>,
    input_norm: Option<NormRecord>,
    /// `[N, 3 · hidden]`, queries and keys turned.
    qkv: Vec<f32>,
    qkv_record: LinearRecord,
    attended: Attended,
    context: ContextRecord,
    middle_norm: NormRecord,
    feed_forward: FeedForwardRecord,
}

impl LayerPass<'_> {
    /// Forward through a layer that normalises before attention and before the feed-forward layers.
    pub(super) fn norm_first(
        &self,
        layer: &HostLayer,
        norms: &NormsFirst,
        states: Vec<f32>,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, FirstRecord) {
        let n = self.packed.count(Places::Tokens);
        let m = self.packed.count(self.outputs);
        let mut input = copy(&states, workspace);
        let mut input_norm = None;
        if let Some(norm) = &norms.attention {
            let (normed, record) = normalised(norm, input, n, workspace);
            (input, input_norm) = (normed, Some(record));
        }
        let (mut qkv, qkv_record) = layer.qkv.forward(&input, n, workspace);
        add_to_rows(&mut qkv, &layer.qkv.bias);
        if let Some(rotary) = self.rotary {
            rotary.turn(&mut qkv, &self.packed.rows, Turn::Forward);
        }
        let spans = self.spans();
        let beside = self.relative_bias.map_or(Beside::Nothing, Beside::Bias);
        let (context, attended) = self.attend(&qkv, &spans, beside, masks, workspace);
        let (mut hidden, context) = self.project(layer, context, masks, workspace);
        let around = self.outputs_of(&states, workspace);
        let residual = around.as_ref().unwrap_or(&states);
        let bias = &layer.attention_output.bias;
        add_around(&mut hidden, bias, context.mask.as_deref(), residual);
        workspace.give(around.unwrap_or_default());
        workspace.give(states);
        let (middle, middle_norm) =
            normalised(&norms.output, copy(&hidden, workspace), m, workspace);
        let (mut out, feed_forward) = self.feed_forward(layer, middle, masks, workspace);
        let mask = feed_forward.output_mask.as_deref();
        add_around(&mut out, &layer.output.bias, mask, &hidden);
        workspace.give(hidden);
        let record = FirstRecord {
            outputs: self.outputs,
            input,
            input_norm,
            qkv,
            qkv_record,
            attended,
            context,
            middle_norm,
            feed_forward,
        };
        (out, record)
    }

    /// The way back.
    pub(super) fn norm_first_back(
        &self,
        layer: (&HostLayer, &NormsFirst),
        record: &mut FirstRecord,
        g: Vec<f32>,
        asked: (bool, Option<&mut [f32]>),
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        let g = self.feed_first_back(layer, record, g, vectors, workspace);
        self.attend_first_back(layer, record, g, asked, vectors, workspace)
    }

    /// Back through the feed-forward layers and around them: from and to `[M, hidden]`.
    fn feed_first_back(
        &self,
        (layer, norms): (&HostLayer, &NormsFirst),
        record: &mut FirstRecord,
        g: Vec<f32>,
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        let units = self.packed.units_in(self.outputs);
        let g_product = copy(&g, workspace);
        let own = &mut record.feed_forward;
        let mut g_middle = workspace.take(own.input.len());
        let into = InputGradient::Written(&mut g_middle);
        self.feed_forward_back(layer, own, g_product, into, vectors, workspace);
        norm_back(
            &norms.output,
            &record.middle_norm,
            &mut g_middle,
            units,
            vectors,
        );
        add(&mut g_middle, &g);
        workspace.give(g);
        g_middle
    }

    /// Back through attention and around it.
    fn attend_first_back(
        &self,
        (layer, norms): (&HostLayer, &NormsFirst),
        record: &mut FirstRecord,
        g: Vec<f32>,
        (needed, g_bias): (bool, Option<&mut [f32]>),
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        let g_product = copy(&g, workspace);
        let own = &mut record.context;
        let g_context = self.context_back(layer, own, g_product, vectors, workspace);
        let mut g_qkv = workspace.take(record.qkv.len());
        let (qkv, attended, spans) = (&record.qkv, &record.attended, self.spans());
        let beside = self.relative_bias.map_or(Beside::Nothing, Beside::Bias);
        let g_beside = (beside, g_bias);
        self.attention.backward(
            qkv, &spans, attended, &g_context, &mut g_qkv, g_beside, workspace,
        );
        workspace.give(g_context);
        if let Some(rotary) = self.rotary {
            rotary.turn(&mut g_qkv, &self.packed.rows, Turn::Back);
        }
        let units = self.packed.units_in(Places::Tokens);
        vectors.add_biases(&layer.qkv, &g_qkv, units);
        let n = self.packed.count(Places::Tokens);
        let norm_is_trained = norms.attention.as_ref().is_some_and(HostNorm::is_trained);
        let mut g_input = workspace.take(record.input.len());
        let into = match needed || norm_is_trained {
            true => InputGradient::Written(&mut g_input),
            false => InputGradient::Unneeded,
        };
        let own = &mut record.qkv_record;
        layer.qkv.backward(g_qkv, n, into, own, workspace);
        own.give_unneeded(&layer.qkv, workspace);
        if let (Some(norm), Some(own)) = (&norms.attention, &record.input_norm)
            && (needed || norm_is_trained)
        {
            norm_back(norm, own, &mut g_input, units, vectors);
        }
        if !needed {
            workspace.give(g_input);
            workspace.give(g);
            return None;
        }
        let around = self.g_around(&g, workspace);
        add(&mut g_input, &around);
        workspace.give(around);
        workspace.give(g);
        Some(g_input)
    }
}

/// Normalises the rows of `x`, `[n, width]`: the outputs, and the record.
pub(super) fn normalised(
    norm: &HostNorm,
    mut x: Vec<f32>,
    n: usize,
    workspace: &mut Workspace,
) -> (Vec<f32>, NormRecord) {
    let mut out = workspace.take(x.len());
    let mut inverse = workspace.take(n);
    norm.view().forward(&mut x, None, &mut inverse, &mut out);
    let record = NormRecord {
        normalised: x,
        inverse,
    };
    (out, record)
}

/// Turns ∂L/∂(output) into ∂L/∂(input), in place, and adds the normalisation's own gradients.
pub(super) fn norm_back(
    norm: &HostNorm,
    record: &NormRecord,
    g: &mut [f32],
    units: &[std::ops::Range<usize>],
    vectors: &mut VectorTaps,
) {
    vectors.add_norm(norm, g, &record.normalised, units);
    norm.view().backward(g, &record.normalised, &record.inverse);
}

/// A product becomes mask ⊙ (product + bias) + what went around it.
fn add_around(product: &mut [f32], bias: &[f32], mask: Option<&[f32]>, residual: &[f32]) {
    add_to_rows(product, bias);
    if let Some(mask) = mask {
        multiply_each(product, mask);
    }
    widely(
        #[inline(always)]
        || add(product, residual),
    );
}

impl FirstRecord {
    /// The linear layers.
    pub(super) fn linears<'a>(&'a self, layer: &'a HostLayer) -> [Passage<'a>; 4] {
        let qkv = (
            &layer.qkv,
            self.input.as_slice(),
            &self.qkv_record,
            Places::Tokens,
        );
        let context = self.context.linear(layer, self.outputs);
        let [intermediate, output] = self.feed_forward.linears(layer, self.outputs);
        [qkv, context, intermediate, output]
    }

    /// Applies `scale` to one side of each trained matrix's product.
    pub(super) fn scale(&mut self, layer: &HostLayer, scale: impl Fn(&mut [f32], usize, Places)) {
        let outputs = self.outputs;
        let by_output = |values: &mut [f32], width| scale(values, width, outputs);
        let by_token = |values: &mut [f32], width| scale(values, width, Places::Tokens);
        self.qkv_record.scale(&layer.qkv, by_token);
        self.context.scale(layer, by_output);
        self.feed_forward.scale(layer, by_output);
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        self.attended.give(workspace);
        self.qkv_record.give(workspace);
        self.context.give(workspace);
        self.feed_forward.give(workspace);
        for norm in self.input_norm.into_iter().chain([self.middle_norm]) {
            norm.give(workspace);
        }
        workspace.give(self.input);
        workspace.give(self.qkv);
    }
}
