//! How far a unit's norm depends on which others it is measured beside. Adaptive clipping
//! (`privacy/proofs/adaptive_clipping.md`) assumes that it does so in its last bits only.

mod support;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use support::{POSITIONS, VOCABULARY};
use umbel_model::families::TransformerSpec;
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Example, PhysicalBatch, Pooling, Target,
    TrainableSet, gradient_sum,
};

fn classifier(train: TrainableSet) -> Classifier {
    let config = TransformerSpec {
        hidden_size: 128,
        projects_embeddings: true,
        heads: 4,
        intermediate_size: 512,
        ..support::config()
    };
    let options: ClassifierOptions = support::options(Pooling::Mean, train);
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let tokenizer = support::tokenizer_json();
    Classifier::random(&config, &tokenizer, options, &mut rng, &device).expect("a classifier")
}

fn examples(count: usize) -> Vec<Example> {
    let mut rng = ChaCha12Rng::seed_from_u64(4);
    let mut any = |below: usize| rng.random_range(0..below);
    (0..count)
        .map(|_| {
            let length = 3 + any(POSITIONS - 3);
            Example {
                tokens: (0..length).map(|_| any(VOCABULARY) as u32).collect(),
                target: Target::Class(any(3)),
            }
        })
        .collect()
}

#[test]
fn leaving_a_unit_out_moves_the_norms_of_others_by_less_than_a_millionth() {
    let examples = examples(150);
    for train in [TrainableSet::Full, TrainableSet::Head] {
        let model = classifier(train);
        let norms = |units: &[Vec<usize>], micro_batch: usize| {
            let mut rng = ChaCha12Rng::seed_from_u64(1);
            let sum = gradient_sum(
                &model,
                &examples,
                units,
                Clipping::Flat(1.0),
                PhysicalBatch::of_rows(micro_batch),
                &mut rng,
            );
            sum.expect("gradients").norms
        };
        let all: Vec<Vec<usize>> = (0..examples.len()).map(|row| vec![row]).collect();
        let mut furthest = 0.0f64;
        let mut moved = 0;
        for micro_batch in [16, 64] {
            let with = norms(&all, micro_batch);
            for left_out in [0, 7, 31, 74, 149] {
                let mut units = all.clone();
                units.remove(left_out);
                let mut beside = with.clone();
                beside.remove(left_out);
                for (with, without) in beside.iter().zip(norms(&units, micro_batch)) {
                    let step = (without / with - 1.0).abs();
                    moved += usize::from(step > 0.0);
                    furthest = furthest.max(step);
                }
            }
        }
        println!("{train:?}: {moved} norms moved, the furthest by {furthest:e}");
        assert!(furthest < 1e-6, "{train:?}: {furthest:e}");
    }
}
