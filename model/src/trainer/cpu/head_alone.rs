//! The pass forward where nothing but the head is trained: a row's states are the same in every sum,
//! so that they may be kept ([`KeptStates`](crate::trainer::KeptStates)).
//!
//! Each row passes through the encoder by itself. Rows that pass together are cheaper, but the last
//! bits of a row's states then depend on its company: a product of matrices computes rows at the edge
//! of a block in another order. States that were kept would differ in them from states that are
//! computed anew, and so would a run that was taken up from one that wasn't cut off.

use super::dropout::Masks;
use super::packed::Packed;
use super::passed::Passed;
use super::tile::Tile;
use super::weights::HostWeights;
use super::workspace::Workspace;

impl HostWeights {
    /// Whether nothing below the head is trained.
    pub(super) fn trains_the_head_alone(&self) -> bool {
        let last_norm = self.last_norm.as_ref();
        self.lowest_trained() == self.layers.len()
            && last_norm.is_none_or(|norm| !norm.is_trained())
    }

    /// As [`Self::forward`], without dropout.
    pub(super) fn forward_head(
        &self,
        tile: &Tile<'_>,
        packed: &Packed,
        workspace: &mut Workspace,
    ) -> Passed {
        let rows = tile.units.iter().copied().flatten();
        let mut pooled = workspace.take(packed.rows.len() * self.hidden);
        for (row, to) in rows.zip(pooled.chunks_mut(self.hidden.max(1))) {
            if let Some(kept) = tile.kept.and_then(|kept| kept.get(*row)) {
                to.copy_from_slice(kept);
                continue;
            }
            let alone = self.pack(tile.examples, &[&[*row]]);
            let mut passed = self.forward(&alone, &mut Masks::new(0.0, 0), false, workspace);
            let states = passed.head.take_states();
            passed.give(workspace);
            to.copy_from_slice(&states);
            workspace.give(states);
            if let Some(all) = tile.kept {
                all.keep(*row, to);
            }
        }
        Passed::of_head(self.layers.len(), self.score(pooled, None, workspace))
    }
}
