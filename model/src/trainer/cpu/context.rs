//! The last part of attention, forward and back: what each head gathered, the context, through one
//! projection.

use super::dropout::Masks;
use super::head::multiply_each;
use super::layer::LayerPass;
use super::linear::{InputGradient, LinearRecord, Passage};
use super::packed::Places;
use super::sums::VectorTaps;
use super::weights::HostLayer;
use super::workspace::Workspace;

/// Its record.
pub(super) struct ContextRecord {
    /// `[M, hidden]`
    context: Vec<f32>,
    /// Dropout's mask of what comes out, its bias included.
    pub(super) mask: Option<Vec<f32>>,
    projection: LinearRecord,
}

impl LayerPass<'_> {
    /// From the context `[M, hidden]` to attention's output, without the bias and before dropout's
    /// mask: both are applied in one pass with what follows.
    pub(super) fn project(
        &self,
        layer: &HostLayer,
        context: Vec<f32>,
        masks: &mut Masks,
        workspace: &mut Workspace,
    ) -> (Vec<f32>, ContextRecord) {
        let m = self.packed.count(self.outputs);
        let (product, projection) = layer.attention_output.forward(&context, m, workspace);
        let mask = masks.draw(product.len(), workspace);
        let record = ContextRecord {
            context,
            mask,
            projection,
        };
        (product, record)
    }

    /// The way back: from ∂L/∂(what came out, masked) to ∂L/∂(context), both `[M, hidden]`.
    pub(super) fn context_back(
        &self,
        layer: &HostLayer,
        record: &mut ContextRecord,
        mut g: Vec<f32>,
        vectors: &mut VectorTaps,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        let m = self.packed.count(self.outputs);
        if let Some(mask) = &record.mask {
            multiply_each(&mut g, mask);
        }
        let projection = &layer.attention_output;
        vectors.add_biases(projection, &g, self.packed.units_in(self.outputs));
        let mut g_context = workspace.take(record.context.len());
        let into = InputGradient::Written(&mut g_context);
        let own = &mut record.projection;
        projection.backward(g, m, into, own, workspace);
        own.give_unneeded(projection, workspace);
        g_context
    }
}

impl ContextRecord {
    /// The projection, whose rows are `outputs`.
    pub(super) fn linear<'a>(&'a self, layer: &'a HostLayer, outputs: Places) -> Passage<'a> {
        let projection = &self.projection;
        (&layer.attention_output, &self.context, projection, outputs)
    }

    /// Applies `scale`, which is told the rows' width, to one side of the product, if it is trained.
    pub(super) fn scale(&mut self, layer: &HostLayer, scale: impl Fn(&mut [f32], usize)) {
        self.projection.scale(&layer.attention_output, scale);
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        self.projection.give(workspace);
        workspace.give(self.context);
        workspace.give(self.mask.unwrap_or_default());
    }
}
