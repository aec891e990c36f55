//! Training with products in half precision, where a GPU computes in it: how close it comes to
//! single precision, and that what it can't hold is computed again.

mod support;

use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use support::{options, tiny_on};
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, ComputePrecision, DeviceChoice, Example, GradientSum,
    ModelFiles, PhysicalBatch, Pooling, Target, TrainableSet, gradient_sum,
};

const GPU: DeviceChoice = DeviceChoice::Gpu(None);

fn sum(model: &Classifier, rows: &[Example], clipping: Clipping) -> GradientSum {
    let units: Vec<Vec<usize>> = (0..rows.len()).map(|row| vec![row]).collect();
    // Rows of each length have a micro-batch of their own.
    let (batch, mut rng) = (PhysicalBatch::of_rows(2), ChaCha12Rng::seed_from_u64(0));
    gradient_sum(model, rows, &units, clipping, batch, &mut rng).expect("gradients")
}

/// The model in half precision, or `None` where it can't be computed in.
fn halved(model: &Classifier) -> Option<Classifier> {
    match model.clone().computing_in(ComputePrecision::F16) {
        Ok(model) => Some(model),
        Err(reason) => {
            println!("skipped: {reason}");
            None
        }
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    let difference: Vec<f64> = found.iter().zip(expected).map(|(x, y)| x - y).collect();
    norm(&difference) / norm(expected)
}

/// Rows of random tokens, of lengths from 1 to `longest`.
fn rows(model: &Classifier, longest: usize) -> Vec<Example> {
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    let vocabulary = model.spec().vocab_size as u32;
    let row = |row: usize| Example {
        tokens: (0..1 + row * (longest - 1) / 7)
            .map(|_| rng.random_range(0..vocabulary))
            .collect(),
        target: Target::Class(row % model.labels().len()),
    };
    (0..8).map(row).collect()
}

/// Gradients of published models with products in half precision, against those in single
/// precision on the same device.
fn compare(name: &str, train: TrainableSet, longest: usize) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models")
        .join(name);
    let Ok(files) = ModelFiles::read(&folder) else {
        return println!("skipped: {} is not there", folder.display());
    };
    let device = match GPU.resolve() {
        Ok((device, _)) => device,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let options = ClassifierOptions {
        max_tokens: longest.try_into().expect("a length"),
        ..options(Pooling::Mean, train)
    };
    let mut rng = ChaCha12Rng::seed_from_u64(0);
    let single = Classifier::load(&files, options, &mut rng, &device).expect("a classifier");
    let Some(half) = halved(&single) else { return };
    let rows = rows(&single, longest);
    let expected = sum(&single, &rows, Clipping::Flat(f64::MAX));
    let found = sum(&half, &rows, Clipping::Flat(f64::MAX));
    let sums = relative_error(&found.sum, &expected.sum);
    let norms = found.norms.iter().zip(&expected.norms);
    let norms = norms.map(|(x, y)| (x - y).abs() / y).fold(0.0, f64::max);
    println!("{name} {train}: relative errors: sum {sums:e}, norms {norms:e} at most");
    assert_eq!(found.rejected, 0);
    assert!(sums > 0.0, "nothing was computed in half precision");
    assert!(sums < 5e-3, "{sums:e}");
    assert!(norms < 5e-3, "{norms:e}");
}

#[test]
fn gradients_of_bert_tiny_are_close_to_those_in_single_precision() {
    compare("bert-tiny", TrainableSet::Full, 64);
}

#[test]
fn gradients_of_minilm_are_close_to_those_in_single_precision() {
    compare("all-minilm-l6-v2", TrainableSet::Encoder, 16);
}

#[test]
fn each_unit_is_clipped_to_the_norm_that_was_measured() {
    for train in [TrainableSet::Full, support::lora(&["all"], false)] {
        let model = match tiny_on(&GPU, options(Pooling::Pooler, train)) {
            Ok(model) => model,
            Err(reason) => return println!("skipped: {reason}"),
        };
        let Some(half) = halved(&model) else { return };
        // A short row and a long one: a norm by the ghost norm, and one multiplied out.
        for row in rows(&model, 20).into_iter().step_by(7) {
            let one = [row];
            let unclipped = sum(&half, &one, Clipping::Flat(f64::MAX));
            let measured = unclipped.norms[0];
            // The norm of what is added is the one that was measured, to a fraction of the slack
            // of 2^-10 by which clipping is tightened.
            assert!(
                (norm(&unclipped.sum) / measured - 1.0).abs() < 1e-4,
                "{train}"
            );
            let c = 0.5 * measured;
            let clipped = norm(&sum(&half, &one, Clipping::Flat(c)).sum);
            assert!(
                (clipped / c - 1.0).abs() < 1e-4,
                "{train}: {clipped} for {c}"
            );
        }
    }
}

#[test]
fn a_unit_that_overflows_half_precision_is_computed_again_in_single() {
    let options = options(Pooling::Mean, TrainableSet::Full);
    let mut model = match tiny_on(&GPU, options) {
        Ok(model) => model,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let mut parameters = model.parameters();
    let entries = model.layout().entries().iter();
    let large = entries.filter(|entry| entry.name.ends_with("0.output.dense.weight"));
    for entry in large {
        let count: usize = entry.shape.iter().product();
        for weight in &mut parameters[entry.offset..entry.offset + count] {
            *weight *= 1e7;
        }
    }
    model.set_parameters(&parameters).expect("parameters");
    let Some(half) = halved(&model) else { return };
    let rows = rows(&model, 12);
    let expected = sum(&model, &rows, Clipping::Flat(1.0));
    let found = sum(&half, &rows, Clipping::Flat(1.0));
    assert_eq!(found.rejected, 0);
    assert!(relative_error(&found.sum, &expected.sum) < 1e-4);
}
