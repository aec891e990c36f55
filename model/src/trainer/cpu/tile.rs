//! A tile: the rows that one thread takes through the network at a time.

use super::dropout::Masks;
use super::multiplied_out::{self, Clipped};
use super::packed::Packed;
use super::passed::Passed;
use super::sums::scale_units;
use super::weights::{HostTables, HostWeights};
use super::workspace::Workspace;
use crate::loss::Loss;
use crate::target::Target;
use crate::tokens::TokenRow;
use crate::trainer::clipping::Clipping;
use crate::trainer::embedding::{EmbeddingGradient, TableRows};
use crate::trainer::kept_states::KeptStates;
use crate::trainer::square::Square;
use crate::trainer::work::Example;

/// Whole units, or a part of one, with what their rows need.
pub(crate) struct Tile<'a> {
    pub(crate) examples: &'a [Example],
    /// Where states of these rows may stay.
    pub(crate) kept: Option<&'a KeptStates>,
    pub(crate) loss: &'a Loss,
    /// Each a list of rows of `examples`.
    pub(crate) units: Vec<&'a [usize]>,
    pub(crate) clipping: Clipping,
    /// Whether each unit's norm is to be found. Where it isn't, nothing is clipped.
    pub(crate) measured: bool,
    /// Dropout's rate, and the seed of its masks.
    pub(crate) dropout: (f64, u64),
}

/// What came of a tile.
pub(crate) enum TileResult {
    /// All units' norms can be relied on.
    Summed(TileSum),
    /// Units, by their places in the tile, whose norms are no numbers or can't be relied on.
    /// Nothing was summed.
    Unsound(Vec<usize>),
}

/// The sum over a tile's units of their clipped gradients.
pub(crate) struct TileSum {
    /// From the first trained parameter on that isn't in an embedding table.
    pub(crate) sum: Vec<f32>,
    /// The tables' gradient, not yet scaled, and the units' factors.
    pub(crate) embedding: Option<Box<(EmbeddingGradient, Vec<f64>)>>,
    /// Sum of the rows' losses.
    pub(crate) loss: f64,
    /// Each unit's norm before clipping, where it was measured.
    pub(crate) norms: Vec<f64>,
}

impl TileSum {
    /// Gives its buffer back.
    pub(crate) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.sum);
    }
}

impl Tile<'_> {
    /// Runs the tile forward and back, and sums.
    pub(crate) fn run(&self, weights: &HostWeights, workspace: &mut Workspace) -> TileResult {
        let packed = weights.pack(self.examples, &self.units);
        let mut masks = Masks::new(self.dropout.0, self.dropout.1);
        let head_alone = weights.trains_the_head_alone() && self.dropout.0 == 0.0;
        let mut passed = match head_alone {
            true => weights.forward_head(self, &packed, workspace),
            false => weights.forward(&packed, &mut masks, true, workspace),
        };
        let (losses, g_logits) = passed.head.losses(self.loss, &packed.targets, workspace);
        weights.backward(&mut passed, &packed, g_logits, workspace);
        let residuals = self.residuals(&packed, &losses);
        let embedding = passed.embedding.take().map(|g| {
            let embeddings = &weights.embeddings;
            let HostTables {
                position,
                token_type,
                ..
            } = &embeddings.tables;
            let positions = position.as_ref().map(|_| packed.positions.as_slice());
            let types = token_type.as_ref().map(|_| packed.types.as_slice());
            let tables = TableRows::of(embeddings.trained, &packed.ids, positions, types);
            let (rows, units) = (packed.rows.clone(), packed.units.clone());
            EmbeddingGradient::new(g, embeddings.width, tables, rows, units)
        });
        let clipped = self.clip(
            weights,
            &mut passed,
            (&packed, &residuals),
            embedding.as_ref(),
            workspace,
        );
        passed.give(workspace);
        match clipped {
            Err(unsound) => TileResult::Unsound(unsound),
            Ok(Clipped {
                sum,
                norms,
                factors,
            }) => TileResult::Summed(TileSum {
                sum,
                embedding: embedding.map(|embedding| Box::new((embedding, factors))),
                loss: losses.iter().sum(),
                norms,
            }),
        }
    }

    /// Each unit's residual, from its rows' losses.
    fn residuals(&self, packed: &Packed, losses: &[f64]) -> Vec<f64> {
        let units = packed.units.iter().map(|rows| {
            let total = losses[rows.clone()].iter().sum();
            self.loss.residual(total, rows.len())
        });
        units.collect()
    }

    /// Measures, clips and sums what went through the network, or gives the places of units whose
    /// norms are no numbers or can't be relied on.
    fn clip(
        &self,
        weights: &HostWeights,
        passed: &mut Passed,
        (packed, residuals): (&Packed, &[f64]),
        embedding: Option<&EmbeddingGradient>,
        workspace: &mut Workspace,
    ) -> Result<Clipped, Vec<usize>> {
        if !self.measured {
            let factors = vec![1.0; packed.units.len()];
            return Ok(Clipped {
                sum: sum(weights, passed, packed, &factors, workspace),
                norms: Vec::new(),
                factors,
            });
        }
        // Every trained tensor has to be in the norm: one that is summed but not measured would
        // be clipped too little. `sum` asserts the other half, that all of them are summed.
        let mut squares = squares_beside_matrices(passed, packed, embedding);
        if multiplied_out::pays(weights, passed, packed) {
            let clipping = (self.clipping, residuals);
            return multiplied_out::sum(weights, passed, packed, clipping, squares, workspace);
        }
        for (layer, x, record, places) in passed.linears(weights) {
            for tap in layer.matrices(x, record) {
                tap.add_squares(packed.units_in(places), &mut squares, workspace);
            }
        }
        // A tile with one unsound norm isn't summed at all: its units pass again, the unsound ones
        // alone, so that no other unit's sum depends on theirs.
        let found: Vec<Option<f64>> = squares.iter().map(Square::norm).collect();
        let unsound: Vec<usize> = (0..found.len()).filter(|u| found[*u].is_none()).collect();
        if !unsound.is_empty() {
            return Err(unsound);
        }
        let norms: Vec<f64> = found.into_iter().flatten().collect();
        let units = norms.iter().zip(residuals);
        let factors: Vec<f64> = units.map(|(n, r)| self.clipping.factor(*n, *r)).collect();
        Ok(Clipped {
            sum: sum(weights, passed, packed, &factors, workspace),
            norms,
            factors,
        })
    }
}

/// Scores of rows, in training's own arithmetic but without dropout.
pub(crate) fn logits(
    weights: &HostWeights,
    rows: &[TokenRow<'_>],
    workspace: &mut Workspace,
) -> Vec<Vec<f32>> {
    let examples: Vec<Example> = rows
        .iter()
        .map(|row| Example {
            tokens: (*row).into(),
            target: Target::Class(0),
        })
        .collect();
    let all: Vec<usize> = (0..rows.len()).collect();
    let packed = weights.pack(&examples, &[&all]);
    let passed = weights.forward(&packed, &mut Masks::new(0.0, 0), false, workspace);
    let width = weights.classifier.outputs.max(1);
    let scores = passed.head.logits.chunks(width).map(<[f32]>::to_vec);
    let scores = scores.collect();
    passed.give(workspace);
    scores
}

/// Each unit's squared norm over all trained parameters that are in no linear layer's matrix.
fn squares_beside_matrices(
    passed: &Passed,
    packed: &Packed,
    embedding: Option<&EmbeddingGradient>,
) -> Vec<Square> {
    let mut squares = vec![Square::default(); packed.units.len()];
    for tap in &passed.vectors {
        tap.add_squares(&mut squares);
    }
    if let Some(embedding) = embedding {
        embedding.add_squares(&mut squares);
    }
    squares
}

/// Σ factor · gradient over the units.
fn sum(
    weights: &HostWeights,
    passed: &mut Passed,
    packed: &Packed,
    factors: &[f64],
    workspace: &mut Workspace,
) -> Vec<f32> {
    // Xᵀ diag(c) G: scaling G before the product gives the clipped sum of all units at the price of
    // the plain one (book-keeping; Bu et al. 2023, §3).
    let factors: Vec<f32> = factors.iter().map(|factor| *factor as f32).collect();
    if factors.iter().any(|factor| *factor != 1.0) {
        passed.scale(weights, |values, width, places| {
            scale_units(values, width, packed.units_in(places), &factors);
        });
    }
    let (base, len) = weights.dense();
    let mut sum = workspace.take(len);
    let mut written = 0;
    for (layer, x, record, places) in passed.linears(weights) {
        for tap in layer.matrices(x, record) {
            written += tap.write_sum(packed.count(places), base, &mut sum);
        }
    }
    for tap in &passed.vectors {
        written += tap.write_sum(&factors, base, &mut sum);
    }
    // The buffer may hold another sum's numbers, perhaps another site's.
    assert_eq!(written, len, "trained parameters were left out of a sum");
    sum
}
