//! Sums of a head's gradients are the same bits whatever is kept of the rows.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::autodiff_tests::rows;
use super::support::{options, small, tiny_of, tokenizer_json};
use super::{Clipping, Example, GradientSum, KeptStates, PhysicalBatch, TrainingRows};
use crate::families::{BERT, FAMILIES, TransformerSpec};
use crate::{Classifier, DeviceChoice, Dropout, Target, TrainableSet, gradient_sum};

/// The units that rounds draw, of six rows: some anew, some again, in other company.
fn draws() -> [Vec<Vec<usize>>; 4] {
    [
        vec![vec![1, 4], vec![0]],
        vec![vec![0], vec![2], vec![5], vec![1, 4]],
        vec![vec![3], vec![], vec![2, 5]],
        vec![vec![0, 1, 2, 3, 4, 5]],
    ]
}

fn sum(
    model: &Classifier,
    rows: TrainingRows<'_>,
    units: &[Vec<usize>],
    batch: usize,
) -> GradientSum {
    let batch = PhysicalBatch::of_rows(batch);
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    let found = gradient_sum(model, rows, units, Clipping::Flat(0.3), batch, &mut rng);
    found.expect("gradients")
}

/// Compares rounds in which the head moves, with and without room for states.
fn compare(model: &mut Classifier, rows: &[Example], what: &str) {
    let row = size_of::<f32>() * model.spec().hidden_size;
    for (batch, room) in [(64, 1 << 20), (2, 1 << 20), (64, 2 * row), (64, 0)] {
        let kept = KeptStates::new(rows.len(), room);
        for (round, units) in draws().iter().enumerate() {
            let moved = |w: &f32| w + 0.01 * round as f32;
            let parameters: Vec<f32> = model.parameters().iter().map(moved).collect();
            model.set_parameters(&parameters).expect("parameters");
            let expected = sum(model, rows.into(), units, batch);
            let found = sum(model, TrainingRows::keeping(rows, &kept), units, batch);
            assert!(found == expected, "{what}, round {round}, {room} bytes");
        }
        let held = (0..rows.len()).filter(|row| kept.get(*row).is_some());
        assert_eq!(
            held.count(),
            rows.len().min(room / row),
            "{what}, {room} bytes"
        );
    }
}

#[test]
fn a_heads_sums_are_the_same_bits_whatever_states_are_kept() {
    for family in FAMILIES {
        for pooling in family.poolings() {
            let options = options(*pooling, TrainableSet::Head);
            let model = tiny_of(*family, &DeviceChoice::Cpu, options);
            let what = format!("{} {pooling}", family.model_type());
            compare(&mut model.expect("a model"), &rows(), &what);
        }
    }
}

/// As wide as kernels' blocks and more, so that a row passes now in a whole block, now at an edge.
#[test]
fn a_row_of_a_wide_model_has_the_same_states_whichever_rows_it_passes_with() {
    let spec = TransformerSpec {
        hidden_size: 320,
        embedding_size: 320,
        intermediate_size: 640,
        heads: 5,
        key_value_heads: 5,
        ..small(BERT)
    };
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    for pooling in BERT.poolings() {
        let options = options(*pooling, TrainableSet::Head);
        let model = Classifier::random(&spec, &tokenizer_json(), options, &mut rng, &device);
        compare(
            &mut model.expect("a model"),
            &rows(),
            &format!("wide, {pooling}"),
        );
    }
}

#[test]
fn nothing_is_kept_where_more_than_the_head_is_trained_or_with_dropout() {
    let some_dropout = Dropout::try_from(0.1).expect("a rate");
    for (train, dropout) in [
        (TrainableSet::Bias, Dropout::NONE),
        (TrainableSet::Encoder, Dropout::NONE),
        (TrainableSet::Head, some_dropout),
    ] {
        let mut options = options(BERT.poolings()[0], train);
        options.dropout = dropout;
        let model = tiny_of(BERT, &DeviceChoice::Cpu, options).expect("a model");
        let (rows, kept) = (rows(), KeptStates::new(6, 1 << 20));
        sum(&model, TrainingRows::keeping(&rows, &kept), &draws()[1], 64);
        assert!((0..6).all(|row| kept.get(row).is_none()), "{train}");
    }
}

/// Another site's rows, or another base model: their states aren't these.
#[test]
fn another_models_states_are_never_read() {
    let of = |pooling| options(pooling, TrainableSet::Head);
    let [first, second] = [0, 1].map(|i| {
        let options = of(BERT.poolings()[i]);
        tiny_of(BERT, &DeviceChoice::Cpu, options).expect("a model")
    });
    let mut rows = rows();
    let kept = KeptStates::new(rows.len(), 1 << 20);
    sum(&first, TrainingRows::keeping(&rows, &kept), &draws()[3], 64);
    rows[0].target = Target::Class(1);
    let found = sum(
        &second,
        TrainingRows::keeping(&rows, &kept),
        &draws()[3],
        64,
    );
    assert_eq!(found, sum(&second, rows.as_slice().into(), &draws()[3], 64));
}
