//! Layers that normalise behind what they compute, as BERT's do.

use super::attention::{Attended, Beside};
use super::disentangled::{ProjectedPlaces, ReadPlaces};
use super::dropout::Masks;
use super::head::multiply_each;
use super::layer::{LayerPass, NormRecord, add_to_rows, copy};
use super::layer_norm::Summands;
use super::linear::{InputGradient, LinearRecord, Passage};
use super::norms::{HostNorm, NormsLast};
use super::packed::Places;
use super::sums::VectorTaps;
use super::uses::joined;
use super::vector::widely;
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
    /// `[M, hidden]`
    context: Vec<f32>,
    context_mask: Option<Vec<f32>>,
    attention_output: LinearRecord,
    attention_norm: NormRecord,
    /// Between attention and the feed-forward layers, `[M, hidden]`.
    middle: Vec<f32>,
    intermediate: LinearRecord,
    /// `[M, intermediate]`
    activated: Vec<f32>,
    /// `[M, intermediate]`
    slope: Vec<f32>,
    output_mask: Option<Vec<f32>>,
    output: LinearRecord,
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
        let (product, attention_output) = layer.attention_output.forward(&context, m, workspace);
        let context_mask = masks.draw(product.len(), workspace);
        let around = self.outputs_of(&input, workspace);
        let summands = Summands {
            bias: &layer.attention_output.bias,
            mask: context_mask.as_deref(),
            residual: around.as_ref().unwrap_or(&input),
        };
        let (middle, attention_norm) =
            normalise(&norms.attention, product, &summands, m, workspace);
        workspace.give(around.unwrap_or_default());
        let (product, intermediate) = layer.intermediate.forward(&middle, m, workspace);
        let (activated, slope) = self.activate(layer, product, workspace);
        let (product, output) = layer.output.forward(&activated, m, workspace);
        let output_mask = masks.draw(product.len(), workspace);
        let summands = Summands {
            bias: &layer.output.bias,
            mask: output_mask.as_deref(),
            residual: &middle,
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
            context_mask,
            attention_output,
            attention_norm,
            middle,
            intermediate,
            activated,
            slope,
            output_mask,
            output,
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
        let m = self.packed.count(self.outputs);
        let units = self.packed.units_in(self.outputs);
        let normalised = &record.output_norm.normalised;
        // Norms and biases first: the pass back turns `g` into the gradient below them, in place.
        vectors.add_norm(&norms.output, &g, normalised, units);
        let norm = norms.output.view();
        norm.backward(&mut g, normalised, &record.output_norm.inverse);
        // What went around the layer was not dropped out, so it is copied before the mask.
        let mut g_middle = copy(&g, workspace);
        if let Some(mask) = &record.output_mask {
            multiply_each(&mut g, mask);
        }
        vectors.add_biases(&layer.output, &g, units);
        let mut g_activated = workspace.take(record.activated.len());
        let into = InputGradient::Written(&mut g_activated);
        let own = &mut record.output;
        layer.output.backward(g, m, into, own, workspace);
        own.give_unneeded(&layer.output, workspace);
        // The slope was found with the value, when the argument was at hand.
        let slope = &record.slope;
        widely(
            #[inline(always)]
            || multiply_each(&mut g_activated, slope),
        );
        vectors.add_biases(&layer.intermediate, &g_activated, units);
        let into = InputGradient::Added(&mut g_middle);
        let (intermediate, own) = (&layer.intermediate, &mut record.intermediate);
        intermediate.backward(g_activated, m, into, own, workspace);
        own.give_unneeded(intermediate, workspace);
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
        let m = self.packed.count(self.outputs);
        let units = self.packed.units_in(self.outputs);
        let normalised = &record.attention_norm.normalised;
        vectors.add_norm(&norms.attention, &g, normalised, units);
        let norm = norms.attention.view();
        norm.backward(&mut g, normalised, &record.attention_norm.inverse);
        let mut g_input = needed.then(|| self.g_around(&g, workspace));
        if let Some(mask) = &record.context_mask {
            multiply_each(&mut g, mask);
        }
        vectors.add_biases(&layer.attention_output, &g, units);
        let mut g_context = workspace.take(record.context.len());
        let into = InputGradient::Written(&mut g_context);
        let (projection, own) = (&layer.attention_output, &mut record.attention_output);
        projection.backward(g, m, into, own, workspace);
        own.give_unneeded(projection, workspace);
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
        let (context, projection) = (self.context.as_slice(), &self.attention_output);
        let (middle, activated) = (self.middle.as_slice(), self.activated.as_slice());
        [
            (&layer.qkv, &self.input, &self.qkv_record, self.qkv_places),
            (&layer.attention_output, context, projection, self.outputs),
            (
                &layer.intermediate,
                middle,
                &self.intermediate,
                self.outputs,
            ),
            (&layer.output, activated, &self.output, self.outputs),
        ]
    }

    /// Applies `scale` to one side of each trained matrix's product.
    pub(super) fn scale(&mut self, layer: &HostLayer, scale: impl Fn(&mut [f32], usize, Places)) {
        let outputs = self.outputs;
        let by_output = |values: &mut [f32], width| scale(values, width, outputs);
        let places = self.qkv_places;
        let by_token = |values: &mut [f32], width| scale(values, width, places);
        self.qkv_record.scale(&layer.qkv, by_token);
        self.attention_output
            .scale(&layer.attention_output, by_output);
        self.intermediate.scale(&layer.intermediate, by_output);
        self.output.scale(&layer.output, by_output);
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        self.attended.give(workspace);
        if let Some(projected) = self.projected {
            projected.give(workspace);
        }
        for record in [
            self.qkv_record,
            self.attention_output,
            self.intermediate,
            self.output,
        ] {
            record.give(workspace);
        }
        self.attention_norm.give(workspace);
        self.output_norm.give(workspace);
        for buffer in [
            self.input,
            self.qkv,
            self.context,
            self.middle,
            self.activated,
            self.slope,
        ] {
            workspace.give(buffer);
        }
        for mask in [self.context_mask, self.output_mask].into_iter().flatten() {
            workspace.give(mask);
        }
    }
}
