//! The same sums in every run, with any number of threads and in any memory.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use umbel_model::families::TransformerSpec;
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Example, ModelError, PhysicalBatch,
    Pooling, TrainableSet, gradient_sum,
};

use crate::support::{self, VOCABULARY, options};
use crate::{difference, each_alone, example, examples, norm, sum};

/// Large enough that the device shares its work among threads.
fn larger(dropout: f64) -> Classifier {
    let config = TransformerSpec {
        hidden_size: 128,
        projects_embeddings: true,
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
