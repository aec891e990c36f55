//! Clipped sums against a loop of single rows through a plain network whose weights burn's
//! own autodiff tracks.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::cpu::CpuTrainer;
use super::gpu::GpuTrainer;
use super::plain_network::{Plain, norm};
use super::support::{lora, options, small, tiny_of, with_words};
use super::{Clipping, Example, PhysicalBatch, Trainer, Work};
use crate::families::{BERT, FAMILIES, Family, TransformerSpec};
use crate::tokens::TokenRow;
use crate::{
    Classifier, ClassifierOptions, DeviceChoice, Pooling, Target, TrainableSet, gradient_sum,
};

/// Rows of one to 32 tokens, so that a layer's norm is taken now one way and now the other,
/// with tokens that occur twice in a row and in several rows.
pub(super) fn rows() -> Vec<Example> {
    let long: Vec<u32> = (0..32).map(|i| (i * 7) % 50).collect();
    let row = |tokens: &[u32], label| Example {
        tokens: tokens.to_vec().into(),
        target: Target::Class(label),
    };
    vec![
        row(&[2, 5, 5, 9, 3], 0),
        row(&[2], 1),
        row(&[2, 12, 9, 40, 12, 12, 31, 5, 49, 3], 2),
        // 1 is the padding of some families, whose positions leave it out.
        row(&[2, 1, 7, 8, 1, 3], 1),
        row(&long, 0),
        row(&[5; 13], 2),
    ]
}

/// Compares whole sums, and each tensor's part of them, to a relative 1e-4. A part that is
/// zero but for rounding (of attention's keys, the bias) has noise in proportion to the whole.
fn compare(model: &Classifier, found: &[f64], expected: &[f64], what: &str) -> f64 {
    let error = |range: std::ops::Range<usize>| {
        let pairs = found[range.clone()].iter().zip(&expected[range]);
        norm(&pairs.map(|(x, y)| x - y).collect::<Vec<_>>())
    };
    let whole = norm(expected);
    assert!(whole > 0.0, "{what}: a gradient of zero shows nothing");
    for entry in model.layout().entries() {
        let end = entry.offset + entry.shape.iter().product::<usize>();
        let allowed = 1e-4 * norm(&expected[entry.offset..end]) + 1e-6 * whole;
        let error = error(entry.offset..end);
        assert!(error <= allowed, "{what}, {}: {error:e}", entry.name);
    }
    let relative = error(0..found.len()) / whole;
    assert!(relative <= 1e-4, "{what}: {relative:e}");
    relative
}

/// Every trainable set, with adapters on few and on all layers.
fn sets() -> [TrainableSet; 8] {
    [
        TrainableSet::Full,
        TrainableSet::Encoder,
        TrainableSet::Bias,
        TrainableSet::Head,
        lora(&["query", "value"], false),
        lora(&["all"], false),
        lora(&["all"], true),
        with_words(lora(&["all"], false)),
    ]
}

/// Units of one row each; of several, with an empty one among them and a row in two of them;
/// and one row alone.
fn unit_lists() -> [Vec<Vec<usize>>; 3] {
    [
        (0..6).map(|row| vec![row]).collect(),
        vec![
            vec![4, 1],
            vec![],
            vec![0, 2, 3],
            vec![5],
            vec![1, 5],
            vec![2],
        ],
        vec![vec![3]],
    ]
}

/// A family of each kind of network: the others are one of these by another name.
fn kinds() -> Vec<&'static dyn Family> {
    let network = |family: &dyn Family| TransformerSpec {
        family: BERT,
        ..small(family)
    };
    let mut kinds: Vec<&'static dyn Family> = Vec::new();
    for family in FAMILIES {
        if kinds.iter().all(|kind| network(*kind) != network(*family)) {
            kinds.push(*family);
        }
    }
    kinds
}

fn compare_all(
    family: &dyn Family,
    device: &DeviceChoice,
    (poolings, sets): (&[Pooling], &[TrainableSet]),
    micro_batches: &[usize],
) {
    for pooling in poolings {
        for train in sets {
            let options = options(*pooling, *train);
            if let Err(reason) = compare_one(family, device, options, micro_batches) {
                return println!("skipped: {reason}");
            }
        }
    }
}

/// Compares for one classifier, or says why the device can't be used.
fn compare_one(
    family: &dyn Family,
    device: &DeviceChoice,
    options: ClassifierOptions,
    micro_batches: &[usize],
) -> Result<(), String> {
    let what = format!("{family:?} {device} {} {}", options.pooling, options.train);
    let model = tiny_of(family, device, options)?;
    compare_sums(&model, &rows(), micro_batches, &what);
    Ok(())
}

/// The gradient of the last layer's weights is multiplied before anything is measured: it counts
/// as much less in a unit's norm as it is added.
#[test]
fn a_heads_scale_is_in_norms_and_sums_on_every_device() {
    let sets = [TrainableSet::Encoder, TrainableSet::Head];
    let poolings = [Pooling::Mean, Pooling::Pooler];
    for device in [DeviceChoice::Cpu, DeviceChoice::Gpu(None)] {
        for (pooling, train) in poolings.into_iter().zip(sets) {
            let options = ClassifierOptions {
                head_scale: 0.25.try_into().expect("a scale"),
                ..options(pooling, train)
            };
            if let Err(reason) = compare_one(BERT, &device, options, &[2, 64]) {
                println!("skipped: {reason}");
            }
        }
    }
}

/// Compares sums of a model by each clipping and in micro-batches of so many rows.
pub(super) fn compare_sums(
    model: &Classifier,
    rows: &[Example],
    micro_batches: &[usize],
    what: &str,
) {
    let plain = Plain::of(model);
    let mut worst = 0.0_f64;
    for units in unit_lists() {
        // Between the norms of the units, so that some are clipped and some aren't.
        let c = 0.7 * norm(&plain.gradient(&rows[0]));
        let rules = [Clipping::Flat, Clipping::Automatic, Clipping::Residual];
        let rules = rules.map(|rule| rule(c));
        for clipping in [Clipping::None].into_iter().chain(rules) {
            let expected = plain.clipped_sum(rows, &units, clipping);
            for micro_batch in micro_batches {
                let mut rng = ChaCha12Rng::seed_from_u64(0);
                let batch = PhysicalBatch::of_rows(*micro_batch);
                let found = gradient_sum(model, rows, &units, clipping, batch, &mut rng);
                let found = found.expect("gradients");
                let what = format!("{what} {clipping:?} by {micro_batch}");
                worst = worst.max(compare(model, &found.sum, &expected, &what));
                assert_eq!(found.rejected, 0);
            }
        }
    }
    println!("{what}: relative errors of {worst:e} at most");
}

#[test]
fn clipped_sums_are_those_of_a_loop_of_single_rows_on_the_cpu() {
    for family in kinds() {
        let (cpu, poolings) = (DeviceChoice::Cpu, family.poolings());
        compare_all(family, &cpu, (poolings, &sets()), &[1, 2, 3, 64]);
    }
}

#[test]
fn clipped_sums_are_those_of_a_loop_of_single_rows_on_a_gpu() {
    // A software device is slow; the pooler has the most kinds of layers.
    let gpu = DeviceChoice::Gpu(None);
    compare_all(BERT, &gpu, (&[Pooling::Pooler], &sets()), &[64]);
    // All states count, and units are too large for a micro-batch, or alone in one.
    let few = [TrainableSet::Full, with_words(lora(&["all"], false))];
    for family in kinds() {
        compare_all(family, &gpu, (&[Pooling::Mean], &few), &[2, 64]);
        // Each kind of activation behind the pooler, or the last token.
        let head = [TrainableSet::Head];
        compare_all(family, &gpu, (&family.poolings()[..1], &head), &[64]);
    }
}

/// What a GPU is asked for, computed by burn's own operations on the CPU: every kind of network and
/// every trainable set, which a software GPU is too slow for.
#[test]
fn clipped_sums_by_the_operations_of_any_device_are_those_of_a_loop_of_single_rows() {
    let (rows, units) = (rows(), &unit_lists()[1]);
    let of_sets = |pooling: Pooling| sets().map(|train| (pooling, train));
    for family in kinds() {
        let all = [Pooling::Mean, family.poolings()[0]].map(of_sets);
        for (pooling, train) in all.as_flattened() {
            let options = options(*pooling, *train);
            let model = tiny_of(family, &DeviceChoice::Cpu, options).expect("a model on the CPU");
            let plain = Plain::of(&model);
            let clipping = Clipping::Flat(0.7 * norm(&plain.gradient(&rows[0])));
            let work = Work {
                model: &model,
                kept: None,
                examples: &rows,
                units,
                clipping,
                batch: PhysicalBatch::of_rows(64),
            };
            let mut rng = ChaCha12Rng::seed_from_u64(0);
            let found = GpuTrainer::default().sum(&work, &mut rng);
            let found = found.expect("gradients");
            let expected = plain.clipped_sum(&rows, units, clipping);
            let what = format!("{family:?} by any device's operations, {pooling} {train}");
            let worst = compare(&model, &found.sum, &expected, &what);
            println!("{what}: a relative error of {worst:e}");
        }
    }
}

#[test]
fn scores_on_the_cpu_are_those_of_the_operations_of_any_device() {
    let rows = rows();
    let tokens: Vec<TokenRow<'_>> = rows.iter().map(|row| (&row.tokens).into()).collect();
    let all = FAMILIES
        .iter()
        .flat_map(|f| f.poolings().iter().map(|p| (*f, *p)));
    for (family, pooling) in all {
        let options = options(pooling, TrainableSet::Head);
        let model = tiny_of(family, &DeviceChoice::Cpu, options).expect("a model on the CPU");
        let batches = std::slice::from_ref(&tokens);
        let found = CpuTrainer::default()
            .logits(&model, batches)
            .expect("scores");
        let expected = GpuTrainer::default()
            .logits(&model, batches)
            .expect("scores");
        for (x, y) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((x - y).abs() < 1e-5 * (1.0 + y.abs()), "{pooling}: {x} {y}");
        }
        assert_eq!(found.len(), expected.len());
    }
}
