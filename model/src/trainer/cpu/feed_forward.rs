//! A layer's feed-forward layers, forward and back: widen, activate (perhaps with a gate), narrow. What
//! goes around them, and what normalises, is the caller's.

use super::activation::{activate, activate_gated, activate_only, gate_backward};
use super::dropout::Masks;
use super::head::multiply_each;
use super::layer::LayerPass;
use super::linear::{InputGradient, LinearRecord, Passage};
use super::packed::Places;
use super::sums::VectorTaps;
use super::vector::widely;
use super::weights::HostLayer;
use super::workspace::Workspace;

/// Their record.
pub(super) struct FeedForwardRecord {
    /// What they read, `[M, hidden]`.
    pub(super) input: Vec<f32>,
    intermediate: LinearRecord,
    /// `[M, intermediate]`
    activated: Vec<f32>,
    /// `[M, intermediate]`, or twice as wide with a gate.
    slope: Vec<f32>,
    /// Dropout's mask of what comes out, its bias included.
    pub(super) output_mask: Option<Vec<f32>>,
    output: LinearRecord,
}

impl LayerPass<'_> {
    /// From `[M, hidden]` to `[M, hidden]`, without the last bias and before dropout's mask: both are
    /// applied in one pass with what follows.
    pub(super) fn feed_forward(
        &self,
        layer: &HostLayer,
        input: Vec<f32>,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, FeedForwardRecord) {
        let m = self.packed.count(self.outputs);
        let (product, intermediate) = layer.intermediate.forward(&input, m, workspace);
        let (activated, slope) = self.activate(layer, product, workspace);
        let (product, output) = layer.output.forward(&activated, m, workspace);
        let output_mask = masks.draw(product.len(), workspace);
        let record = FeedForwardRecord {
            input,
            intermediate,
            activated,
            slope,
            output_mask,
            output,
        };
        (product, record)
    }

    /// The way back: from ∂L/∂(what came out, masked) `[M, hidden]` to ∂L/∂(what was read), which goes
    /// `into` where it is wanted.
    pub(super) fn feed_forward_back(
        &self,
        layer: &HostLayer,
        record: &mut FeedForwardRecord,
        mut g: Vec<f32>,
        into: InputGradient<'_>,
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) {
        let m = self.packed.count(self.outputs);
        let units = self.packed.units_in(self.outputs);
        if let Some(mask) = &record.output_mask {
            multiply_each(&mut g, mask);
        }
        vectors.add_biases(&layer.output, &g, units);
        let mut g_activated = workspace.take(record.activated.len());
        let written = InputGradient::Written(&mut g_activated);
        let own = &mut record.output;
        layer.output.backward(g, m, written, own, workspace);
        own.give_unneeded(&layer.output, workspace);
        let g = self.activate_back(layer, &record.slope, g_activated, workspace);
        vectors.add_biases(&layer.intermediate, &g, units);
        let own = &mut record.intermediate;
        layer.intermediate.backward(g, m, into, own, workspace);
        own.give_unneeded(&layer.intermediate, workspace);
    }

    /// What the second feed-forward layer reads, and what a gradient of it is multiplied by, if it is
    /// asked for.
    fn activate(
        &self,
        layer: &HostLayer,
        mut product: Vec<f32>,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, Vec<f32>) {
        let bias = &layer.intermediate.bias;
        if self.only_forward && !self.gated {
            activate_only(self.activation, &mut product, bias);
            return (product, Vec::new());
        }
        let mut slope = workspace.take(product.len());
        if !self.gated {
            activate(self.activation, &mut product, bias, &mut slope);
            return (product, slope);
        }
        let mut activated = workspace.take(product.len() / 2);
        activate_gated(self.activation, &product, bias, &mut activated, &mut slope);
        workspace.give(product);
        (activated, slope)
    }

    /// The way back of [`Self::activate`]. The slope was found with the value, when the argument was at
    /// hand.
    fn activate_back(
        &self,
        layer: &HostLayer,
        slope: &[f32],
        mut g: Vec<f32>,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        if self.gated {
            let mut g_product = workspace.take(slope.len());
            gate_backward(&g, slope, layer.output.inputs, &mut g_product);
            workspace.give(g);
            return g_product;
        }
        widely(
            #[inline(always)]
            || multiply_each(&mut g, slope),
        );
        g
    }
}

impl FeedForwardRecord {
    /// The two linear layers, whose rows are `outputs`.
    pub(super) fn linears<'a>(&'a self, layer: &'a HostLayer, outputs: Places) -> [Passage<'a>; 2] {
        let (input, activated) = (self.input.as_slice(), self.activated.as_slice());
        [
            (&layer.intermediate, input, &self.intermediate, outputs),
            (&layer.output, activated, &self.output, outputs),
        ]
    }

    /// Applies `scale`, which is told the rows' width, to one side of each trained matrix's product.
    pub(super) fn scale(&mut self, layer: &HostLayer, scale: impl Fn(&mut [f32], usize)) {
        self.intermediate.scale(&layer.intermediate, &scale);
        self.output.scale(&layer.output, &scale);
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        self.intermediate.give(workspace);
        self.output.give(workspace);
        for buffer in [self.input, self.activated, self.slope] {
            workspace.give(buffer);
        }
        workspace.give(self.output_mask.unwrap_or_default());
    }
}
