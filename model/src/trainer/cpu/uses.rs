//! A layer that all depths share: its uses as one, of as many more tokens.
//!
//! Its gradient is the sum over its uses, Σₗ XₗᵀGₗ, and a unit's norm is that of the sum, with the
//! cross terms ⟨XₗᵀGₗ, XₘᵀGₘ⟩ between depths: norms of single uses would say too little of it where
//! they point the same way. A unit's X has its rows of X₁, X₂ and so on one after the other, and its G
//! those of G₁, G₂. Then the sum is XᵀG, a product like any other layer's. Its ghost norm
//! Σₜₛ ⟨xₜ, xₛ⟩⟨gₜ, gₛ⟩ runs over pairs of tokens of all uses, which are the cross terms; what is
//! multiplied out, and the clipped sum, have them by themselves. What tells whether a norm can be
//! relied on holds for the pairs as it does for a longer text.

use super::layer::LayerRecord;
use super::linear::{LinearRecord, Passage};
use super::packed::{Packed, Places};
use super::weights::HostLayer;
use super::workspace::Workspace;

/// The records of all uses of a layer's linear layers, with their inputs.
pub(super) struct Uses {
    linears: Vec<(Vec<f32>, LinearRecord)>,
}

/// What the rows of each linear layer's inputs are, in the order of [`LayerRecord::linears`].
const PLACES: [Places; 4] = [
    Places::UsesIn,
    Places::UsesOut,
    Places::UsesOut,
    Places::UsesOut,
];

impl Uses {
    /// Puts the records of all depths together, and gives their buffers back.
    pub(super) fn gather(
        layer: &HostLayer,
        records: Vec<LayerRecord>,
        packed: &Packed,
        workspace: &mut Workspace,
    ) -> Self {
        let mut linears = Vec::new();
        for index in 0..PLACES.len() {
            let passages: Vec<Passage<'_>> = records
                .iter()
                .map(|record| record.linears(layer)[index])
                .collect();
            linears.push(joined(&passages, packed, workspace));
        }
        for record in records {
            record.give(workspace);
        }
        Self { linears }
    }

    /// The linear layers.
    pub(super) fn linears<'a>(&'a self, layer: &'a HostLayer) -> impl Iterator<Item = Passage<'a>> {
        let uses = layer.linears().into_iter().zip(&self.linears).zip(PLACES);
        uses.map(|((layer, (input, record)), places)| (layer, input.as_slice(), record, places))
    }

    /// Applies `scale` to one side of each trained matrix's product.
    pub(super) fn scale(&mut self, layer: &HostLayer, scale: impl Fn(&mut [f32], usize, Places)) {
        let uses = layer
            .linears()
            .into_iter()
            .zip(&mut self.linears)
            .zip(PLACES);
        for ((layer, (_, record)), places) in uses {
            record.scale(layer, |values, width| scale(values, width, places));
        }
    }

    /// Gives its buffers back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        for (input, record) in self.linears {
            workspace.give(input);
            record.give(workspace);
        }
    }
}

/// One linear layer's inputs and record over all of its passages, unit by unit.
pub(super) fn joined(
    passages: &[Passage<'_>],
    packed: &Packed,
    workspace: &mut Workspace,
) -> (Vec<f32>, LinearRecord) {
    let Some((layer, ..)) = passages
        .first()
        .filter(|(layer, ..)| layer.keeps_matrices())
    else {
        return (Vec::new(), LinearRecord::default());
    };
    let places: Vec<Places> = passages.iter().map(|(.., places)| *places).collect();
    let inputs: Vec<&[f32]> = passages.iter().map(|(_, input, ..)| *input).collect();
    let records: Vec<&LinearRecord> = passages.iter().map(|(_, _, record, _)| *record).collect();
    let mut join = |width: usize, each: &[&[f32]]| {
        let mut joined = workspace.take(each.iter().map(|numbers| numbers.len()).sum());
        let mut rest = joined.as_mut_slice();
        for unit in 0..packed.units.len() {
            for (numbers, places) in each.iter().zip(&places) {
                let rows = &packed.units_in(*places)[unit];
                let own = &numbers[rows.start * width..rows.end * width];
                let (to, after) = rest.split_at_mut(own.len());
                to.copy_from_slice(own);
                rest = after;
            }
        }
        joined
    };
    let input = join(layer.inputs, &inputs);
    let record = LinearRecord::joined(layer, &records, join);
    (input, record)
}
