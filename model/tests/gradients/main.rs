//! Sums of clipped gradients: right by finite differences, clipped unit by unit, and the
//! same whatever the batches and threads.

mod clipped;
mod finite_differences;
mod lattice;
mod refused;
mod repeatable;
#[path = "../support/mod.rs"]
mod support;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use umbel_model::{
    Classifier, Clipping, Example, GradientSum, ModelError, PhysicalBatch, Target, gradient_sum,
};

fn example(tokens: &[u32], label: usize) -> Example {
    Example {
        tokens: tokens.to_vec().into(),
        target: Target::Class(label),
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
