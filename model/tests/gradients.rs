//! Sums of clipped gradients: right by finite differences, clipped unit by unit, and the
//! same whatever the batches and threads.

mod support;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use support::{POSITIONS, VOCABULARY, options, tiny, tiny_of};
use umbel_model::families::{FAMILIES, Family, TransformerSpec};
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Example, GradientSum, ModelError,
    PhysicalBatch, Pooling, TrainableSet, gradient_sum, logits,
};
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::lattice::{LatticeStep, LatticeVector};

fn example(tokens: &[u32], label: usize) -> Example {
    Example {
        tokens: tokens.to_vec(),
        label,
    }
}

/// Rows of different lengths, with tokens that occur twice in a row and in several rows.
fn examples() -> Vec<Example> {
    vec![
        example(&[2, 5, 5, 9, 3], 0),
        example(&[2, 3], 1),
        example(&[2, 12, 9, 40, 12, 12, 31, 5, 49, 3], 2),
        // 1 is the padding of some families, whose positions leave it out.
        example(&[2, 1, 7, 1, 3], 1),
        example(&[2, 20, 21, 22, 23, 24, 20, 3], 0),
    ]
}

fn each_alone(examples: &[Example]) -> Vec<Vec<usize>> {
    (0..examples.len()).map(|row| vec![row]).collect()
}

fn sum_with(
    model: &Classifier,
    examples: &[Example],
    units: &[Vec<usize>],
    clipping: Clipping,
    micro_batch: usize,
) -> Result<GradientSum, ModelError> {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    gradient_sum(
        model,
        examples,
        units,
        clipping,
        PhysicalBatch::of_rows(micro_batch),
        &mut rng,
    )
}

fn sum(
    model: &Classifier,
    examples: &[Example],
    units: &[Vec<usize>],
    clipping: Clipping,
) -> GradientSum {
    sum_with(model, examples, units, clipping, 16).expect("gradients")
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    norm(&a.iter().zip(b).map(|(x, y)| x - y).collect::<Vec<_>>())
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    let error = difference(found, expected) / norm(expected);
    assert!(error <= 1e-4, "{what}: relative error {error:e}");
    println!("{what}: relative error {error:e}");
}

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

/// The summed cross-entropy, from f32 logits on in double precision.
fn loss(model: &Classifier, examples: &[Example]) -> f64 {
    let rows: Vec<Vec<u32>> = examples.iter().map(|e| e.tokens.clone()).collect();
    let scores = logits(model, &rows, 16).expect("logits");
    let entropy = |(scores, example): (&Vec<f32>, &Example)| {
        let sum: f64 = scores.iter().map(|s| f64::from(*s).exp()).sum();
        sum.ln() - f64::from(scores[example.label])
    };
    scores.iter().zip(examples).map(entropy).sum()
}

/// The derivative of the loss in a direction, by the central difference of fourth order.
///
/// The logits are exact to about 1e-6, so with a step of 0.01 the difference is to about
/// 1e-4; its own error, h⁴/30 times the fifth derivative, is far below.
fn slope(model: &Classifier, examples: &[Example], offset: usize, direction: &[f64]) -> f64 {
    let step = 0.01;
    let parameters = model.parameters();
    let at = |steps: f64| {
        let mut moved = parameters.clone();
        for (p, d) in moved[offset..].iter_mut().zip(direction) {
            *p += (steps * step * d) as f32;
        }
        let mut model = model.clone();
        model.set_parameters(&moved).expect("finite parameters");
        loss(&model, examples)
    };
    (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * step)
}

/// Compares every tensor's gradient in its own direction, at its largest coordinate and at
/// four more.
fn compare_with_finite_differences(family: &dyn Family, pooling: Pooling) {
    let model = tiny_of(
        family,
        &DeviceChoice::Cpu,
        options(pooling, TrainableSet::Full),
    );
    let model = model.expect("the CPU");
    let examples = examples();
    let gradient = sum(&model, &examples, &each_alone(&examples), Clipping::None);
    let exact = loss(&model, &examples);
    assert!((gradient.loss - exact).abs() < 1e-5 * exact);
    let mut worst = 0.0_f64;
    for entry in model.layout().entries() {
        let count: usize = entry.shape.iter().product();
        let part = &gradient.sum[entry.offset..entry.offset + count];
        let largest = (0..count)
            .max_by(|a, b| part[*a].abs().total_cmp(&part[*b].abs()))
            .expect("a coordinate");
        let unit = |index: usize| (0..count).map(|i| f64::from(i == index)).collect();
        let spread = (0..4).map(|i| i * (count - 1) / 3);
        let mut directions: Vec<Vec<f64>> = spread.chain([largest]).map(unit).collect();
        let length = norm(part);
        if length > 1e-3 {
            directions.push(part.iter().map(|x| x / length).collect());
        }
        for direction in directions {
            let expected = slope(&model, &examples, entry.offset, &direction);
            let found: f64 = part.iter().zip(&direction).map(|(x, d)| x * d).sum();
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-4, "{}: {found}, {expected}", entry.name);
            worst = worst.max(error);
        }
    }
    println!("{family:?} {pooling}: gradients are off by {worst:e} of max(1, gradient) at most");
}

#[test]
fn gradients_with_mean_pooling_are_those_of_finite_differences() {
    for family in FAMILIES {
        compare_with_finite_differences(*family, Pooling::Mean);
    }
}

#[test]
fn gradients_with_a_pooler_are_those_of_finite_differences() {
    for family in FAMILIES {
        compare_with_finite_differences(*family, Pooling::Pooler);
    }
}

#[test]
fn gradients_with_the_first_token_are_those_of_finite_differences() {
    for family in FAMILIES {
        compare_with_finite_differences(*family, Pooling::Cls);
    }
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

fn any_example() -> impl Strategy<Value = Example> {
    let tokens = prop::collection::vec(0..VOCABULARY as u32, 1..=POSITIONS);
    (tokens, 0..3_usize).prop_map(|(tokens, label)| Example { tokens, label })
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

/// A trainable set of each kind.
fn any_set() -> impl Strategy<Value = TrainableSet> {
    prop::sample::select(vec![
        TrainableSet::Full,
        TrainableSet::Encoder,
        TrainableSet::Bias,
        TrainableSet::Head,
        support::lora(&["all"], false),
        support::lora(&["all"], true),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What the receiver of one unit's sum would find, whatever the model's weights are.
    #[test]
    fn a_clipped_unit_is_within_the_clipping_norm_on_the_lattice_whatever_the_weights(
        train in any_set(),
        examples in prop::collection::vec(any_example(), 1..4),
        scales in prop::collection::vec((any::<prop::sample::Index>(), -30.0..30.0_f64), 0..6),
        power in -6.0..6.0_f64,
        micro_batch in 1..5_usize,
    ) {
        let mut model = tiny(options(Pooling::Pooler, train));
        let mut parameters = model.parameters();
        for (index, power) in scales {
            let entry = index.get(model.layout().entries());
            let count = entry.shape.iter().product::<usize>();
            for x in &mut parameters[entry.offset..entry.offset + count] {
                let scaled = (f64::from(*x) * 10_f64.powf(power)) as f32;
                *x = scaled.clamp(f32::MIN, f32::MAX);
            }
        }
        model.set_parameters(&parameters)?;
        let c = ClippingNorm::try_from(10_f64.powf(power))?;
        let step = LatticeStep::for_sum(c, parameters.len());
        let unit: Vec<usize> = (0..examples.len()).collect();
        for clipping in [Clipping::Flat(c.with_slack()), Clipping::Automatic(c.with_slack())] {
            let units = std::slice::from_ref(&unit);
            let found = sum_with(&model, &examples, units, clipping, micro_batch)?;
            prop_assert_eq!(found.rejected > 0, !found.norms[0].is_finite());
            let vector = LatticeVector::quantize(&found.sum, step)?;
            prop_assert!(vector.check_norm(c, step).is_ok(), "{:?} {:?}", clipping, found.norms);
        }
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

#[test]
fn weights_outside_of_the_trainable_set_are_not_among_the_parameters() {
    let names = |train| -> Vec<String> {
        let model = tiny(options(Pooling::Mean, train));
        let entries = model.layout().entries().iter();
        entries.map(|entry| entry.name.clone()).collect()
    };
    let bias = names(TrainableSet::Bias);
    assert!(
        bias.iter()
            .all(|name| name.ends_with(".bias") || name == "classifier.weight")
    );
    // Six linear layers and two normalisations in each of two layers, one before them, and
    // the head's two.
    assert_eq!(bias.len(), 2 * 8 + 1 + 2);
    let lora = names(support::lora(&["query", "output"], false));
    assert_eq!(lora.len(), 2 * 2 * 2 + 2);
    let frozen = names(support::lora(&["query", "output"], true));
    assert_eq!(frozen.len(), 2 * 2 + 2);
    assert!(frozen.iter().all(|name| !name.contains("lora_A")));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let model = tiny(options(Pooling::Mean, TrainableSet::Full));
    let complaint = |row: Example, unit: &[usize]| {
        let rows = [example(&[2, 3], 0), row];
        match sum_with(&model, &rows, &[vec![0], unit.to_vec()], Clipping::None, 4) {
            Err(error @ ModelError::Row { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let fine = || example(&[2, 3], 0);
    assert_eq!(complaint(fine(), &[2]), "row 2: there are only 2 rows");
    assert_eq!(complaint(fine(), &[usize::MAX]).split(':').count(), 2);
    assert_eq!(
        complaint(example(&[2], 3), &[1]),
        "row 1: its label 3 isn't below 3"
    );
    assert!(complaint(example(&[], 0), &[1]).contains("no tokens"));
    assert!(complaint(example(&[5; POSITIONS + 1], 0), &[1]).contains("33 tokens"));
    assert!(complaint(example(&[VOCABULARY as u32], 0), &[1]).contains("below 50"));
    assert!(complaint(example(&[u32::MAX], 0), &[1]).contains("below 50"));
    assert!(logits(&model, &[vec![2], vec![]], 4).is_err());
}

/// Whoever reads the message looks for the row in the data, not in a micro-batch.
#[test]
fn a_refused_row_is_named_by_its_place_in_the_data() {
    let model = tiny(options(Pooling::Mean, TrainableSet::Full));
    let rows = [example(&[2, 3], 0), example(&[2, 3], 0), example(&[99], 0)];
    let error = sum_with(&model, &rows, &each_alone(&rows), Clipping::None, 1);
    assert!(
        error
            .expect_err("a refusal")
            .to_string()
            .starts_with("row 2:")
    );
    let rows = rows.map(|example| example.tokens);
    let error = logits(&model, &rows, 1).expect_err("a refusal");
    assert!(error.to_string().starts_with("row 2:"));
}

#[test]
fn parameters_of_another_length_or_not_finite_are_refused_and_change_nothing() {
    let mut model = tiny(options(Pooling::Pooler, TrainableSet::Encoder));
    let before = model.parameters();
    assert_eq!(before.len(), model.layout().len());
    for length in [0, before.len() - 1, before.len() + 1] {
        let error = model.set_parameters(&vec![0.0; length]);
        assert!(matches!(error, Err(ModelError::ParameterCount { found, .. }) if found == length));
    }
    for bad in [f32::NAN, f32::INFINITY] {
        let mut parameters = before.clone();
        parameters[11] = bad;
        let error = model.set_parameters(&parameters);
        assert!(matches!(
            error,
            Err(ModelError::NotFinite { index: 11, .. })
        ));
    }
    assert_eq!(model.parameters(), before);
}

/// Large enough that the device shares its work among threads.
fn larger(dropout: f64) -> Classifier {
    let config = TransformerSpec {
        hidden_size: 128,
        heads: 4,
        intermediate_size: 512,
        ..support::config()
    };
    let options = ClassifierOptions {
        dropout: dropout.try_into().expect("a rate"),
        ..options(Pooling::Mean, TrainableSet::Full)
    };
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let tokenizer = support::tokenizer_json();
    Classifier::random(&config, &tokenizer, options, &mut rng, &device).expect("a classifier")
}

#[test]
fn results_are_the_same_to_the_bit_in_every_run_and_with_any_number_of_threads() {
    let model = larger(0.0);
    let examples: Vec<Example> = (0..24_u32)
        .map(|row| {
            let tokens = (0..8 + row).map(|i| (row * 7 + i * 5) % VOCABULARY as u32);
            example(&tokens.collect::<Vec<_>>(), row as usize % 3)
        })
        .collect();
    let units = each_alone(&examples);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a thread pool")
            .install(|| sum(&model, &examples, &units, Clipping::Flat(1.0)))
    };
    let one = run(1);
    for threads in [1, 2, 2, 3] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

#[test]
fn dropout_follows_the_generator_that_is_handed_in() {
    let model = larger(0.2);
    let examples = examples();
    let run = |seed| {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let units = each_alone(&examples);
        gradient_sum(
            &model,
            &examples,
            &units,
            Clipping::Flat(1.0),
            PhysicalBatch::of_rows(2),
            &mut rng,
        )
        .expect("gradients")
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).sum, run(6).sum);
}

#[test]
fn the_least_memory_gives_the_same_sums_for_rows_and_for_groups() {
    let model = larger(0.0);
    let examples: Vec<Example> = (0..40_u32)
        .map(|row| {
            let tokens = (0..3 + row % 30).map(|i| (row * 7 + i * 5) % VOCABULARY as u32);
            example(&tokens.collect::<Vec<_>>(), row as usize % 3)
        })
        .collect();
    let batch = PhysicalBatch::of_rows(64);
    let Err(ModelError::Memory { needed, .. }) = batch.within(1, &model) else {
        panic!("a byte was enough");
    };
    let least = batch.within(needed, &model).expect("what was asked for");
    let groups = vec![(0..35).collect::<Vec<_>>(), vec![35, 36, 37], vec![38, 39]];
    for units in [each_alone(&examples), groups] {
        for clipping in [Clipping::Flat(0.5), Clipping::None] {
            let run = |batch| {
                let mut rng = ChaCha12Rng::seed_from_u64(1);
                gradient_sum(&model, &examples, &units, clipping, batch, &mut rng).expect("a sum")
            };
            let (free, bounded) = (run(batch), run(least));
            assert!(difference(&free.sum, &bounded.sum) <= 1e-5 * norm(&free.sum));
            assert!((free.loss / bounded.loss - 1.0).abs() < 1e-5);
        }
    }
}
