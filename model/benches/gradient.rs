//! What a training step costs on the CPU, plain and private:
//! `cargo bench -p umbel-model --bench gradient`. (`umbel bench` compares machines; this
//! compares versions of the code.)

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use umbel_model::families::{
    Activation, BERT, LayerShape, PoolerActivation, PoolerShape, Positions, TransformerSpec,
};
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Dropout, Example, HeadScale,
    PhysicalBatch, Pooling, Target, Task, TrainableSet, gradient_sum,
};

fn main() {
    divan::main();
}

const BATCH: usize = 32;
const TOKENS: usize = 64;
const VOCABULARY: usize = 1000;

const TOKENIZER: &[u8] = br###"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,
"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
"max_input_chars_per_word":100,"vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3}}}"###;

/// Layers, width and heads of BERT-tiny and MiniLM-L6.
const SIZES: [(usize, usize, usize); 2] = [(2, 128, 2), (6, 384, 12)];

fn classifier((layers, hidden_size, heads): (usize, usize, usize)) -> Classifier {
    let config = TransformerSpec {
        family: BERT,
        vocab_size: VOCABULARY,
        embedding_size: hidden_size,
        projects_embeddings: false,
        hidden_size,
        layers,
        shared_layers: false,
        layer: LayerShape::BERT,
        heads,
        intermediate_size: 4 * hidden_size,
        position_rows: TOKENS,
        positions: Positions::FromZero,
        rotations: Vec::new(),
        token_types: Some(2),
        relative_bias: false,
        disentangled: None,
        layer_norm_epsilon: 1e-12,
        activation: Activation::Gelu,
        pooler: PoolerShape::of(PoolerActivation::Tanh),
    };
    let options = ClassifierOptions {
        task: Task::SingleLabel,
        pairs: false,
        labels: ["negative", "positive"].map(str::to_owned).to_vec(),
        class_weights: None,
        pooling: Pooling::Mean,
        max_tokens: TOKENS.try_into().expect("a length"),
        dropout: Dropout::NONE,
        head_scale: HeadScale::ONE,
        train: TrainableSet::Encoder,
    };
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let rng = &mut ChaCha12Rng::seed_from_u64(1);
    Classifier::random(&config, TOKENIZER, options, rng, &device).expect("a classifier")
}

fn examples() -> Vec<Example> {
    let rng = &mut ChaCha12Rng::seed_from_u64(2);
    let example = |_| Example {
        tokens: (0..TOKENS)
            .map(|_| rng.random_range(0..VOCABULARY as u32))
            .collect(),
        target: Target::Class(rng.random_range(0..2)),
    };
    (0..BATCH).map(example).collect()
}

fn step(bencher: Bencher<'_, '_>, size: usize, clipping: Clipping) {
    let (model, examples) = (classifier(SIZES[size]), examples());
    let units: Vec<Vec<usize>> = (0..BATCH).map(|row| vec![row]).collect();
    let batch = PhysicalBatch::of_rows(BATCH);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let rng = &mut ChaCha12Rng::seed_from_u64(3);
        gradient_sum(&model, black_box(&examples), &units, clipping, batch, rng).expect("a sum")
    });
}

/// Gradients are added as they are.
#[divan::bench(args = 0..SIZES.len(), sample_count = 20)]
fn plain(bencher: Bencher<'_, '_>, size: usize) {
    step(bencher, size, Clipping::None);
}

/// Every example's gradient is clipped first.
#[divan::bench(args = 0..SIZES.len(), sample_count = 20)]
fn private(bencher: Bencher<'_, '_>, size: usize) {
    step(bencher, size, Clipping::Flat(1e-3));
}
