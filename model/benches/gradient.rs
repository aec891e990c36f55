//! What a training step costs on the CPU, plain and private, by tokens:
//! `cargo bench --workspace --bench gradient`, or with lengths of your own, `-- 64 512`.
//!
//! `umbel bench` compares machines; this compares versions of the code. What counts is how long the
//! process's threads have had a processor, where Linux tells, so that other work on the machine
//! disturbs little; plain and private steps take turns, and the fastest of each counts.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use umbel_model::families::{
    Activation, BERT, LayerShape, PoolerActivation, PoolerShape, Positions, TransformerSpec,
};
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Dropout, Example, HeadScale,
    PhysicalBatch, Pooling, Target, Task, TrainableSet, gradient_sum,
};

const LENGTHS: [usize; 4] = [64, 128, 256, 512];
/// Tokens of a step.
const STEP: usize = 2048;
/// Steps of each kind.
const TURNS: usize = 5;
const VOCABULARY: usize = 1000;

const TOKENIZER: &[u8] = br###"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,
"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
"max_input_chars_per_word":100,"vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3}}}"###;

/// Layers, width and heads of BERT-tiny and MiniLM-L6.
const SIZES: [(&str, (usize, usize, usize)); 2] = [("tiny", (2, 128, 2)), ("minilm", (6, 384, 12))];

fn classifier((layers, hidden_size, heads): (usize, usize, usize), tokens: usize) -> Classifier {
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
        key_value_heads: heads,
        causal: false,
        intermediate_size: 4 * hidden_size,
        position_rows: tokens,
        positions: Positions::FromZero,
        norms_embeddings: true,
        padding: None,
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
        max_tokens: tokens.try_into().expect("a length"),
        dropout: Dropout::NONE,
        head_scale: HeadScale::ONE,
        train: TrainableSet::Encoder,
    };
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let rng = &mut ChaCha12Rng::seed_from_u64(1);
    Classifier::random(&config, TOKENIZER, options, rng, &device).expect("a classifier")
}

fn examples(tokens: usize) -> Vec<Example> {
    let rng = &mut ChaCha12Rng::seed_from_u64(2);
    let example = |_| Example {
        tokens: (0..tokens)
            .map(|_| rng.random_range(0..VOCABULARY as u32))
            .collect(),
        target: Target::Class(rng.random_range(0..2)),
    };
    (0..STEP.div_ceil(tokens)).map(example).collect()
}

fn main() {
    let lengths: Vec<usize> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .filter(|length| *length > 0)
        .collect();
    let lengths = match lengths.is_empty() {
        true => LENGTHS.to_vec(),
        false => lengths,
    };
    println!(
        "{:<8}{:>8}{:>16}{:>18}{:>10}",
        "size", "tokens", "plain, ms each", "private, ms each", "to plain"
    );
    for (name, size) in SIZES {
        for tokens in &lengths {
            let examples = examples(*tokens);
            let [plain, private] = fastest(&classifier(size, *tokens), &examples);
            let each = 1e3 / examples.len() as f64;
            println!(
                "{name:<8}{tokens:>8}{:>16.2}{:>18.2}{:>10.2}",
                plain * each,
                private * each,
                plain / private
            );
        }
    }
}

/// Seconds of a step, plain and private.
fn fastest(model: &Classifier, examples: &[Example]) -> [f64; 2] {
    // Below every norm that random weights give, so that every example is scaled.
    let kinds = [Clipping::None, Clipping::Flat(1e-3)];
    let mut fastest = [f64::INFINITY; 2];
    for turn in 0..=TURNS {
        for (fastest, clipping) in fastest.iter_mut().zip(kinds) {
            let seconds = step(model, examples, clipping);
            // The first fills caches and workspaces.
            if turn > 0 {
                *fastest = fastest.min(seconds);
            }
        }
    }
    fastest
}

fn step(model: &Classifier, examples: &[Example], clipping: Clipping) -> f64 {
    let units: Vec<Vec<usize>> = (0..examples.len()).map(|row| vec![row]).collect();
    let batch = PhysicalBatch::of_rows(examples.len());
    let rng = &mut ChaCha12Rng::seed_from_u64(3);
    let (began, wall) = (busy(), Instant::now());
    let sum = gradient_sum(model, black_box(examples), &units, clipping, batch, rng);
    let took = busy().zip(began).map(|(now, began)| now - began);
    sum.expect("a sum").recycle();
    took.unwrap_or(wall.elapsed()).as_secs_f64()
}

/// How long all threads of this process have had a processor, where Linux tells.
fn busy() -> Option<Duration> {
    let mut all = 0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        all += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(all))
}
