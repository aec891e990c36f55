//! The encoder's passes: forward, which keeps what the gradients are made of, and back.

use std::ops::Range;

use rand::Rng;
use umbel_privacy::NoiseSource;

use super::activation::activate;
use super::attention::{Attended, Attention};
use super::head::{HeadRecord, multiply_each};
use super::layer_norm::{Norm, Summands};
use super::linear::{HostLinear, InputGradient, LinearRecord};
use super::packed::Packed;
use super::sums::VectorTap;
use super::vector::{add, widely};
use super::weights::{HostLayer, HostNorm, HostWeights};
use super::workspace::Workspace;

/// Dropout's masks.
pub(super) struct Masks {
    rate: f64,
    source: NoiseSource,
}

impl Masks {
    /// Masks that drop this share, drawn from this seed.
    pub(super) fn new(rate: f64, seed: u64) -> Self {
        Self {
            rate,
            source: NoiseSource::seeded(seed, "dropout"),
        }
    }

    /// A mask of `len` numbers, 0 or 1/(1 - rate); `None` where nothing is dropped.
    fn draw(&mut self, len: usize, workspace: &mut Workspace) -> Option<Vec<f32>> {
        if self.rate <= 0.0 {
            return None;
        }
        let keep = 1.0 - self.rate;
        let below = (keep * f64::from(u32::MAX)) as u32;
        let scale = (1.0 / keep) as f32;
        let mut mask = workspace.take(len);
        for x in &mut mask {
            *x = if self.source.next_u32() < below {
                scale
            } else {
                0.0
            };
        }
        Some(mask)
    }
}

/// A normalisation's record.
struct NormRecord {
    /// x̂, `[N, hidden]`
    normalised: Vec<f32>,
    /// `[N]`
    inverse: Vec<f32>,
}

/// An encoder layer's record.
struct LayerRecord {
    /// The hidden states that came in, `[N, hidden]`.
    input: Vec<f32>,
    /// `[N, 3 · hidden]`
    qkv: Vec<f32>,
    qkv_record: LinearRecord,
    attended: Attended,
    /// `[N, hidden]`
    context: Vec<f32>,
    context_mask: Option<Vec<f32>>,
    attention_output: LinearRecord,
    attention_norm: NormRecord,
    /// Between attention and the feed-forward layers, `[N, hidden]`.
    middle: Vec<f32>,
    intermediate: LinearRecord,
    /// `[N, intermediate]`
    activated: Vec<f32>,
    /// `[N, intermediate]`
    slope: Vec<f32>,
    output_mask: Option<Vec<f32>>,
    output: LinearRecord,
    output_norm: NormRecord,
}

/// A tile after its pass forward, and what its pass back adds.
pub(super) struct Passed {
    embedding_norm: NormRecord,
    embedding_mask: Option<Vec<f32>>,
    /// Of the layers that the pass back goes through; `None` below them.
    layers: Vec<Option<LayerRecord>>,
    pub(super) head: HeadRecord,
    /// Gradients by unit of trained vectors.
    pub(super) vectors: Vec<VectorTap>,
    /// ∂L/∂(sum of the embeddings), `[N, hidden]`, where their tables are trained.
    pub(super) embedding: Option<Vec<f32>>,
}

impl HostWeights {
    /// Whether the pass back goes through the embeddings.
    fn trains_embeddings(&self) -> bool {
        self.embeddings.trained || self.embeddings.norm.is_trained()
    }

    /// The lowest layer that the pass back goes through; the number of layers for none.
    fn lowest_trained(&self) -> usize {
        if self.trains_embeddings() {
            return 0;
        }
        let trained = self.layers.iter().position(HostLayer::is_trained);
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
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let (next, record) = self.layer_forward(layer, hidden, packed, masks, workspace);
            hidden = next;
            if index < lowest {
                record.give(workspace);
                layers.push(None);
            } else {
                layers.push(Some(record));
            }
        }
        let mask = masks.draw(packed.rows.len() * self.hidden, workspace);
        let head = self.score(&hidden, packed, mask, workspace);
        workspace.give(hidden);
        Passed {
            embedding_norm,
            embedding_mask,
            layers,
            head,
            vectors: Vec::new(),
            embedding: None,
        }
    }

    fn embed(
        &self,
        packed: &Packed,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, NormRecord, Option<Vec<f32>>) {
        let (width, n) = (self.hidden, packed.tokens());
        let (embeddings, tables) = (&self.embeddings, &self.embeddings.tables);
        let mut sum = workspace.take(n * width);
        let place = |row: usize| row * width..(row + 1) * width;
        for row in &packed.rows {
            for (position, token) in row.clone().enumerate() {
                let to = &mut sum[place(token)];
                let id = packed.ids[token] as usize;
                to.copy_from_slice(&tables.word[place(id)]);
                add(to, &tables.position[place(position)]);
                // A classifier reads one segment: type 0 throughout.
                add(to, &tables.token_type[..width]);
            }
        }
        let mut hidden = workspace.take(n * width);
        let mut inverse = workspace.take(n);
        let norm = embeddings.norm.view();
        norm.forward(&mut sum, None, &mut inverse, &mut hidden);
        let mask = masks.draw(hidden.len(), workspace);
        if let Some(mask) = &mask {
            multiply_each(&mut hidden, mask);
        }
        let record = NormRecord {
            normalised: sum,
            inverse,
        };
        (hidden, record, mask)
    }

    fn attention(&self) -> Attention {
        Attention {
            hidden: self.hidden,
            heads: self.heads,
        }
    }

    fn layer_forward(
        &self,
        layer: &HostLayer,
        input: Vec<f32>,
        packed: &Packed,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, LayerRecord) {
        let n = packed.tokens();
        let (mut qkv, qkv_record) = layer.qkv.forward(&input, n, workspace);
        add_to_rows(&mut qkv, &layer.qkv.bias);
        let attention = self.attention();
        let mask = masks.draw(attention.weights(&packed.rows), workspace);
        let mut context = workspace.take(n * self.hidden);
        let attended = attention.forward(&qkv, &packed.rows, mask, &mut context, workspace);
        let (product, attention_output) = layer.attention_output.forward(&context, n, workspace);
        let context_mask = masks.draw(product.len(), workspace);
        let summands = Summands {
            bias: &layer.attention_output.bias,
            mask: context_mask.as_deref(),
            residual: &input,
        };
        let (middle, attention_norm) =
            normalise(&layer.attention_norm, product, &summands, n, workspace);
        let (mut activated, intermediate) = layer.intermediate.forward(&middle, n, workspace);
        let mut slope = workspace.take(activated.len());
        let bias = &layer.intermediate.bias;
        activate(self.activation, &mut activated, bias, &mut slope);
        let (product, output) = layer.output.forward(&activated, n, workspace);
        let output_mask = masks.draw(product.len(), workspace);
        let summands = Summands {
            bias: &layer.output.bias,
            mask: output_mask.as_deref(),
            residual: &middle,
        };
        let (hidden, output_norm) = normalise(&layer.output_norm, product, &summands, n, workspace);
        let record = LayerRecord {
            input,
            qkv,
            qkv_record,
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

    /// Goes back from ∂L/∂(logits) `[R, labels]`, as far down as anything is trained.
    pub(super) fn backward(
        &self,
        passed: &mut Passed,
        packed: &Packed,
        g_logits: Vec<f32>,
        workspace: &mut Workspace,
    ) {
        let lowest = self.lowest_trained();
        let needed = lowest < self.layers.len() || self.trains_embeddings();
        let head = &mut passed.head;
        let mut g = self.score_backward(g_logits, head, packed, needed, workspace);
        let mut vectors = Vectors {
            taps: Vec::new(),
            units: &packed.units,
        };
        vectors.add_biases(&self.classifier, &head.classifier.g);
        if let (Some(layer), Some((_, _, record))) = (&self.pooler, &head.pooler) {
            vectors.add_biases(layer, &record.g);
        }
        let unit_tokens = packed.unit_tokens();
        vectors.units = &unit_tokens;
        let layers = self.layers.iter().zip(&mut passed.layers).enumerate();
        for (index, (layer, record)) in layers.rev() {
            let (Some(g_out), Some(record)) = (g.take(), record) else {
                break;
            };
            let needed = index > lowest || self.trains_embeddings();
            g = self.layer_backward(
                layer,
                record,
                g_out,
                needed,
                packed,
                &mut vectors,
                workspace,
            );
        }
        if let Some(mut g) = g.filter(|_| self.trains_embeddings()) {
            if let Some(mask) = &passed.embedding_mask {
                multiply_each(&mut g, mask);
            }
            let record = &passed.embedding_norm;
            vectors.add_norm(&self.embeddings.norm, &g, &record.normalised);
            let norm = self.embeddings.norm.view();
            norm.backward(&mut g, &record.normalised, &record.inverse);
            if self.embeddings.trained {
                passed.embedding = Some(g);
            } else {
                workspace.give(g);
            }
        }
        passed.vectors = vectors.taps;
    }

    #[allow(clippy::too_many_arguments, reason = "what a pass back knows")]
    fn layer_backward(
        &self,
        layer: &HostLayer,
        record: &mut LayerRecord,
        mut g: Vec<f32>,
        needed: bool,
        packed: &Packed,
        vectors: &mut Vectors<'_>,
        workspace: &mut Workspace,
    ) -> Option<Vec<f32>> {
        let n = packed.tokens();
        let copy = |g: &[f32], workspace: &mut Workspace| {
            let mut copy = workspace.take(g.len());
            copy.copy_from_slice(g);
            copy
        };
        // The feed-forward layers, and around them.
        let normalised = &record.output_norm.normalised;
        vectors.add_norm(&layer.output_norm, &g, normalised);
        let norm = layer.output_norm.view();
        norm.backward(&mut g, normalised, &record.output_norm.inverse);
        let mut g_middle = copy(&g, workspace);
        if let Some(mask) = &record.output_mask {
            multiply_each(&mut g, mask);
        }
        vectors.add_biases(&layer.output, &g);
        let mut g_activated = workspace.take(record.activated.len());
        let into = InputGradient::Written(&mut g_activated);
        layer
            .output
            .backward(g, n, into, &mut record.output, workspace);
        record.output.give_unneeded(&layer.output, workspace);
        let slope = &record.slope;
        widely(
            #[inline(always)]
            || multiply_each(&mut g_activated, slope),
        );
        vectors.add_biases(&layer.intermediate, &g_activated);
        let into = InputGradient::Added(&mut g_middle);
        let own = &mut record.intermediate;
        layer
            .intermediate
            .backward(g_activated, n, into, own, workspace);
        own.give_unneeded(&layer.intermediate, workspace);
        // Attention, and around it.
        let normalised = &record.attention_norm.normalised;
        vectors.add_norm(&layer.attention_norm, &g_middle, normalised);
        let norm = layer.attention_norm.view();
        norm.backward(&mut g_middle, normalised, &record.attention_norm.inverse);
        let mut g_input = needed.then(|| copy(&g_middle, workspace));
        if let Some(mask) = &record.context_mask {
            multiply_each(&mut g_middle, mask);
        }
        vectors.add_biases(&layer.attention_output, &g_middle);
        let mut g_context = workspace.take(record.context.len());
        let into = InputGradient::Written(&mut g_context);
        let own = &mut record.attention_output;
        layer
            .attention_output
            .backward(g_middle, n, into, own, workspace);
        own.give_unneeded(&layer.attention_output, workspace);
        let mut g_qkv = workspace.take(record.qkv.len());
        self.attention().backward(
            &record.qkv,
            &packed.rows,
            &record.attended,
            &g_context,
            &mut g_qkv,
            workspace,
        );
        workspace.give(g_context);
        vectors.add_biases(&layer.qkv, &g_qkv);
        let into = g_input
            .as_deref_mut()
            .map_or(InputGradient::Unneeded, InputGradient::Added);
        layer
            .qkv
            .backward(g_qkv, n, into, &mut record.qkv_record, workspace);
        record.qkv_record.give_unneeded(&layer.qkv, workspace);
        g_input
    }
}

/// Gradients by unit of biases and normalisations, as they are found.
struct Vectors<'a> {
    taps: Vec<VectorTap>,
    /// Each unit's rows of the gradients at hand.
    units: &'a [Range<usize>],
}

impl Vectors<'_> {
    fn add_biases(&mut self, layer: &HostLinear, g: &[f32]) {
        for (offset, columns) in layer.biases() {
            let tap = VectorTap::sum(offset, g, layer.outputs, columns, self.units);
            self.taps.push(tap);
        }
    }

    fn add_norm(&mut self, norm: &HostNorm, g: &[f32], normalised: &[f32]) {
        let width = norm.gamma.len();
        if let Some(offset) = norm.gamma_offset {
            let tap = VectorTap::products(offset, g, normalised, width, self.units);
            self.taps.push(tap);
        }
        if let Some(offset) = norm.beta_offset {
            let tap = VectorTap::sum(offset, g, width, 0..width, self.units);
            self.taps.push(tap);
        }
    }
}

impl HostNorm {
    fn view(&self) -> Norm<'_> {
        Norm {
            gamma: &self.gamma,
            beta: &self.beta,
            epsilon: self.epsilon,
        }
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

fn add_to_rows(x: &mut [f32], bias: &[f32]) {
    widely(
        #[inline(always)]
        || {
            for row in x.chunks_mut(bias.len().max(1)) {
                add(row, bias);
            }
        },
    );
}

impl NormRecord {
    fn give(self, workspace: &mut Workspace) {
        workspace.give(self.normalised);
        workspace.give(self.inverse);
    }
}

impl LayerRecord {
    fn linears<'a>(
        &'a self,
        layer: &'a HostLayer,
    ) -> [(&'a HostLinear, &'a [f32], &'a LinearRecord); 4] {
        [
            (&layer.qkv, &self.input, &self.qkv_record),
            (
                &layer.attention_output,
                &self.context,
                &self.attention_output,
            ),
            (&layer.intermediate, &self.middle, &self.intermediate),
            (&layer.output, &self.activated, &self.output),
        ]
    }

    fn give(self, workspace: &mut Workspace) {
        self.attended.give(workspace);
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

impl Passed {
    /// The encoder's linear layers that the pass back went through, each with its inputs
    /// `[N, in]`.
    pub(super) fn encoder_linears<'a>(
        &'a self,
        weights: &'a HostWeights,
    ) -> impl Iterator<Item = (&'a HostLinear, &'a [f32], &'a LinearRecord)> {
        let layers = weights.layers.iter().zip(&self.layers);
        layers
            .filter_map(|(layer, record)| Some((layer, record.as_ref()?)))
            .flat_map(|(layer, record)| record.linears(layer))
    }

    /// The head's, each with its inputs `[R, in]`.
    pub(super) fn head_linears<'a>(
        &'a self,
        weights: &'a HostWeights,
    ) -> impl Iterator<Item = (&'a HostLinear, &'a [f32], &'a LinearRecord)> {
        let pooler = match (&weights.pooler, &self.head.pooler) {
            (Some(layer), Some((input, _, record))) => Some((layer, input.as_slice(), record)),
            _ => None,
        };
        let classifier = (
            &weights.classifier,
            self.head.pooled.as_slice(),
            &self.head.classifier,
        );
        pooler.into_iter().chain([classifier])
    }

    /// Applies `scale` to one side of each trained matrix's product: `by_token` to those of the
    /// encoder, `by_row` to those of the head.
    pub(super) fn scale(
        &mut self,
        weights: &HostWeights,
        by_token: impl Fn(&mut [f32], usize),
        by_row: impl Fn(&mut [f32], usize),
    ) {
        for (layer, record) in weights.layers.iter().zip(&mut self.layers) {
            let Some(record) = record else {
                continue;
            };
            record.qkv_record.scale(&layer.qkv, &by_token);
            record
                .attention_output
                .scale(&layer.attention_output, &by_token);
            record.intermediate.scale(&layer.intermediate, &by_token);
            record.output.scale(&layer.output, &by_token);
        }
        if let (Some(layer), Some((_, _, record))) = (&weights.pooler, &mut self.head.pooler) {
            record.scale(layer, &by_row);
        }
        self.head.classifier.scale(&weights.classifier, &by_row);
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        self.embedding_norm.give(workspace);
        if let Some(mask) = self.embedding_mask {
            workspace.give(mask);
        }
        for record in self.layers.into_iter().flatten() {
            record.give(workspace);
        }
        self.head.give(workspace);
        if let Some(embedding) = self.embedding {
            workspace.give(embedding);
        }
    }
}
