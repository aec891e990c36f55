//! Sums of long units, whose gradients are multiplied out one after the other: what the sum
//! needs anyway is measured before it is added, and no norm needs products of its own.

use super::cost::Cost;
use super::linear::MatrixTap;
use super::packed::{Packed, Places};
use super::passed::Passed;
use super::squares::sum_of_squares;
use super::vector::{add_scaled, scale};
use super::weights::HostWeights;
use super::workspace::Workspace;
use crate::trainer::clipping::Clipping;
use crate::trainer::square::Square;

/// A tile's clipped sum.
pub(super) struct Clipped {
    pub(super) sum: Vec<f32>,
    /// Each unit's norm before clipping.
    pub(super) norms: Vec<f64>,
    /// What each unit's gradient was multiplied by.
    pub(super) factors: Vec<f64>,
}

/// A trained matrix's product, and what its rows are.
type Taps<'a> = Vec<(MatrixTap<'a>, Places)>;

fn taps<'a>(weights: &'a HostWeights, passed: &'a Passed) -> Taps<'a> {
    let layers = passed.linears(weights);
    layers
        .flat_map(|(layer, x, record, places)| {
            let taps = layer.matrices(x, record).into_iter();
            taps.map(move |tap| (tap, places))
        })
        .collect()
}

/// Whether this tile's units are long enough that it takes less time so.
pub(super) fn pays(weights: &HostWeights, passed: &Passed, packed: &Packed) -> bool {
    let cost = Cost::here();
    let (mut kept, mut otherwise) = (0.0, 0.0);
    for (tap, places) in taps(weights, passed) {
        let (p, d) = (tap.x_width, tap.g_width);
        for unit in packed.units_in(places) {
            let tokens = unit.len();
            kept += cost.kept(p, d);
            otherwise += cost.ghost(tokens, p, d).min(cost.direct(tokens, p, d));
        }
    }
    kept < otherwise
}

/// The tile's clipped sum, where `squares` has what each unit's gradient has beside matrices, and
/// clipping goes with each unit's residual; or the places of units whose norms are no numbers.
pub(super) fn sum(
    weights: &HostWeights,
    passed: &Passed,
    packed: &Packed,
    (clipping, residuals): (Clipping, &[f64]),
    mut squares: Vec<Square>,
    workspace: &mut Workspace,
) -> Result<Clipped, Vec<usize>> {
    let taps = taps(weights, passed);
    let (base, len) = weights.dense();
    let mut sum: Option<Vec<f32>> = None;
    let mut written = 0;
    let (mut norms, mut factors, mut unsound) = (Vec::new(), Vec::new(), Vec::new());
    for (unit, square) in squares.iter_mut().enumerate() {
        let mut gradient = workspace.take(len);
        written = 0;
        for (tap, places) in &taps {
            let rows = packed.units_in(*places)[unit].clone();
            for place in tap.write_unit(rows, base, &mut gradient) {
                square.sum += sum_of_squares(&gradient[place.clone()]);
                written += place.len();
            }
        }
        let Some(norm) = square.norm() else {
            unsound.push(unit);
            workspace.give(gradient);
            continue;
        };
        let factor = clipping.factor(norm, residuals[unit]);
        norms.push(norm);
        factors.push(factor);
        match &mut sum {
            None => {
                scale(&mut gradient, factor as f32);
                sum = Some(gradient);
            }
            Some(sum) => {
                add_scaled(sum, factor as f32, &gradient);
                workspace.give(gradient);
            }
        }
    }
    if !unsound.is_empty() {
        workspace.give(sum.unwrap_or_default());
        return Err(unsound);
    }
    let mut sum = sum.unwrap_or_else(|| workspace.zeros(len));
    let singles: Vec<f32> = factors.iter().map(|factor| *factor as f32).collect();
    for tap in &passed.vectors {
        written += tap.write_sum(&singles, base, &mut sum);
    }
    // The buffer may hold another sum's numbers, perhaps another site's.
    assert!(
        written == len || factors.is_empty(),
        "trained parameters were left out of a sum"
    );
    Ok(Clipped {
        sum,
        norms,
        factors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use crate::target::Target;
    use crate::trainer::cpu::dropout::Masks;
    use crate::trainer::cpu::tile::{Tile, TileResult};
    use crate::trainer::support;
    use crate::trainer::work::Example;
    use umbel_proto::classifier::{Pooling, TrainableSet};

    fn examples() -> Vec<Example> {
        let lengths = [10, 2, 7, 4, 9];
        let example = |(label, length): (usize, u32)| Example {
            tokens: (0..length).map(|i| (i * 7 + length) % 50).collect(),
            target: Target::Class(label % 3),
        };
        lengths.into_iter().enumerate().map(example).collect()
    }

    const UNITS: [&[usize]; 3] = [&[0, 1], &[2], &[3, 4]];
    const CLIPPING: Clipping = Clipping::Flat(0.1);

    /// What a tile becomes this way, where one unit's square is `poisoned`.
    fn multiplied_out(
        weights: &HostWeights,
        examples: &[Example],
        poisoned: Option<usize>,
    ) -> Result<Clipped, Vec<usize>> {
        // A buffer that was used before.
        let workspace = &mut Workspace::default();
        let (_, len) = weights.dense();
        workspace.give(vec![f32::NAN; len]);
        let packed = weights.pack(examples, &UNITS);
        let mut passed = weights.forward(&packed, &mut Masks::new(0.0, 0), true, workspace);
        let loss = Loss::of(&support::options(Pooling::Mean, TrainableSet::Full));
        let (_, g_logits) = passed.head.losses(&loss, &packed.targets, workspace);
        weights.backward(&mut passed, &packed, g_logits, workspace);
        assert!(!pays(weights, &passed, &packed), "short texts");
        let mut squares = vec![Square::default(); UNITS.len()];
        for tap in &passed.vectors {
            tap.add_squares(&mut squares);
        }
        if let Some(unit) = poisoned {
            squares[unit].sum = f64::NAN;
        }
        sum(
            weights,
            &passed,
            &packed,
            (CLIPPING, &[1.0; 3]),
            squares,
            workspace,
        )
    }

    #[test]
    fn units_that_are_multiplied_out_have_the_norms_and_sums_of_others() {
        let sets = [
            TrainableSet::Encoder,
            support::lora(&["query", "value"], false),
            TrainableSet::Bias,
            TrainableSet::Head,
        ];
        for (set, pooling) in sets
            .into_iter()
            .flat_map(|set| [(set, Pooling::Mean), (set, Pooling::Pooler)])
        {
            let model = support::tiny(support::options(pooling, set));
            let (weights, examples) = (HostWeights::of(&model, None), examples());
            let tile = Tile {
                kept: None,
                examples: &examples,
                loss: &Loss::of(model.options()),
                units: UNITS.to_vec(),
                clipping: CLIPPING,
                measured: true,
                dropout: (0.0, 0),
            };
            let TileResult::Summed(expected) = tile.run(&weights, &mut Workspace::default()) else {
                panic!("{set} {pooling}: unsound");
            };
            let Ok(found) = multiplied_out(&weights, &examples, None) else {
                panic!("{set} {pooling}: unsound");
            };
            for (found, expected) in found.norms.iter().zip(&expected.norms) {
                assert!((found / expected - 1.0).abs() < 1e-5, "{set} {pooling}");
            }
            assert_eq!(found.sum.len(), expected.sum.len());
            for (found, expected) in found.sum.iter().zip(&expected.sum) {
                assert!((found - expected).abs() < 1e-6, "{set} {pooling}");
            }
        }
    }

    #[test]
    fn a_unit_whose_norm_is_no_number_is_named_and_nothing_is_summed() {
        let model = support::tiny(support::options(Pooling::Mean, TrainableSet::Encoder));
        let weights = HostWeights::of(&model, None);
        let unsound = multiplied_out(&weights, &examples(), Some(1)).err();
        assert_eq!(unsound, Some(vec![1]));
    }
}
