//! Every unit is clipped by its own norm, whatever passes through the network with it.

use proptest::prelude::*;
use umbel_model::families::FAMILIES;
use umbel_model::{Classifier, Clipping, DeviceChoice, Example, Pooling, TrainableSet};

use crate::support::{self, POSITIONS, VOCABULARY, options, tiny};
use crate::{assert_close, difference, each_alone, examples, norm, sum, sum_with};

/// What the clipped sum is by definition: rows one by one, added up and clipped on the host.
fn by_hand(model: &Classifier, examples: &[Example], units: &[Vec<usize>], c: f64) -> Vec<f64> {
    let mut total = vec![0.0; model.layout().len()];
    for unit in units {
        let mut gradient = vec![0.0; total.len()];
        for row in unit {
            let alone = sum(model, examples, &[vec![*row]], Clipping::None);
            gradient
                .iter_mut()
                .zip(alone.sum)
                .for_each(|(g, x)| *g += x);
        }
        let factor = (c / norm(&gradient)).min(1.0);
        total
            .iter_mut()
            .zip(gradient)
            .for_each(|(t, x)| *t += factor * x);
    }
    total
}

/// Nothing is clipped, but every norm is measured.
const MEASURED: Clipping = Clipping::Flat(f64::MAX);

#[test]
fn every_unit_is_clipped_by_its_own_norm() {
    for train in [
        TrainableSet::Full,
        TrainableSet::Encoder,
        TrainableSet::Head,
    ] {
        for pooling in [Pooling::Mean, Pooling::Pooler] {
            let model = tiny(options(pooling, train));
            let examples = examples();
            let units = each_alone(&examples);
            let plain = sum(&model, &examples, &units, MEASURED);
            for (unit, found) in units.iter().zip(&plain.norms) {
                let alone = sum(
                    &model,
                    &examples,
                    std::slice::from_ref(unit),
                    Clipping::None,
                );
                let expected = norm(&alone.sum);
                assert!((found - expected).abs() < 1e-4 * expected);
            }
            // Some units are clipped and some aren't.
            let mut sorted = plain.norms.clone();
            sorted.sort_by(f64::total_cmp);
            let c = 0.5 * (sorted[1] + sorted[2]);
            let clipped = sum(&model, &examples, &units, Clipping::Flat(c));
            let expected = by_hand(&model, &examples, &units, c);
            assert_close(&clipped.sum, &expected, &format!("{train} {pooling}"));
        }
    }
}

#[test]
fn a_unit_of_several_rows_is_clipped_as_one_whatever_the_micro_batch() {
    let examples = examples();
    let units = [vec![0, 2, 4], vec![1], vec![3, 1, 0, 2]];
    for train in [
        TrainableSet::Full,
        TrainableSet::Encoder,
        TrainableSet::Head,
    ] {
        let model = tiny(options(Pooling::Mean, train));
        let c = 0.5 * sum(&model, &examples, &units[..1], MEASURED).norms[0];
        let expected = by_hand(&model, &examples, &units, c);
        for micro_batch in [0, 1, 2, 3, 4, 5, 64] {
            let found = sum_with(&model, &examples, &units, Clipping::Flat(c), micro_batch)
                .expect("gradients");
            assert_close(&found.sum, &expected, &format!("{train} by {micro_batch}"));
        }
    }
}

#[test]
fn no_units_and_empty_units_count_as_zero() {
    let model = tiny(options(Pooling::Mean, TrainableSet::Full));
    let examples = examples();
    for units in [vec![], vec![vec![]], vec![vec![], vec![]]] {
        let nothing = sum(&model, &examples, &units, Clipping::Flat(1.0));
        assert_eq!(nothing.sum, vec![0.0; model.layout().len()]);
        assert_eq!((nothing.loss, nothing.rejected), (0.0, 0));
        assert_eq!(nothing.norms, vec![0.0; units.len()]);
    }
    let with = sum(
        &model,
        &examples,
        &[vec![], vec![0], vec![]],
        Clipping::Flat(1.0),
    );
    let without = sum(&model, &examples, &[vec![0]], Clipping::Flat(1.0));
    assert_eq!(with.sum, without.sum);
    assert_eq!(with.norms, vec![0.0, without.norms[0], 0.0]);
}

pub fn any_example() -> impl Strategy<Value = Example> {
    let tokens = prop::collection::vec(0..VOCABULARY as u32, 1..=POSITIONS);
    (tokens, 0..3_usize).prop_map(|(tokens, label)| crate::example(&tokens, label))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_clipped_unit_is_no_longer_than_the_clipping_norm(
        examples in prop::collection::vec(any_example(), 1..5),
        c in 0.001..20.0_f64,
        micro_batch in 1..6_usize,
    ) {
        let model = tiny(options(Pooling::Mean, TrainableSet::Full));
        let unit = (0..examples.len()).collect();
        let clipped = sum_with(&model, &examples, &[unit], Clipping::Flat(c), micro_batch)?;
        prop_assert!(norm(&clipped.sum) <= c * (1.0 + 1e-5));
        prop_assert_eq!(clipped.rejected, 0);
    }

    /// The sensitivity that the noise is scaled to. Taking a unit away changes how the
    /// others are padded, and thereby their rounding.
    #[test]
    fn taking_a_unit_away_changes_the_sum_by_no_more_than_the_clipping_norm(
        examples in prop::collection::vec(any_example(), 2..8),
        c in 0.001..20.0_f64,
        micro_batch in 1..6_usize,
    ) {
        let model = tiny(options(Pooling::Mean, TrainableSet::Full));
        let units = each_alone(&examples);
        let all = sum_with(&model, &examples, &units, Clipping::Flat(c), micro_batch)?;
        let others = sum_with(&model, &examples, &units[1..], Clipping::Flat(c), micro_batch)?;
        prop_assert!(difference(&all.sum, &others.sum) <= c * (1.0 + 1e-4));
    }
}

#[test]
fn a_unit_whose_gradient_is_no_number_counts_as_zero_and_leaves_the_others_alone() {
    let mut model = tiny(options(Pooling::Mean, TrainableSet::Full));
    let width = model.spec().hidden_size;
    let mut parameters = model.parameters();
    // Word embeddings come first. Token 40 occurs in row 2 alone.
    parameters[40 * width..41 * width].fill(3e38);
    model
        .set_parameters(&parameters)
        .expect("finite parameters");
    let examples = examples();
    let clipping = Clipping::Flat(0.5);
    for micro_batch in [1, 2, 16] {
        let units = [vec![0], vec![1, 3], vec![2, 4]];
        let found = sum_with(&model, &examples, &units, clipping, micro_batch).expect("a sum");
        let sound = sum_with(&model, &examples, &units[..2], clipping, micro_batch);
        let sound = sound.expect("a sum");
        assert_eq!(found.rejected, 1);
        assert!(!found.norms[2].is_finite());
        assert!(found.loss.is_finite());
        assert_close(&found.sum, &sound.sum, "beside a rejected unit");
    }
}

#[test]
fn automatic_clipping_gives_every_unit_nearly_the_clipping_norm() {
    let model = tiny(options(Pooling::Mean, TrainableSet::Full));
    let examples = examples();
    for row in 0..examples.len() {
        let units = [vec![row]];
        let plain = sum(&model, &examples, &units, MEASURED);
        let clipped = sum(&model, &examples, &units, Clipping::Automatic(2.0));
        let expected = 2.0 * plain.norms[0] / (plain.norms[0] + 0.01);
        assert!((norm(&clipped.sum) - expected).abs() < 1e-5 * expected);
        assert!(norm(&clipped.sum) < 2.0);
    }
}

/// What is measured without multiplying anything out is the length of what is added.
#[test]
fn a_units_norm_is_the_length_of_its_gradient_in_every_family_and_trainable_set() {
    let examples = examples();
    let units = [vec![0], vec![1, 2], vec![3], vec![4, 0]];
    let sets = [
        TrainableSet::Full,
        TrainableSet::Encoder,
        TrainableSet::Bias,
        TrainableSet::Head,
        support::lora(&["query", "value"], false),
        support::lora(&["all"], false),
        support::lora(&["all"], true),
    ];
    for family in FAMILIES {
        // The first token's state is a pooler's without the pooler.
        let poolings = family.poolings().iter().copied();
        let poolings = poolings.filter(|pooling| *pooling != Pooling::Cls);
        for (pooling, train) in poolings.flat_map(|pooling| sets.map(|train| (pooling, train))) {
            let options = support::options(pooling, train);
            let model = support::tiny_of(*family, &DeviceChoice::Cpu, options).expect("the CPU");
            let measured = sum(&model, &examples, &units, Clipping::Flat(f64::MAX));
            for (unit, found) in units.iter().zip(&measured.norms) {
                let alone = sum(
                    &model,
                    &examples,
                    std::slice::from_ref(unit),
                    Clipping::None,
                );
                let error = (found / norm(&alone.sum) - 1.0).abs();
                assert!(
                    error <= 1e-4,
                    "{family:?} {pooling} {train} {unit:?}: {error:e}"
                );
            }
        }
    }
}
