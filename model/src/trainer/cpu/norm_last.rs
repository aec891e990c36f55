//! Layers that normalise behind what they compute, as BERT's do.

use super::attention::{Attended, Beside};
use super::context::ContextRecord;
use super::disentangled::{ProjectedPlaces, ReadPlaces};
use super::dropout::Masks;
use super::feed_forward::FeedForwardRecord;
use super::layer::{LayerPass, NormRecord, add_to_rows, copy};
use super::layer_norm::Summands;
use super::linear::{InputGradient, LinearRecord, Passage};
use super::norms::{HostNorm, NormsLast};
use super::packed::Places;
use super::sums::VectorTaps;
use super::uses::joined;
use super::weights::HostLayer;
use super::workspace::Workspace;

/// Such a layer's record.
pub(super) struct LastRecord {
    /// What came out.
    outputs: Places,
    /// The hidden states that came in, `[N, hidden]`.
    input: Vec<f32>,
    /// `[N, 3 · hidden]`
    qkv: Vec<f32>,
    qkv_record: LinearRecord,
    /// What the rows of the two are: tokens, and after the pass back relative places, too.
    qkv_places: Places,
    /// What the layer makes of relative places, where attention reads them.
    projected: Option<ProjectedPlaces>,
    attended: Attended,
    context: ContextRecord,
    attention_norm: NormRecord,
    feed_forward: FeedForwardRecord,
    output_norm: NormRecord,
}

impl LayerPass<'_> {
    /// Forward through a layer that normalises behind attention and behind the feed-forward layers.
    pub(super) fn norm_last(
        &self,
        layer: &HostLayer,
        norms: &NormsLast,
        input: Vec<f32>,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, LastRecord) {
        let n = self.packed.count(Places::Tokens);
        let m = self.packed.count(self.outputs);
        // One product for queries, keys and values: a wider one is faster than three.
        let (mut qkv, qkv_record) = layer.qkv.forward(&input, n, workspace);
        add_to_rows(&mut qkv, &layer.qkv.bias);
        let spans = self.spans();
        let projected = self.near.map(|near| near.projected(layer, workspace));
        let beside = self.beside(projected.as_ref());
        let (context, attended) = self.attend(&qkv, &spans, beside, masks, workspace);
        let (product, context) = self.project(layer, context, masks, workspace);
        let around = self.outputs_of(&input, workspace);
        let summands = Summands {
            bias: &layer.attention_output.bias,
            mask: context.mask.as_deref(),
            residual: around.as_ref().unwrap_or(&input),
        };
        let (middle, attention_norm) =
            normalise(&norms.attention, product, &summands, m, workspace);
        workspace.give(around.unwrap_or_default());
        let (product, feed_forward) = self.feed_forward(layer, middle, masks, workspace);
        let summands = Summands {
            bias: &layer.output.bias,
            mask: feed_forward.output_mask.as_deref(),
            residual: &feed_forward.input,
        };
        let (hidden, output_norm) = normalise(&norms.output, product, &summands, m, workspace);
        let record = LastRecord {
            outputs: self.outputs,
            input,
            qkv,
            qkv_record,
            qkv_places: Places::Tokens,
            projected,
            attended,
            context,
            attention_norm,
            feed_forward,
            output_norm,
        };
        (hidden, record)
    }

    /// The way back.
    pub(super) fn norm_last_back(
        &self,
        layer: (&HostLayer, &NormsLast),
        record: &mut LastRecord,
        g: Vec<f32>,
        asked: (bool, Option<&mut [f32]>),
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        let g_middle = self.feed_back(layer, record, g, vectors, workspace);
        self.attend_back(layer, record, g_middle, asked, vectors, workspace)
    }

    /// Back through the feed-forward layers and around them: ∂L/∂(middle), `[M, hidden]`.
    fn feed_back(
        &self,
        (layer, norms): (&HostLayer, &NormsLast),
        record: &mut LastRecord,
        mut g: Vec<f32>,
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        let units = self.packed.units_in(self.outputs);
        let normalised = &record.output_norm.normalised;
        // Norms and biases first: the pass back turns `g` into the gradient below them, in place.
        vectors.add_norm(&norms.output, &g, normalised, units);
        let norm = norms.output.view();
        norm.backward(&mut g, normalised, &record.output_norm.inverse);
        // What went around the layer was not dropped out, so it is copied before the mask.
        let mut g_middle = copy(&g, workspace);
        let into = InputGradient::Added(&mut g_middle);
        let own = &mut record.feed_forward;
        self.feed_forward_back(layer, own, g, into, vectors, workspace);
        g_middle
    }

    /// Back through attention and around it.
    fn attend_back(
        &self,
        (layer, norms): (&HostLayer, &NormsLast),
        record: &mut LastRecord,
        mut g: Vec<f32>,
        (needed, mut g_asked): (bool, Option<&mut [f32]>),
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        let units = self.packed.units_in(self.outputs);
        let normalised = &record.attention_norm.normalised;
        vectors.add_norm(&norms.attention, &g, normalised, units);
        let norm = norms.attention.view();
        norm.backward(&mut g, normalised, &record.attention_norm.inverse);
        let mut g_input = needed.then(|| self.g_around(&g, workspace));
        let g_context = self.context_back(layer, &mut record.context, g, vectors, workspace);
        let mut g_qkv = workspace.take(record.qkv.len());
        let (qkv, attended) = (&record.qkv, &record.attended);
        let spans = self.spans();
        let places = record.projected.as_ref();
        let width = 3 * self.attention.hidden;
        let mut g_places =
            places.map(|_| workspace.zeros(self.packed.count(Places::Relative) * width));
        let g_beside = match &mut g_places {
            Some(g_places) => Some(g_places.as_mut_slice()),
            None => g_asked.as_deref_mut(),
        };
        let g_beside = (self.beside(places), g_beside);
        self.attention.backward(
            qkv, &spans, attended, &g_context, &mut g_qkv, g_beside, workspace,
        );
        workspace.give(g_context);
        let units = self.packed.units_in(Places::Tokens);
        vectors.add_biases(&layer.qkv, &g_qkv, units);
        let into = g_input
            .as_deref_mut()
            .map_or(InputGradient::Unneeded, InputGradient::Added);
        let n = self.packed.count(Places::Tokens);
        let own = &mut record.qkv_record;
        layer.qkv.backward(g_qkv, n, into, own, workspace);
        if let Some(g_places) = g_places {
            self.places_back(layer, record, g_places, g_asked, vectors, workspace);
        }
        record.qkv_record.give_unneeded(&layer.qkv, workspace);
        g_input
    }

    /// What scores have beside products of queries and keys.
    fn beside<'a>(&'a self, projected: Option<&'a ProjectedPlaces>) -> Beside<'a> {
        match (self.near.zip(projected), self.relative_bias) {
            (Some((near, projected)), _) => Beside::Places(ReadPlaces {
                near,
                projected,
                packed: self.packed,
            }),
            (None, Some(bias)) => Beside::Bias(bias),
            (None, None) => Beside::Nothing,
        }
    }

    /// From the gradient of each unit's places, as the layer projects them, to that of their states,
    /// which is added to `g_states`, and to the layer's own: places are rows behind the tokens'.
    fn places_back(
        &self,
        layer: &HostLayer,
        record: &mut LastRecord,
        g: Vec<f32>,
        g_states: Option<&mut [f32]>,
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) {
        let (Some(near), Some(projected)) = (self.near, &record.projected) else {
            return;
        };
        let packed = self.packed;
        vectors.add_biases(&layer.qkv, &g, packed.units_in(Places::Relative));
        let choose =
            |numbers: &[f32], width: usize| near.of_units(numbers, width, packed, workspace);
        let mut own = projected.record.of_rows(&layer.qkv, choose);
        let into = g_states.map_or(InputGradient::Unneeded, InputGradient::Added);
        let count = packed.count(Places::Relative);
        layer.qkv.backward(g, count, into, &mut own, workspace);
        let states = near.of_units(&near.states, self.attention.hidden, packed, workspace);
        let passages: [Passage<'_>; 2] = [
            (
                &layer.qkv,
                &record.input,
                &record.qkv_record,
                Places::Tokens,
            ),
            (&layer.qkv, &states, &own, Places::Relative),
        ];
        let (input, joined) = joined(&passages, packed, workspace);
        workspace.give(states);
        own.give(workspace);
        workspace.give(std::mem::replace(&mut record.input, input));
        std::mem::replace(&mut record.qkv_record, joined).give(workspace);
        record.qkv_places = Places::TokensAndRelative;
    }
}

fn normalise(
    norm: &HostNorm,
    mut product: Vec<f32>,
    summands: &Summands<'_>,
    n: usize,
    workspace: &mut Workspace,
) -> (Vec<f32>, NormRecord) {
    let mut out = workspace.take(product.len());
    let mut inverse = workspace.take(n);
    let norm = norm.view();
    norm.forward(&mut product, Some(summands), &mut inverse, &mut out);
    let record = NormRecord {
        normalised: product,
        inverse,
    };
    (out, record)
}

impl LastRecord {
    /// The linear layers.
    pub(super) fn linears<'a>(&'a self, layer: &'a HostLayer) -> [Passage<'a>; 4] {
        let qkv = (
            &layer.qkv,
            self.input.as_slice(),
            &self.qkv_record,
            self.qkv_places,
        );
        let context = self.context.linear(layer, self.outputs);
        let [intermediate, output] = self.feed_forward.linears(layer, self.outputs);
        [qkv, context, intermediate, output]
    }

    /// Applies `scale` to one side of each trained matrix's product.
    pub(super) fn scale(&mut self, layer: &HostLayer, scale: impl Fn(&mut [f32], usize, Places)) {
        let outputs = self.outputs;
        let by_output = |values: &mut [f32], width| scale(values, width, outputs);
        let places = self.qkv_places;
        let by_token = |values: &mut [f32], width| scale(values, width, places);
        self.qkv_record.scale(&layer.qkv, by_token);
        self.context.scale(layer, by_output);
        self.feed_forward.scale(layer, by_output);
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        self.attended.give(workspace);
        if let Some(projected) = self.projected {
            projected.give(workspace);
        }
        self.qkv_record.give(workspace);
        self.context.give(workspace);
        self.feed_forward.give(workspace);
        self.attention_norm.give(workspace);
        self.output_norm.give(workspace);
        workspace.give(self.input);
        workspace.give(self.qkv);
    }
}
